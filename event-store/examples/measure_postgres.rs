//! How fast the log on `PostgreSQL` is here, beside what `pgbench` reaches on the same server in the same run:
//!
//! `cargo run --release -p event-store --features testing,postgres --example measure_postgres`
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement tells what it found, or fails")]

use std::{process::Command, sync::Arc, time::Duration};

use domain::ids::{AccountId, EventId, StreamId};
use event_store::{
    port::{Append, EventLog, Expected},
    postgres::{Database, PostgresOptions, PostgresStore},
    subscription::subscribe,
};
use schemas::envelope::{NewEvent, Position, Version};
use servers::postgres::{PostgresServer, TestDatabase, program};
use tokio::time::Instant;
use uuid::Uuid;

const LASTS: Duration = Duration::from_secs(5);
const CLIENTS: usize = 32;

#[expect(clippy::cast_precision_loss, reason = "a rate to be read")]
fn rate(count: usize, took: Duration) -> f64 {
    count as f64 / took.as_secs_f64()
}

fn random() -> Uuid {
    uuid::Builder::from_random_bytes(*runtime::Runtime::system().unwrap().random_bytes::<16>().unwrap()).into_uuid()
}

fn event() -> NewEvent {
    NewEvent {
        id: EventId(random()),
        event_type: "Something".into(),
        schema_version: 1,
        metadata: vec![b'm'; 500],
        data: vec![b'd'; 200],
    }
}

async fn open(test: &TestDatabase, depth: usize) -> Arc<PostgresStore> {
    let database = Database::connect(&test.options()).await.unwrap();
    let options = PostgresOptions { depth, ..PostgresOptions::default() };
    Arc::new(PostgresStore::open(database, options).await.unwrap())
}

/// Single rows of this size, each with its commit.
async fn pgbench(test: &TestDatabase, payload: usize) -> f64 {
    let client = test.client().await;
    client
        .batch_execute("CREATE TABLE IF NOT EXISTS bench (id bigserial PRIMARY KEY, payload bytea NOT NULL)")
        .await
        .unwrap();
    let script = tempfile::NamedTempFile::new().unwrap();
    let insert = format!("INSERT INTO bench (payload) VALUES (decode('{}', 'hex'));", "6d".repeat(payload));
    std::fs::write(script.path(), insert).unwrap();
    let mut bench = Command::new(program("pgbench"));
    bench
        .args(["-n", "-M", "prepared", "-c", &CLIENTS.to_string(), "-j", "2", "-T", &LASTS.as_secs().to_string(), "-f"])
        .arg(script.path())
        .arg(test.url());
    let output = tokio::task::spawn_blocking(move || bench.output().unwrap()).await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let tps = said.lines().find_map(|line| line.strip_prefix("tps = ")).unwrap_or_else(|| panic!("{said}"));
    tps.split(' ').next().unwrap().parse().unwrap()
}

/// `fresh`: each append makes a stream; else each writer goes on with one of its 100.
async fn appends(test: &TestDatabase, depth: usize, writers: usize, fresh: bool) -> f64 {
    let store = open(test, depth).await;
    let begun = Instant::now();
    let mut tasks = Vec::new();
    for _ in 0..writers {
        let store = Arc::clone(&store);
        tasks.push(tokio::spawn(async move {
            let streams: Vec<_> = (0..100).map(|_| StreamId::Account(AccountId(random()))).collect();
            let mut heads = [0; 100];
            let mut times = Vec::new();
            while begun.elapsed() < LASTS {
                let n = times.len() % 100;
                let (stream, head) =
                    if fresh { (StreamId::Account(AccountId(random())), 0) } else { (streams[n].clone(), heads[n]) };
                let expected = if head == 0 { Expected::NoStream } else { Expected::Version(Version(head)) };
                let one = Instant::now();
                store.append(Append { stream, expected, events: vec![event()], receipt: None }).await.unwrap();
                times.push(one.elapsed());
                heads[n] += 1;
            }
            times
        }));
    }
    let mut times = Vec::new();
    for task in tasks {
        times.extend(task.await.unwrap());
    }
    let rate = rate(times.len(), begun.elapsed());
    times.sort();
    let of = |part: usize| times[times.len() * part / 1_000];
    let kind = if fresh { "new streams" } else { "grown streams" };
    println!(
        "durable appends, {writers} writers, {kind}, {depth} commits under way: {rate:.0} a second (median {:?}, p99 {:?})",
        of(500),
        of(990)
    );
    store.close().await;
    rate
}

async fn catching_up(test: &TestDatabase) {
    let store = open(test, 2).await;
    let last = store.last_position().await.unwrap();
    for batch in [500, 1_000, 4_000] {
        let begun = Instant::now();
        let mut subscription = subscribe(&runtime::Runtime::system().unwrap(), store.clone(), Position::START, batch);
        let mut count = 0;
        while subscription.position() < last {
            count += subscription.next().await.unwrap().len();
        }
        println!(
            "a subscription catching up, {batch} at a time: {count} events, {:.0} a second",
            rate(count, begun.elapsed())
        );
    }
    let client = test.client().await;
    let row =
        client.query_one("SELECT pg_total_relation_size('events') / count(*) AS size FROM events", &[]).await.unwrap();
    println!("on disk: {} bytes an event with its indexes (700 of it metadata and data)", row.get::<_, i64>(0));
}

#[tokio::main]
async fn main() {
    let server = Arc::new(PostgresServer::start().await);
    let test = server.database().await;
    let single = pgbench(&test, 700).await;
    println!("pgbench, {CLIENTS} clients, single rows of 700 bytes: {single:.0} commits a second");
    let small = pgbench(&test, 8).await;
    println!("pgbench, {CLIENTS} clients, single rows of 8 bytes: {small:.0} commits a second");
    for depth in [1, 2, 3] {
        for (writers, fresh) in [(1, true), (32, true), (32, false), (256, true)] {
            let reached = appends(&test, depth, writers, fresh).await;
            if writers == CLIENTS {
                println!("  {:.2} times pgbench (700 bytes), {:.2} times (8 bytes)", reached / single, reached / small);
            }
        }
    }
    catching_up(&test).await;
}
