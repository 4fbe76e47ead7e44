//! Followers of the log: nothing skipped, nothing reordered, nothing twice.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "a case that cannot go on has failed"
)]

use std::{collections::HashSet, time::Duration};

use schemas::envelope::StoredEvent;
use tokio::time::timeout;

use super::{LogUnderTest, append, beginning, runtime, stream};
use crate::subscription::{Subscription, subscribe};

const SOON: Duration = Duration::from_secs(10);

async fn take(subscription: &mut Subscription, count: usize) -> Vec<StoredEvent> {
    let mut taken = Vec::new();
    while taken.len() < count {
        taken.extend(timeout(SOON, subscription.next()).await.expect("an event within the time").unwrap());
    }
    taken
}

fn assert_in_order(events: &[StoredEvent]) {
    assert!(events.windows(2).all(|pair| pair[0].position < pair[1].position));
}

/// See its name.
pub async fn a_subscriber_catches_up_and_follows(under_test: impl LogUnderTest) {
    let beginning = beginning(&under_test).await.unwrap();
    let (log, stream) = (under_test.log(), stream());
    log.append(append(&stream, 0, 7)).await.unwrap();
    let mut subscription = subscribe(&runtime(), log.clone(), beginning, 3);
    assert_eq!(take(&mut subscription, 7).await.len(), 7);
    assert!(subscription.is_caught_up());
    let later = tokio::spawn(async move { take(&mut subscription, 2).await });
    log.append(append(&stream, 7, 2)).await.unwrap();
    let versions: Vec<u64> = later.await.unwrap().iter().map(|event| event.version.0).collect();
    assert_eq!(versions, [8, 9]);
}

/// See its name.
pub async fn a_subscriber_sees_every_event_of_concurrent_writers_once_and_in_order(under_test: impl LogUnderTest) {
    const WRITERS: u64 = 16;
    const EACH: u64 = 25;
    let beginning = beginning(&under_test).await.unwrap();
    let beside = under_test.beside().await;
    let logs = [under_test.log(), beside.log()];
    let mut followers = Vec::new();
    for log in &logs {
        let mut subscription = subscribe(&runtime(), log.clone(), beginning, 10);
        followers.push(tokio::spawn(async move {
            take(&mut subscription, usize::try_from(WRITERS * EACH * 2).unwrap()).await
        }));
    }
    let mut writers = Vec::new();
    for writer in 0..WRITERS {
        let log = logs[usize::try_from(writer % 2).unwrap()].clone();
        writers.push(tokio::spawn(async move {
            let stream = stream();
            for n in 0..EACH {
                log.append(append(&stream, n * 2, 2)).await.unwrap();
            }
        }));
    }
    for writer in writers {
        writer.await.unwrap();
    }
    let mut seen = Vec::new();
    for follower in followers {
        let events = follower.await.unwrap();
        assert_in_order(&events);
        let ids: HashSet<_> = events.iter().map(|event| event.id).collect();
        assert_eq!(u64::try_from(ids.len()).unwrap(), WRITERS * EACH * 2);
        assert_eq!(events.len(), ids.len());
        seen.push(events.iter().map(|event| event.id).collect::<Vec<_>>());
    }
    assert_eq!(seen[0], seen[1]);
}

/// See its name.
pub async fn a_subscriber_sees_what_another_handle_appends(under_test: impl LogUnderTest) {
    let beginning = beginning(&under_test).await.unwrap();
    let beside = under_test.beside().await;
    let mut subscription = subscribe(&runtime(), under_test.log(), beginning, 10);
    let stream = stream();
    for version in 0..5 {
        let appended = beside.log().append(append(&stream, version, 1)).await.unwrap();
        assert_eq!(take(&mut subscription, 1).await[0].position, appended.position);
        // And again from this side, so that what either handle remembers of the other's events is tried.
    }
    under_test.log().append(append(&stream, 5, 1)).await.unwrap();
    beside.log().append(append(&stream, 6, 1)).await.unwrap();
    under_test.log().append(append(&stream, 7, 1)).await.unwrap();
    let versions: Vec<u64> = take(&mut subscription, 3).await.iter().map(|event| event.version.0).collect();
    assert_eq!(versions, [6, 7, 8]);
}

/// See its name.
pub async fn a_subscriber_that_starts_late_sees_only_later_events(under_test: impl LogUnderTest) {
    let (log, stream) = (under_test.log(), stream());
    let first = log.append(append(&stream, 0, 3)).await.unwrap();
    let mut subscription = subscribe(&runtime(), log.clone(), first.position, 10);
    log.append(append(&stream, 3, 1)).await.unwrap();
    let events = take(&mut subscription, 1).await;
    assert_eq!(events[0].version.0, 4);
    assert_eq!(subscription.position(), events[0].position);
}

/// See its name.
pub async fn a_cancelled_wait_loses_nothing(under_test: impl LogUnderTest) {
    let beginning = beginning(&under_test).await.unwrap();
    let (log, stream) = (under_test.log(), stream());
    let mut subscription = subscribe(&runtime(), log.clone(), beginning, 4);
    let mut seen = Vec::new();
    for version in 0..20 {
        log.append(append(&stream, version, 1)).await.unwrap();
        // Too short to be sure of an answer: some of these are cancelled in the middle.
        if let Ok(events) = timeout(Duration::from_micros(version * 20), subscription.next()).await {
            seen.extend(events.unwrap());
        }
    }
    let missing = 20 - seen.len();
    seen.extend(take(&mut subscription, missing).await);
    assert_eq!(seen.iter().map(|event| event.version.0).collect::<Vec<_>>(), (1..=20).collect::<Vec<_>>());
}

/// See its name.
pub async fn a_watch_moves_with_every_append(under_test: impl LogUnderTest) {
    let log = under_test.log();
    let mut watch = log.watch();
    for _ in 0..3 {
        let appended = log.append(append(&stream(), 0, 1)).await.unwrap();
        let reached = timeout(SOON, watch.wait_for(|position| *position >= appended.position)).await;
        assert!(reached.expect("it moves within the time").is_ok());
    }
}
