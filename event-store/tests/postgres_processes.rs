//! Several processes on one log: a reader in one of them sees every event of all, once and in order.
#![cfg(feature = "postgres")]
#![expect(clippy::unwrap_used, reason = "tests")]

use std::{
    collections::HashMap,
    process::{Child, Command, Stdio},
    sync::Arc,
};

use domain::{
    ids::{AccountId, EventId, StreamId},
    secret::SecretText,
};
use event_store::{
    port::{Append, AppendError, EventLog, Expected},
    postgres::{Database, DatabaseOptions, PostgresOptions, PostgresStore},
    subscription::subscribe,
};
use schemas::envelope::{NewEvent, Position, Version};
use servers::postgres::TestDatabase;
use uuid::Uuid;

/// Tells a child which database it works on, and what it does there.
const DATABASE: &str = "COUNTERSIGN_PROCESS_TEST_DATABASE";
const ROLE: &str = "COUNTERSIGN_PROCESS_TEST_ROLE";

const PROCESSES: usize = 3;
const WRITERS: u128 = 12;
/// Appends of each writer; each has one to three events.
const EACH: usize = 60;
/// Streams that all writers of all processes share.
const SHARED: u128 = 8;

/// The child: this test binary again. Without the variable it is no test.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child() {
    let Ok(url) = std::env::var(DATABASE) else { return };
    let database = Database::connect(&DatabaseOptions::at(SecretText::new(url))).await.unwrap();
    let log = Arc::new(PostgresStore::open(database, PostgresOptions::default()).await.unwrap());
    match std::env::var(ROLE).unwrap().strip_prefix("follow ") {
        Some(count) => follow(log, count.parse().unwrap()).await,
        None => write(log).await,
    }
}

fn random() -> Uuid {
    uuid::Builder::from_random_bytes(*runtime::Runtime::system().unwrap().random_bytes::<16>().unwrap()).into_uuid()
}

fn event() -> NewEvent {
    NewEvent {
        id: EventId(random()),
        event_type: "Something".into(),
        schema_version: 1,
        metadata: b"{}".to_vec(),
        data: vec![b'x'; 300],
    }
}

/// How many events an append has.
fn size(number: usize) -> usize {
    number % 3 + 1
}

/// Half of the appends go to streams that the other processes write too.
async fn write(log: Arc<PostgresStore>) {
    let mut writers = Vec::new();
    for writer in 0..WRITERS {
        let log = Arc::clone(&log);
        writers.push(tokio::spawn(async move {
            let own = StreamId::Account(AccountId(random()));
            for number in 0..EACH {
                let shared = StreamId::Account(AccountId(Uuid::from_u128(writer % SHARED)));
                let stream = if number % 2 == 0 { &own } else { &shared };
                let events: Vec<NewEvent> = (0..size(number)).map(|_| event()).collect();
                loop {
                    let head = log.head(stream).await.unwrap();
                    let expected = if head == Version::NONE { Expected::NoStream } else { Expected::Version(head) };
                    let append = Append { stream: stream.clone(), expected, events: events.clone(), receipt: None };
                    match log.append(append).await {
                        Ok(_) => break,
                        Err(AppendError::Conflict) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
            }
        }));
    }
    for writer in writers {
        writer.await.unwrap();
    }
}

/// Follows while the others write: positions without a gap, versions without a gap in each stream.
async fn follow(log: Arc<PostgresStore>, count: usize) {
    let mut subscription = subscribe(&runtime::Runtime::system().unwrap(), log, Position::START, 64);
    let mut heads: HashMap<Arc<str>, u64> = HashMap::new();
    let mut last = 0;
    for _ in 0..count {
        if usize::try_from(last).unwrap() == count {
            break;
        }
        for event in subscription.next().await.unwrap() {
            assert_eq!(event.position, Position(last + 1));
            let head = heads.entry(Arc::clone(&event.stream)).or_default();
            assert_eq!(event.version.0, *head + 1);
            (last, *head) = (event.position.0, event.version.0);
        }
    }
    assert_eq!(usize::try_from(last).unwrap(), count);
}

fn start(url: &str, role: &str) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture"])
        .env(DATABASE, url)
        .env(ROLE, role)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_in_another_process_sees_every_event_of_all_writers_once_and_in_order() {
    let test = TestDatabase::fresh().await;
    let each: usize = (0..EACH).map(size).sum();
    let count = each * PROCESSES * usize::try_from(WRITERS).unwrap();
    let follow = format!("follow {count}");
    let mut children: Vec<Child> = (0..2).map(|_| start(test.url(), &follow)).collect();
    children.extend((0..PROCESSES).map(|_| start(test.url(), "write")));
    for child in children {
        let waiting = tokio::task::spawn_blocking(move || child.wait_with_output().unwrap());
        let output = tokio::time::timeout(std::time::Duration::from_mins(2), waiting).await.unwrap().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let client = test.client().await;
    let stored = client.query_one("SELECT count(*), max(position), count(DISTINCT id) FROM events", &[]).await.unwrap();
    let count = i64::try_from(count).unwrap();
    assert_eq!((stored.get::<_, i64>(0), stored.get::<_, i64>(1), stored.get::<_, i64>(2)), (count, count, count));
}
