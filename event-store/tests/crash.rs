//! Killed at any moment, a process loses nothing that it acknowledged, whatever the log is kept in.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::{
    collections::HashMap,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
};

use domain::{
    ids::{AccountId, EventId, StreamId},
    secret::SecretText,
};
use event_store::{
    port::{Append, EventLog, Expected},
    postgres::{Database, DatabaseOptions, PostgresOptions, PostgresStore},
    sqlite::{SqliteOptions, SqliteStore},
    testing::Scratch,
};
use schemas::envelope::{NewEvent, Position, Version};
use servers::postgres::TestDatabase;
use uuid::Uuid;

/// Tells the child where the log is: a file, or the address of a database.
const PLACE: &str = "COUNTERSIGN_CRASH_TEST_PLACE";
const KILLS: usize = 20;
const WRITERS: u128 = 16;

/// A log that is open.
enum Open {
    Sqlite(Arc<SqliteStore>),
    Postgres(Arc<PostgresStore>),
}

impl Open {
    async fn at(place: &str) -> Self {
        if !place.starts_with("postgres://") {
            let store = SqliteStore::open(Path::new(place), SqliteOptions::default()).await;
            return Self::Sqlite(Arc::new(store.unwrap()));
        }
        let database = Database::connect(&DatabaseOptions::at(SecretText::new(place.to_owned()))).await.unwrap();
        Self::Postgres(Arc::new(PostgresStore::open(database, PostgresOptions::default()).await.unwrap()))
    }

    fn log(&self) -> Arc<dyn EventLog> {
        match self {
            Self::Sqlite(store) => Arc::<SqliteStore>::clone(store),
            Self::Postgres(store) => Arc::<PostgresStore>::clone(store),
        }
    }

    async fn close(self) {
        match self {
            Self::Sqlite(store) => store.close().await,
            Self::Postgres(store) => store.close().await,
        }
    }
}

/// The child: this test binary again, appending until it is killed. Without the variable it is no test.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child_that_appends_until_it_is_killed() {
    let Ok(place) = std::env::var(PLACE) else { return };
    let open = Open::at(&place).await;
    let mut writers = Vec::new();
    for _ in 0..WRITERS {
        let store = open.log();
        writers.push(tokio::spawn(async move {
            let account = random();
            let stream = StreamId::Account(AccountId(account));
            for version in 0_u64.. {
                let events: Vec<NewEvent> = (0..=version % 3).map(|_| event()).collect();
                let ids: Vec<String> = events.iter().map(|event| event.id.to_string()).collect();
                let head = store.head(&stream).await.unwrap();
                let expected = if head == Version::NONE { Expected::NoStream } else { Expected::Version(head) };
                let append = Append { stream: stream.clone(), expected, events, receipt: None };
                let appended = store.append(append).await.unwrap();
                let line = format!("ack {account} {} {} end\n", appended.version.0, ids.join(","));
                std::io::stdout().write_all(line.as_bytes()).unwrap();
            }
        }));
    }
    for writer in writers {
        writer.await.unwrap();
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

#[tokio::test]
async fn killed_again_and_again_it_loses_nothing_that_it_acknowledged_on_sqlite() {
    let scratch = Scratch::new().unwrap();
    killed_again_and_again_it_loses_nothing(scratch.file("log.db").to_str().unwrap()).await;
}

#[tokio::test]
async fn killed_again_and_again_it_loses_nothing_that_it_acknowledged_on_postgres() {
    let database = TestDatabase::fresh().await;
    killed_again_and_again_it_loses_nothing(database.url()).await;
}

async fn killed_again_and_again_it_loses_nothing(place: &str) {
    let mut acknowledged: HashMap<StreamId, HashMap<u64, EventId>> = HashMap::new();
    let mut count = 0;
    for round in 0..KILLS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child_that_appends_until_it_is_killed", "--nocapture"])
            .env(PLACE, place)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut seen = 0;
        while let Some(Ok(line)) = lines.next() {
            if seen == 20 + round * 7 {
                child.kill().unwrap();
            }
            // The last line may be cut in the middle: then it was not told.
            let Some((stream, version, ids)) = parsed(&line) else { continue };
            seen += 1;
            let stream = acknowledged.entry(stream).or_default();
            for (id, back) in ids.iter().rev().zip(0..) {
                stream.insert(version - back, *id);
                count += 1;
            }
        }
        child.wait().unwrap();
        let open = Open::at(place).await;
        let store = open.log();
        for (stream, events) in &acknowledged {
            let read = store.read_stream(stream, Version::NONE, usize::MAX).await.unwrap();
            for (version, id) in events {
                let stored = &read[usize::try_from(version - 1).unwrap()];
                assert_eq!((stored.version, stored.id), (Version(*version), *id), "kill {round}");
            }
        }
        assert_positions_have_no_gap(&*store).await;
        drop(store);
        open.close().await;
    }
    assert!(count > KILLS * 20, "only {count} events were acknowledged");
}

async fn assert_positions_have_no_gap(store: &dyn EventLog) {
    let (mut after, mut expected) = (Position::START, 1);
    loop {
        let page = store.read_all(after, 5_000).await.unwrap();
        let Some(last) = page.last() else { return };
        after = last.position;
        for event in &page {
            assert_eq!(event.position, Position(expected));
            expected += 1;
        }
    }
}

fn parsed(line: &str) -> Option<(StreamId, u64, Vec<EventId>)> {
    let mut parts = line.strip_prefix("ack ")?.split(' ');
    let stream = StreamId::Account(AccountId(parts.next()?.parse().ok()?));
    let version = parts.next()?.parse().ok()?;
    let ids = parts.next()?;
    parts.next().filter(|mark| *mark == "end")?;
    let ids = ids.split(',').map(|id| id.parse().ok()).collect::<Option<Vec<EventId>>>()?;
    Some((stream, version, ids))
}
