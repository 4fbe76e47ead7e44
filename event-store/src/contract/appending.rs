//! Expected versions, conflicts, idempotence.
#![expect(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a case that cannot go on has failed")]

use schemas::envelope::Version;

use super::{LogUnderTest, append, event, stream};
use crate::port::{AppendError, Expected};

/// See its name.
pub async fn an_append_to_a_new_stream_starts_at_version_one(under_test: impl LogUnderTest) {
    let (log, stream) = (under_test.log(), stream());
    let appended = log.append(append(&stream, 0, 1)).await.unwrap();
    assert_eq!(appended.version, Version(1));
    assert_eq!(log.read_stream(&stream, Version::NONE, 10).await.unwrap().len(), 1);
}

/// See its name.
pub async fn an_append_goes_after_the_expected_version(under_test: impl LogUnderTest) {
    let (log, stream) = (under_test.log(), stream());
    let first = log.append(append(&stream, 0, 2)).await.unwrap();
    let second = log.append(append(&stream, 2, 1)).await.unwrap();
    assert_eq!(second.version, Version(3));
    assert!(second.position > first.position);
}

/// See its name.
pub async fn a_stale_version_is_a_conflict_and_appends_nothing(under_test: impl LogUnderTest) {
    let (log, stream) = (under_test.log(), stream());
    log.append(append(&stream, 0, 2)).await.unwrap();
    assert!(matches!(log.append(append(&stream, 1, 1)).await, Err(AppendError::Conflict)));
    assert_eq!(log.head(&stream).await.unwrap(), Version(2));
}

/// See its name.
pub async fn a_version_ahead_of_the_stream_is_a_conflict(under_test: impl LogUnderTest) {
    let (log, stream) = (under_test.log(), stream());
    assert!(matches!(log.append(append(&stream, 3, 1)).await, Err(AppendError::Conflict)));
    log.append(append(&stream, 0, 1)).await.unwrap();
    assert!(matches!(log.append(append(&stream, 3, 1)).await, Err(AppendError::Conflict)));
    assert_eq!(log.head(&stream).await.unwrap(), Version(1));
}

/// See its name.
pub async fn no_stream_is_a_conflict_once_there_is_one(under_test: impl LogUnderTest) {
    let (log, stream) = (under_test.log(), stream());
    log.append(append(&stream, 0, 1)).await.unwrap();
    assert!(matches!(log.append(append(&stream, 0, 1)).await, Err(AppendError::Conflict)));
}

/// See its name.
pub async fn several_events_are_appended_whole(under_test: impl LogUnderTest) {
    let (log, stream) = (under_test.log(), stream());
    let appended = log.append(append(&stream, 0, 5)).await.unwrap();
    let read = log.read_stream(&stream, Version::NONE, 10).await.unwrap();
    let versions: Vec<u64> = read.iter().map(|event| event.version.0).collect();
    assert_eq!(versions, [1, 2, 3, 4, 5]);
    assert_eq!(read.last().unwrap().position, appended.position);
    assert_eq!(appended.version, Version(5));
}

/// See its name.
pub async fn the_same_append_again_returns_the_first_answer(under_test: impl LogUnderTest) {
    let (log, stream) = (under_test.log(), stream());
    let same = append(&stream, 0, 2);
    let first = log.append(same.clone()).await.unwrap();
    assert_eq!(log.append(same.clone()).await.unwrap(), first);
    assert_eq!(log.append(same).await.unwrap(), first);
    assert_eq!(log.head(&stream).await.unwrap(), Version(2));
}

/// See its name.
pub async fn the_same_append_again_is_recognized_after_others(under_test: impl LogUnderTest) {
    let (log, stream) = (under_test.log(), stream());
    log.append(append(&stream, 0, 1)).await.unwrap();
    let same = append(&stream, 1, 2);
    let first = log.append(same.clone()).await.unwrap();
    log.append(append(&stream, 3, 3)).await.unwrap();
    assert_eq!(log.append(same).await.unwrap(), first);
    assert_eq!(log.head(&stream).await.unwrap(), Version(6));
}

/// See its name.
pub async fn the_same_ids_at_another_version_are_a_conflict(under_test: impl LogUnderTest) {
    let (log, stream) = (under_test.log(), stream());
    let mut same = append(&stream, 0, 1);
    log.append(same.clone()).await.unwrap();
    log.append(append(&stream, 1, 3)).await.unwrap();
    same.expected = Expected::Version(Version(2));
    assert!(matches!(log.append(same.clone()).await, Err(AppendError::Conflict)));
    // Half of it is not all of it.
    same.expected = Expected::NoStream;
    same.events.push(event("{}"));
    assert!(matches!(log.append(same).await, Err(AppendError::Conflict)));
}

/// See its name.
pub async fn a_conflict_leaves_its_neighbours_alone(under_test: impl LogUnderTest) {
    let log = under_test.log();
    let taken = stream();
    log.append(append(&taken, 0, 1)).await.unwrap();
    let mut tasks = Vec::new();
    for n in 0..60_u64 {
        let log = log.clone();
        let (stream, fails) = if n % 3 == 0 { (taken.clone(), true) } else { (stream(), false) };
        tasks.push(tokio::spawn(async move { (log.append(append(&stream, 0, 1)).await, fails, stream) }));
    }
    for task in tasks {
        let (result, fails, stream) = task.await.unwrap();
        assert_eq!(matches!(result, Err(AppendError::Conflict)), fails);
        assert_eq!(log.head(&stream).await.unwrap(), Version(1));
    }
}

/// See its name.
pub async fn of_concurrent_appends_at_one_version_one_wins(under_test: impl LogUnderTest) {
    let beside = under_test.beside().await;
    let logs = [under_test.log(), beside.log()];
    let stream = stream();
    for version in 0..20_u64 {
        let mut tasks = Vec::new();
        for n in 0..6 {
            let (log, append) = (logs[n % 2].clone(), append(&stream, version, 1));
            tasks.push(tokio::spawn(async move { log.append(append).await }));
        }
        let mut won = 0;
        for task in tasks {
            match task.await.unwrap() {
                Ok(appended) => {
                    won += 1;
                    assert_eq!(appended.version, Version(version + 1));
                }
                Err(error) => assert!(matches!(error, AppendError::Conflict), "{error}"),
            }
        }
        assert_eq!(won, 1);
    }
}
