//! Answers that commit with their append.
#![expect(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a case that cannot go on has failed")]

use domain::time::Seconds;
use schemas::envelope::Version;

use super::{LogUnderTest, NOW, append, stream};
use crate::port::{Append, AppendError, Receipt};

const KEY: [u8; 32] = [3; 32];

fn with_receipt(mut append: Append, answer: &[u8]) -> Append {
    append.receipt = Some(Receipt {
        key: KEY,
        body: [4; 32],
        stream: append.stream.clone(),
        answer: answer.to_vec(),
        at: NOW,
        expires_at: NOW.plus(Seconds(60)),
    });
    append
}

/// See its name.
pub async fn a_receipt_commits_with_its_append(under_test: impl LogUnderTest) {
    let (log, stream) = (under_test.log(), stream());
    assert_eq!(log.receipt(&KEY, NOW).await.unwrap(), None);
    log.append(with_receipt(append(&stream, 0, 1), b"answer")).await.unwrap();
    for log in [log, under_test.beside().await.log()] {
        let receipt = log.receipt(&KEY, NOW).await.unwrap().unwrap();
        assert_eq!(receipt.answer, b"answer");
        assert_eq!(receipt.body, [4; 32]);
        assert_eq!(receipt.stream, stream);
        assert_eq!(receipt.expires_at, NOW.plus(Seconds(60)));
    }
}

/// See its name.
pub async fn a_conflict_leaves_no_receipt(under_test: impl LogUnderTest) {
    let (log, stream) = (under_test.log(), stream());
    log.append(append(&stream, 0, 1)).await.unwrap();
    let result = log.append(with_receipt(append(&stream, 0, 1), b"answer")).await;
    assert!(matches!(result, Err(AppendError::Conflict)));
    assert_eq!(log.receipt(&KEY, NOW).await.unwrap(), None);
}

/// See its name.
pub async fn a_taken_receipt_is_a_conflict(under_test: impl LogUnderTest) {
    let log = under_test.log();
    let (one, other) = (stream(), stream());
    let first = with_receipt(append(&one, 0, 1), b"first");
    let appended = log.append(first.clone()).await.unwrap();
    let result = log.append(with_receipt(append(&other, 0, 1), b"second")).await;
    assert!(matches!(result, Err(AppendError::Conflict)));
    assert_eq!(log.head(&other).await.unwrap(), Version::NONE);
    assert_eq!(log.receipt(&KEY, NOW).await.unwrap().unwrap().answer, b"first");
    // The first one again is still recognized: its own receipt does not stand in its way.
    assert_eq!(log.append(first).await.unwrap(), appended);
}

/// See its name.
pub async fn an_expired_receipt_gives_way(under_test: impl LogUnderTest) {
    let log = under_test.log();
    log.append(with_receipt(append(&stream(), 0, 1), b"first")).await.unwrap();
    let later = NOW.plus(Seconds(61));
    let mut second = with_receipt(append(&stream(), 0, 1), b"second");
    if let Some(receipt) = second.receipt.as_mut() {
        receipt.at = later;
        receipt.expires_at = later.plus(Seconds(60));
    }
    log.append(second).await.unwrap();
    assert_eq!(log.receipt(&KEY, later).await.unwrap().unwrap().answer, b"second");
}

/// See its name.
pub async fn an_expired_receipt_is_not_told(under_test: impl LogUnderTest) {
    let log = under_test.log();
    log.append(with_receipt(append(&stream(), 0, 1), b"first")).await.unwrap();
    assert!(log.receipt(&KEY, NOW.plus(Seconds(59))).await.unwrap().is_some());
    assert!(log.receipt(&KEY, NOW.plus(Seconds(60))).await.unwrap().is_none());
}
