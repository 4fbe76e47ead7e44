//! Streams, heads, order.
#![expect(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a case that cannot go on has failed")]

use std::collections::HashSet;

use domain::ids::{EventId, StreamId};
use schemas::envelope::{NewEvent, Position, Version};

use super::{LogUnderTest, append, beginning, stream, uuid};
use crate::port::{Append, Expected};

/// See its name.
pub async fn the_bytes_are_kept_as_written(under_test: impl LogUnderTest) {
    let beginning = beginning(&under_test).await.unwrap();
    let (log, stream) = (under_test.log(), stream());
    let written = NewEvent {
        id: EventId(uuid()),
        event_type: "Ünusual".into(),
        schema_version: 65_535,
        // Space and order that no JSON library would keep, and bytes that are no text at all.
        metadata: b"{ \"b\" : 1,\n\"a\":2 }".to_vec(),
        data: vec![0, 255, 1, 254, 10, 13, 0],
    };
    let events = vec![written.clone()];
    log.append(Append { stream: stream.clone(), expected: Expected::NoStream, events, receipt: None }).await.unwrap();
    let beside = under_test.beside().await;
    for log in [log, beside.log()] {
        let from_stream = log.read_stream(&stream, Version::NONE, 1).await.unwrap();
        let from_all = log.read_all(beginning, 1).await.unwrap();
        for read in [&from_stream[0], &from_all[0]] {
            assert_eq!(read.id, written.id);
            assert_eq!(read.event_type, written.event_type);
            assert_eq!(read.schema_version, written.schema_version);
            assert_eq!(read.metadata, written.metadata);
            assert_eq!(read.data, written.data);
            assert_eq!(*read.stream, *stream.to_string());
            assert_eq!(read.version, Version(1));
        }
    }
}

/// See its name.
pub async fn streams_do_not_mix(under_test: impl LogUnderTest) {
    let log = under_test.log();
    let (one, other) = (stream(), stream());
    log.append(append(&one, 0, 2)).await.unwrap();
    log.append(append(&other, 0, 3)).await.unwrap();
    log.append(append(&one, 2, 1)).await.unwrap();
    let read = log.read_stream(&one, Version::NONE, 10).await.unwrap();
    assert_eq!(read.len(), 3);
    assert!(read.iter().all(|event| *event.stream == *one.to_string()));
    assert_eq!(log.head(&other).await.unwrap(), Version(3));
}

/// See its name.
pub async fn a_stream_is_read_from_after_a_version(under_test: impl LogUnderTest) {
    let (log, stream) = (under_test.log(), stream());
    log.append(append(&stream, 0, 5)).await.unwrap();
    let read = log.read_stream(&stream, Version(3), 10).await.unwrap();
    assert_eq!(read.iter().map(|event| event.version.0).collect::<Vec<_>>(), [4, 5]);
    assert!(log.read_stream(&stream, Version(5), 10).await.unwrap().is_empty());
    assert!(log.read_stream(&stream, Version(99), 10).await.unwrap().is_empty());
}

/// See its name.
pub async fn a_read_returns_no_more_than_its_limit(under_test: impl LogUnderTest) {
    let (log, stream) = (under_test.log(), stream());
    log.append(append(&stream, 0, 5)).await.unwrap();
    let read = log.read_stream(&stream, Version(1), 2).await.unwrap();
    assert_eq!(read.iter().map(|event| event.version.0).collect::<Vec<_>>(), [2, 3]);
    assert_eq!(log.read_all(Position::START, 3).await.unwrap().len(), 3);
}

/// See its name.
pub async fn the_head_of_an_unknown_stream_is_none(under_test: impl LogUnderTest) {
    let log = under_test.log();
    assert_eq!(log.head(&stream()).await.unwrap(), Version::NONE);
    assert!(log.read_stream(&stream(), Version::NONE, 10).await.unwrap().is_empty());
}

/// See its name.
pub async fn the_head_is_that_of_every_handle(under_test: impl LogUnderTest) {
    let beside = under_test.beside().await;
    let stream = stream();
    for version in 0..10 {
        let (writes, reads) = if version % 2 == 0 { (&under_test, &beside) } else { (&beside, &under_test) };
        writes.log().append(append(&stream, version, 1)).await.unwrap();
        assert_eq!(reads.log().head(&stream).await.unwrap(), Version(version + 1));
    }
}

/// See its name.
pub async fn positions_grow_in_commit_order(under_test: impl LogUnderTest) {
    let log = under_test.log();
    let mut last = Position::START;
    for _ in 0..10 {
        let appended = log.append(append(&stream(), 0, 2)).await.unwrap();
        assert!(appended.position > last);
        last = appended.position;
    }
}

/// See its name.
pub async fn all_is_read_in_order_and_once(under_test: impl LogUnderTest) {
    let beginning = beginning(&under_test).await.unwrap();
    let log = under_test.log();
    let streams: Vec<StreamId> = (0..7).map(|_| stream()).collect();
    for version in 0..6 {
        for stream in &streams {
            log.append(append(stream, version, 1)).await.unwrap();
        }
    }
    let (mut after, mut ids, mut versions) = (beginning, HashSet::new(), std::collections::HashMap::new());
    loop {
        let page = log.read_all(after, 5).await.unwrap();
        let Some(last) = page.last() else { break };
        for event in &page {
            assert!(event.position > after);
            after = event.position;
            assert!(ids.insert(event.id));
            let version: &mut u64 = versions.entry(event.stream.clone()).or_default();
            *version += 1;
            assert_eq!(event.version.0, *version);
        }
        assert_eq!(last.position, after);
    }
    assert_eq!(ids.len(), 42);
}

/// See its name.
pub async fn the_last_position_is_that_of_the_last_event(under_test: impl LogUnderTest) {
    let log = under_test.log();
    let beginning = beginning(&under_test).await.unwrap();
    assert!(log.read_all(beginning, 1).await.unwrap().is_empty());
    let appended = log.append(append(&stream(), 0, 3)).await.unwrap();
    assert!(appended.position > beginning);
    assert_eq!(log.last_position().await.unwrap(), appended.position);
    assert_eq!(under_test.beside().await.log().last_position().await.unwrap(), appended.position);
}
