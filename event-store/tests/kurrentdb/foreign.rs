//! What stands in the log that Countersign did not write, or does not stand there any more.

use event_store::port::{AppendError, EventLog, LogError};
use schemas::envelope::{Position, Version};

use crate::{append, stream};
use servers::kurrentdb::under_test::Kurrent;
use servers::kurrentdb::{FakeServer, Setup};

fn assert_unreadable<T: std::fmt::Debug>(result: Result<T, LogError>, needle: &str) {
    let Err(LogError::Unreadable(message)) = result else { panic!("it was read: {result:?}") };
    assert!(message.contains(needle), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_of_someone_else_in_one_of_our_streams_is_refused_and_what_stands_before_it_is_read() {
    let kurrent = Kurrent::on(FakeServer::start().await).await;
    let stream = stream();
    let appended = kurrent.store.append(append(&stream, 0, 2)).await.unwrap();
    kurrent.server.core.journal().foreign(&stream.to_string(), "Other", b"{\"$causedBy\":\"admin\"}");
    kurrent.server.core.announce();

    assert_unreadable(kurrent.store.read_stream(&stream, Version::NONE, 9).await, "not written by Countersign");
    assert_unreadable(kurrent.store.head(&stream).await, "event 2 of stream");
    assert_eq!(kurrent.store.read_all(Position::START, 9).await.unwrap().len(), 2);
    assert_unreadable(kurrent.store.read_all(appended.position, 9).await, "server of its own");
    // Followers are woken, so that they run into it.
    let mut watch = kurrent.store.watch();
    let moved = watch.wait_for(|position| *position > appended.position);
    tokio::time::timeout(std::time::Duration::from_secs(10), moved).await.unwrap().unwrap();
    assert_unreadable(kurrent.store.read_all(appended.position, 9).await, "not written by Countersign");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_of_a_transaction_has_no_position_of_its_own_and_is_refused() {
    let kurrent = Kurrent::on(FakeServer::start().await).await;
    let stream = stream();
    kurrent
        .server
        .core
        .journal()
        .foreign_in_transaction(&stream.to_string(), b"{\"schema_version\":1,\"metadata\":{}}");
    assert_unreadable(kurrent.store.read_all(Position::START, 9).await, "in a transaction");
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_that_only_begin_like_ours_are_passed_over() {
    let kurrent = Kurrent::on(FakeServer::start().await).await;
    for n in 0..40 {
        kurrent.server.core.journal().foreign(&format!("account-{n}"), "Other", b"{}");
    }
    assert_eq!(kurrent.store.last_position().await.unwrap(), Position::START);
    assert!(kurrent.store.read_all(Position::START, 2).await.unwrap().is_empty());
    let stream = stream();
    let appended = kurrent.store.append(append(&stream, 0, 3)).await.unwrap();
    for n in 0..300 {
        kurrent.server.core.journal().foreign(&format!("api-key-{n}"), "Other", b"{}");
    }
    kurrent.server.core.announce();
    assert_eq!(kurrent.store.read_all(Position::START, 2).await.unwrap().len(), 2);
    assert_eq!(kurrent.store.last_position().await.unwrap(), appended.position);
    assert!(kurrent.store.read_all(appended.position, 2).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_does_not_filter_reads_is_read_whole() {
    let kurrent = Kurrent::on(FakeServer::start_with(Setup { filters_reads: false, ..Setup::default() }).await).await;
    let stream = stream();
    for version in 0..9 {
        for n in 0..60 {
            kurrent.server.core.journal().foreign(&format!("orders-{n}"), "Other", b"{}");
        }
        kurrent.store.append(append(&stream, version, 1)).await.unwrap();
    }
    let beside = event_store::contract::LogUnderTest::beside(&kurrent).await;
    let (mut after, mut versions) = (Position::START, Vec::new());
    loop {
        let page = beside.store.read_all(after, 2).await.unwrap();
        let Some(last) = page.last() else { break };
        after = last.position;
        versions.extend(page.iter().map(|event| event.version.0));
    }
    assert_eq!(versions, (1..=9).collect::<Vec<_>>());
    assert_eq!(beside.store.last_position().await.unwrap(), after);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_was_truncated_is_refused_where_it_lacks_something() {
    let kurrent = Kurrent::on(FakeServer::start().await).await;
    let stream = stream();
    kurrent.store.append(append(&stream, 0, 5)).await.unwrap();
    kurrent.server.core.journal().truncate(&stream.to_string(), 3);
    assert_unreadable(kurrent.store.read_stream(&stream, Version::NONE, 9).await, "lacks the event of version 1");
    assert_eq!(kurrent.store.read_stream(&stream, Version(3), 9).await.unwrap().len(), 2);
    assert_eq!(kurrent.store.head(&stream).await.unwrap(), Version(5));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_was_deleted_softly_does_not_begin_again_unnoticed() {
    let kurrent = Kurrent::on(FakeServer::start().await).await;
    let stream = stream();
    kurrent.store.append(append(&stream, 0, 2)).await.unwrap();
    kurrent.server.core.journal().truncate(&stream.to_string(), u64::MAX);
    assert_eq!(kurrent.store.head(&stream).await.unwrap(), Version::NONE);
    let result = kurrent.store.append(append(&stream, 0, 1)).await;
    assert!(matches!(&result, Err(AppendError::Unknown(LogError::Unreadable(_)))), "{result:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_was_deleted_for_good_is_refused() {
    let kurrent = Kurrent::on(FakeServer::start().await).await;
    let stream = stream();
    kurrent.store.append(append(&stream, 0, 1)).await.unwrap();
    kurrent.server.core.journal().delete(&stream.to_string());
    assert_unreadable(kurrent.store.read_stream(&stream, Version::NONE, 9).await, "deleted");
    assert_unreadable(kurrent.store.head(&stream).await, "deleted");
    let result = kurrent.store.append(append(&stream, 1, 1)).await;
    assert!(matches!(&result, Err(AppendError::Log(LogError::Unreadable(_)))), "{result:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn data_that_is_json_is_marked_so_and_other_bytes_are_not() {
    let kurrent = Kurrent::on(FakeServer::start().await).await;
    let stream = stream();
    let mut written = append(&stream, 0, 3);
    written.events[1].data = b" {\"a\": 1}".to_vec();
    written.events[2].data = vec![0, 255];
    kurrent.store.append(written).await.unwrap();
    let types: Vec<String> = kurrent
        .server
        .core
        .journal()
        .records
        .iter()
        .filter(|record| record.stream == stream.to_string())
        .map(|record| record.content_type.clone())
        .collect();
    assert_eq!(types, ["application/json", "application/octet-stream", "application/octet-stream"]);
    let read = kurrent.store.read_stream(&stream, Version::NONE, 9).await.unwrap();
    assert_eq!(read[1].data, b" {\"a\": 1}");
}
