//! Connections that break and servers that stop: nothing that was acknowledged is lost, and what is unknown is
//! said to be unknown.
#![cfg(feature = "postgres")]
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use domain::{
    ids::{AccountId, EventId, StreamId},
    secret::SecretText,
};
use event_store::{
    port::{Append, AppendError, EventLog, Expected},
    postgres::{Database, DatabaseOptions, PostgresOptions, PostgresStore},
    subscription::subscribe,
    testing::eventually,
};
use schemas::envelope::{NewEvent, Position, StoredEvent, Version};
use servers::postgres::{PostgresServer, TestDatabase};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};
use uuid::Uuid;

const SOON: Duration = Duration::from_secs(20);

/// What an appender holds until its transaction ends.
const LOCK: i64 = 0x4353_676e_0000_0002;

fn random() -> Uuid {
    uuid::Builder::from_random_bytes(*runtime::Runtime::system().unwrap().random_bytes::<16>().unwrap()).into_uuid()
}

fn stream() -> StreamId {
    StreamId::Account(AccountId(random()))
}

fn append(stream: &StreamId, after: u64) -> Append {
    let event = NewEvent {
        id: EventId(random()),
        event_type: "Something".into(),
        schema_version: 1,
        metadata: b"{}".to_vec(),
        data: vec![b'x'; 300],
    };
    let expected = if after == 0 { Expected::NoStream } else { Expected::Version(Version(after)) };
    Append { stream: stream.clone(), expected, events: vec![event], receipt: None }
}

async fn open(options: &DatabaseOptions) -> Arc<PostgresStore> {
    let database = Database::connect(options).await.unwrap();
    Arc::new(PostgresStore::open(database, PostgresOptions::default()).await.unwrap())
}

/// Ends the server's side of the connections whose last statement is like this; how many those were.
async fn terminate(client: &tokio_postgres::Client, like: &str) -> i64 {
    let sql = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
               WHERE datname = current_database() AND pid <> pg_backend_pid() AND query LIKE $1";
    client.query_one(sql, &[&like]).await.unwrap().get(0)
}

/// Appends until it is told what became of it: an unknown outcome is retried unchanged.
async fn persist(log: &PostgresStore, append: &Append) -> Version {
    let told = async {
        loop {
            match log.append(append.clone()).await {
                Ok(appended) => return appended.version,
                Err(AppendError::Conflict) => panic!("nobody else writes this stream"),
                Err(AppendError::Unknown(_) | AppendError::Log(_)) => {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            }
        }
    };
    timeout(SOON, told).await.expect("an answer within the time")
}

async fn take(log: Arc<PostgresStore>, count: usize) -> Vec<StoredEvent> {
    let mut subscription = subscribe(&runtime::Runtime::system().unwrap(), log, Position::START, 100);
    let mut seen = Vec::new();
    while seen.len() < count {
        match timeout(SOON, subscription.next()).await.expect("an event within the time") {
            Ok(events) => seen.extend(events),
            // The server is away: asked again.
            Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    }
    seen
}

fn assert_no_gap(events: &[StoredEvent]) {
    for (event, position) in events.iter().zip(1..) {
        assert_eq!(event.position, Position(position));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_stopped_and_killed_under_load_loses_nothing_that_was_acknowledged() {
    const WRITERS: usize = 8;
    const PHASE: usize = 400;
    let server = Arc::new(PostgresServer::start().await);
    let test = server.database().await;
    let (log, other) = (open(&test.options()).await, open(&test.options()).await);
    let (acknowledged, is_over) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let mut writers = Vec::new();
    for _ in 0..WRITERS {
        let (log, acknowledged, is_over) = (Arc::clone(&log), Arc::clone(&acknowledged), Arc::clone(&is_over));
        writers.push(tokio::spawn(async move {
            let (stream, mut ids) = (stream(), Vec::new());
            while !is_over.load(Ordering::SeqCst) {
                let append = append(&stream, u64::try_from(ids.len()).unwrap());
                ids.push(append.events[0].id);
                assert_eq!(persist(&log, &append).await, Version(u64::try_from(ids.len()).unwrap()));
                acknowledged.fetch_add(1, Ordering::SeqCst);
            }
            (stream, ids)
        }));
    }
    let follower = tokio::spawn(take(Arc::clone(&other), PHASE * 4));
    let reached = async |count| {
        let acknowledged = Arc::clone(&acknowledged);
        let reached = eventually(|| async { (acknowledged.load(Ordering::SeqCst) >= count).then_some(()) }).await;
        reached.expect("the writers go on");
    };
    reached(PHASE).await;
    server.stop().await;
    server.restart().await;
    reached(acknowledged.load(Ordering::SeqCst) + PHASE).await;
    server.kill().await;
    server.restart().await;
    reached(acknowledged.load(Ordering::SeqCst) + PHASE).await;
    reached(PHASE * 4).await;
    is_over.store(true, Ordering::SeqCst);

    let mut written = HashMap::new();
    for writer in writers {
        let (stream, ids) = writer.await.unwrap();
        written.insert(stream.to_string(), ids);
    }
    let count: usize = written.values().map(Vec::len).sum();
    assert_no_gap(&follower.await.unwrap());
    let seen = take(other, count).await;
    assert_no_gap(&seen);
    let mut stored: HashMap<String, Vec<EventId>> = HashMap::new();
    for event in &seen {
        stored.entry(event.stream.to_string()).or_default().push(event.id);
    }
    assert_eq!(stored, written);
}

#[tokio::test]
async fn an_append_whose_connection_ends_is_unknown_and_its_retry_is_recognized() {
    let test = TestDatabase::fresh().await;
    let log = open(&test.options()).await;
    let client = test.client().await;
    let (stream, neighbour) = (stream(), stream());
    log.append(append(&neighbour, 0)).await.unwrap();
    client.execute("SELECT pg_advisory_lock($1)", &[&LOCK]).await.unwrap();
    let same = append(&stream, 0);
    let appending = tokio::spawn({
        let (log, append) = (Arc::clone(&log), same.clone());
        async move { log.append(append).await }
    });
    let waiting = || async { (terminate(&client, "SELECT base, outcomes%").await > 0).then_some(()) };
    eventually(waiting).await.expect("it waits for the lock");
    let outcome = timeout(SOON, appending).await.unwrap().unwrap();
    assert!(matches!(outcome, Err(AppendError::Unknown(_))), "{outcome:?}");
    client.execute("SELECT pg_advisory_unlock($1)", &[&LOCK]).await.unwrap();
    let first = log.append(same.clone()).await.unwrap();
    assert_eq!(log.append(same).await.unwrap(), first);
    assert_eq!(log.head(&stream).await.unwrap(), Version(1));
}

/// Stands between a store and its server, and can keep back what the server answers.
struct Proxy {
    url: String,
    is_cut: Arc<AtomicBool>,
}

impl Proxy {
    async fn before(test: &TestDatabase) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = test.url().split('@').nth(1).unwrap().split('/').next().unwrap().to_owned();
        let url = test.url().replace(&server, &listener.local_addr().unwrap().to_string());
        let is_cut = Arc::new(AtomicBool::new(false));
        let cut = Arc::clone(&is_cut);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(&server).await.unwrap();
                tokio::spawn(forward(client, server, Arc::clone(&cut)));
            }
        });
        Self { url, is_cut }
    }
}

/// Ends both connections as soon as the server answers something that is to be kept back.
async fn forward(client: TcpStream, server: TcpStream, is_cut: Arc<AtomicBool>) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let asking = tokio::spawn(async move { tokio::io::copy(&mut from_client, &mut to_server).await });
    let mut buffer = vec![0; 65_536];
    while let Ok(count @ 1..) = from_server.read(&mut buffer).await {
        if is_cut.load(Ordering::SeqCst) || to_client.write_all(&buffer[..count]).await.is_err() {
            break;
        }
    }
    asking.abort();
}

#[tokio::test]
async fn a_commit_whose_answer_is_lost_is_unknown_and_its_retry_gets_the_first_answer() {
    let test = TestDatabase::fresh().await;
    let proxy = Proxy::before(&test).await;
    // No poll of the watcher may meet the cut in place of the append.
    let options = PostgresOptions { poll: Duration::from_hours(1), ..PostgresOptions::default() };
    let database = Database::connect(&DatabaseOptions::at(SecretText::new(proxy.url.clone()))).await.unwrap();
    let log = PostgresStore::open(database, options).await.unwrap();
    let beside = open(&test.options()).await;
    let stream = stream();
    log.append(append(&stream, 0)).await.unwrap();

    let same = append(&stream, 1);
    proxy.is_cut.store(true, Ordering::SeqCst);
    let outcome = timeout(SOON, log.append(same.clone())).await.unwrap();
    assert!(matches!(outcome, Err(AppendError::Unknown(_))), "{outcome:?}");
    assert_eq!(beside.head(&stream).await.unwrap(), Version(2));
    // While there is no way to the server it is certain that nothing happens.
    let outcome = timeout(SOON, log.append(append(&stream, 2))).await.unwrap();
    assert!(matches!(outcome, Err(AppendError::Log(_))), "{outcome:?}");

    proxy.is_cut.store(false, Ordering::SeqCst);
    let written = beside.read_stream(&stream, Version(1), 10).await.unwrap();
    let appended = log.append(same).await.unwrap();
    assert_eq!((appended.version, appended.position), (Version(2), written[0].position));
    assert_eq!(beside.head(&stream).await.unwrap(), Version(2));
}

#[tokio::test]
async fn a_server_that_stands_still_is_given_up_on_and_nothing_is_written_twice() {
    let server = Arc::new(PostgresServer::quick().await);
    let test = server.database().await;
    let options = DatabaseOptions { statement_timeout: Duration::from_millis(300), ..test.options() };
    let log = open(&options).await;
    let stream = stream();
    log.append(append(&stream, 0)).await.unwrap();
    let same = append(&stream, 1);
    server.freeze(true);
    let outcome = timeout(SOON, log.append(same.clone())).await.unwrap();
    assert!(matches!(outcome, Err(AppendError::Unknown(_))), "{outcome:?}");
    server.freeze(false);
    assert_eq!(persist(&log, &same).await, Version(2));
    assert_eq!(log.read_stream(&stream, Version::NONE, 10).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_lost_notification_delays_an_event_and_no_more() {
    let test = TestDatabase::fresh().await;
    let log = open(&test.options()).await;
    let first = log.append(append(&stream(), 0)).await.unwrap();
    let mut watch = log.watch();
    // What another process appended, and its notification never came.
    test.client()
        .await
        .batch_execute(
            "INSERT INTO events SELECT position + 1, version + 1, stream_key, gen_random_uuid(), schema_version, \
             stream, type, metadata, data FROM events",
        )
        .await
        .unwrap();
    let moved = timeout(SOON, watch.wait_for(|position| *position > first.position)).await;
    moved.expect("it moves within the time").unwrap();
    assert_eq!(log.read_all(first.position, 10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_notification_wakes_a_follower_that_does_not_poll() {
    let test = TestDatabase::fresh().await;
    let database = Database::connect(&test.options()).await.unwrap();
    let options = PostgresOptions { poll: Duration::from_hours(1), ..PostgresOptions::default() };
    let (log, beside) = (PostgresStore::open(database, options).await.unwrap(), open(&test.options()).await);
    let mut watch = log.watch();
    let appended = beside.append(append(&stream(), 0)).await.unwrap();
    let moved = timeout(SOON, watch.wait_for(|position| *position >= appended.position)).await;
    moved.expect("it moves within the time").unwrap();
}

#[tokio::test]
async fn a_listener_whose_connection_ends_listens_again() {
    let test = TestDatabase::fresh().await;
    let (log, beside) = (open(&test.options()).await, open(&test.options()).await);
    let client = test.client().await;
    for _ in 0..3 {
        let mut watch = log.watch();
        terminate(&client, "LISTEN%").await;
        terminate(&client, "%FROM events%").await;
        let appended = persist_position(&beside).await;
        let moved = timeout(SOON, watch.wait_for(|position| *position >= appended)).await;
        moved.expect("it moves within the time").unwrap();
    }
}

async fn persist_position(log: &PostgresStore) -> Position {
    let append = append(&stream(), 0);
    persist(log, &append).await;
    log.append(append).await.unwrap().position
}

#[tokio::test]
async fn an_append_that_cannot_be_written_leaves_its_neighbours_alone() {
    let test = TestDatabase::fresh().await;
    let log = open(&test.options()).await;
    let mut tasks = Vec::new();
    for n in 0..40 {
        let log = Arc::clone(&log);
        tasks.push(tokio::spawn(async move {
            let mut append = append(&stream(), 0);
            let is_bad = n % 10 == 3;
            if is_bad {
                // No text of the database may hold this.
                append.events[0].event_type = "\0".into();
            }
            (log.append(append).await, is_bad)
        }));
    }
    for task in tasks {
        let (outcome, is_bad) = task.await.unwrap();
        assert_eq!(matches!(outcome, Err(AppendError::Log(_))), is_bad, "{outcome:?}");
        assert_eq!(outcome.is_ok(), !is_bad);
    }
}
