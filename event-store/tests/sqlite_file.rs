//! The file: what it refuses, what is gone from it, how fast it opens.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use domain::ids::{AccountId, EventId, StreamId};
use event_store::{
    port::{Append, AppendError, EventLog, Expected, KeyStore, LogError, WrappedKey},
    sqlite::{SqliteOptions, SqliteStore},
    testing::{Scratch, eventually},
};
use schemas::envelope::{NewEvent, Position, Version};
use tokio::time::Instant;
use uuid::Uuid;

fn stream(n: u128) -> StreamId {
    StreamId::Account(AccountId(Uuid::from_u128(n)))
}

fn append(stream: &StreamId, after: u64, count: u128) -> Append {
    let expected = if after == 0 { Expected::NoStream } else { Expected::Version(Version(after)) };
    let events = (0..count)
        .map(|n| NewEvent {
            id: EventId(Uuid::from_u128(n + 1)),
            event_type: "Something".into(),
            schema_version: 1,
            metadata: b"{}".to_vec(),
            data: b"{}".to_vec(),
        })
        .collect();
    Append { stream: stream.clone(), expected, events, receipt: None }
}

async fn refusal(path: &std::path::Path) -> LogError {
    let options = SqliteOptions { busy_timeout: Duration::from_millis(50), ..SqliteOptions::default() };
    SqliteStore::open(path, options).await.unwrap_err()
}

#[tokio::test]
async fn a_file_of_a_newer_version_is_refused() {
    let scratch = Scratch::new().unwrap();
    let path = scratch.file("log.db");
    SqliteStore::open(&path, SqliteOptions::default()).await.unwrap().close().await;
    rusqlite::Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let error = refusal(&path).await;
    assert!(matches!(error, LogError::Unreadable(_)));
    assert!(error.to_string().contains("newer Countersign"), "{error}");
}

#[tokio::test]
async fn what_is_no_database_is_refused_and_left_alone() {
    let scratch = Scratch::new().unwrap();
    let path = scratch.file("log.db");
    let text = "a letter to a friend, long enough to be none of SQLite's headers".repeat(20);
    std::fs::write(&path, &text).unwrap();
    let error = refusal(&path).await;
    assert!(error.to_string().contains("not a database"), "{error}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
}

#[tokio::test]
async fn another_programs_database_is_refused() {
    let scratch = Scratch::new().unwrap();
    let path = scratch.file("log.db");
    rusqlite::Connection::open(&path).unwrap().execute_batch("CREATE TABLE mine (x)").unwrap();
    let error = refusal(&path).await;
    assert!(error.to_string().contains("not an event log of Countersign"), "{error}");
}

#[tokio::test]
async fn a_directory_that_is_not_there_is_one_clear_line() {
    let scratch = Scratch::new().unwrap();
    let error = refusal(&scratch.file("nowhere/log.db")).await;
    assert!(matches!(error, LogError::Unavailable(_)));
    assert_eq!(error.to_string().lines().count(), 1);
}

#[tokio::test]
async fn a_file_that_another_process_holds_locked_is_unavailable() {
    let scratch = Scratch::new().unwrap();
    let path = scratch.file("log.db");
    let options = SqliteOptions { busy_timeout: Duration::from_millis(50), ..SqliteOptions::default() };
    let store = SqliteStore::open(&path, options).await.unwrap();
    let holder = rusqlite::Connection::open(&path).unwrap();
    holder.execute_batch("BEGIN IMMEDIATE").unwrap();
    let error = store.append(append(&stream(1), 0, 1)).await.unwrap_err();
    assert!(matches!(error, AppendError::Log(LogError::Unavailable(_))), "{error}");
    assert!(error.to_string().contains("locked by another process"), "{error}");
    holder.execute_batch("ROLLBACK").unwrap();
    store.append(append(&stream(1), 0, 1)).await.unwrap();
}

#[tokio::test]
async fn a_short_lock_is_waited_for() {
    let scratch = Scratch::new().unwrap();
    let path = scratch.file("log.db");
    let store = SqliteStore::open(&path, SqliteOptions::default()).await.unwrap();
    let holder = rusqlite::Connection::open(&path).unwrap();
    holder.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut appending = tokio::spawn(async move {
        store.append(append(&stream(1), 0, 1)).await.unwrap();
    });
    assert!(tokio::time::timeout(Duration::from_millis(30), &mut appending).await.is_err());
    holder.execute_batch("ROLLBACK").unwrap();
    appending.await.unwrap();
}

#[cfg(unix)]
#[tokio::test]
async fn the_file_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let scratch = Scratch::new().unwrap();
    let path = scratch.file("log.db");
    let store = SqliteStore::open(&path, SqliteOptions::default()).await.unwrap();
    store.append(append(&stream(1), 0, 1)).await.unwrap();
    for name in ["log.db", "log.db-wal", "log.db-shm"] {
        let mode = std::fs::metadata(scratch.file(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{name}");
    }
}

#[tokio::test]
async fn an_erased_key_is_gone_from_the_disk() {
    let scratch = Scratch::new().unwrap();
    let path = scratch.file("log.db");
    let store = SqliteStore::open(&path, SqliteOptions::default()).await.unwrap();
    let secret = b"the bytes of a wrapped key, as they stand on the disk".to_vec();
    let key = WrappedKey::Wrapped { ring_key: 1, bytes: secret.clone() };
    store.insert(&stream(1), key).await.unwrap();
    for n in 2..50 {
        let other = WrappedKey::Wrapped { ring_key: 1, bytes: vec![9; 72] };
        store.insert(&stream(n), other).await.unwrap();
    }
    let is_on_disk = || {
        ["log.db", "log.db-wal"].iter().any(|name| {
            let bytes = std::fs::read(scratch.file(name)).unwrap_or_default();
            bytes.windows(secret.len()).any(|part| part == secret)
        })
    };
    assert!(is_on_disk());
    store.erase(&stream(1)).await.unwrap();
    assert!(!is_on_disk());
    assert_eq!(store.get(&stream(1)).await.unwrap(), Some(WrappedKey::Erased));
}

#[tokio::test]
async fn one_request_that_cannot_be_written_does_not_take_others_with_it() {
    let scratch = Scratch::new().unwrap();
    let path = scratch.file("log.db");
    let store = std::sync::Arc::new(SqliteStore::open(&path, SqliteOptions::default()).await.unwrap());
    let holder = rusqlite::Connection::open(&path).unwrap();
    holder
        .execute_batch(
            "CREATE TRIGGER broken BEFORE INSERT ON events WHEN NEW.type = 'Broken'
         BEGIN SELECT RAISE(ABORT, 'broken'); END",
        )
        .unwrap();
    let mut tasks = Vec::new();
    for n in 0..40_u128 {
        let store = std::sync::Arc::clone(&store);
        let mut append = append(&stream(n), 0, 1);
        if n % 8 == 0 {
            append.events[0].event_type = "Broken".into();
        }
        tasks.push(tokio::spawn(async move { (n, store.append(append).await.is_ok()) }));
    }
    for task in tasks {
        let (n, is_written) = task.await.unwrap();
        assert_eq!(is_written, n % 8 != 0);
    }
    assert_eq!(store.last_position().await.unwrap(), Position(35));
}

#[tokio::test]
async fn what_another_process_appends_is_noticed_within_fifty_milliseconds() {
    let scratch = Scratch::new().unwrap();
    let path = scratch.file("log.db");
    let here = SqliteStore::open(&path, SqliteOptions::default()).await.unwrap();
    let there = SqliteStore::open(&path, SqliteOptions::default()).await.unwrap();
    let mut quickest = Duration::MAX;
    for n in 0..10 {
        let mut watch = here.watch();
        let appended = there.append(append(&stream(n), 0, 1)).await.unwrap();
        let begun = Instant::now();
        watch.wait_for(|position| *position >= appended.position).await.unwrap();
        quickest = quickest.min(begun.elapsed());
    }
    // The best of ten: a machine that is busy with other tests may be late once.
    assert!(quickest < Duration::from_millis(50), "{quickest:?}");
}

#[tokio::test]
async fn a_long_log_opens_as_fast_as_an_empty_one() {
    let scratch = Scratch::new().unwrap();
    let path = scratch.file("log.db");
    let store = SqliteStore::open(&path, SqliteOptions::default()).await.unwrap();
    for n in 0..200 {
        store.append(append(&stream(n), 0, 500)).await.unwrap();
    }
    store.close().await;
    let opened = eventually(|| async {
        let begun = Instant::now();
        let store = SqliteStore::open(&path, SqliteOptions::default()).await.unwrap();
        let took = begun.elapsed();
        assert_eq!(store.last_position().await.unwrap(), Position(100_000));
        store.close().await;
        (took < Duration::from_millis(50)).then_some(())
    });
    assert!(opened.await.is_some());
}

#[tokio::test]
async fn a_closed_log_says_so() {
    let scratch = Scratch::new().unwrap();
    let store = SqliteStore::open(&scratch.file("log.db"), SqliteOptions::default()).await.unwrap();
    store.append(append(&stream(1), 0, 1)).await.unwrap();
    store.close().await;
    store.close().await;
    let error = store.head(&stream(1)).await.unwrap_err();
    assert!(matches!(error, LogError::Unavailable(_)));
    assert!(matches!(store.append(append(&stream(1), 1, 1)).await, Err(AppendError::Log(LogError::Unavailable(_)))));
    // Nothing is left in the write-ahead log: the file alone is the log.
    assert!(!scratch.file("log.db-wal").exists());
}
