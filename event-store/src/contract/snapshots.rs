//! Snapshots: the newest one, and disposable.
#![expect(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a case that cannot go on has failed")]

use schemas::envelope::{Position, Version};

use super::{LogUnderTest, stream};
use crate::port::Snapshot;

fn snapshot(version: u64, format: u32) -> Snapshot {
    Snapshot { version: Version(version), position: Position(version * 2), format, bytes: vec![1, 2, 3] }
}

/// See its name.
pub async fn a_snapshot_is_read_back(under_test: impl LogUnderTest) {
    let (snapshots, stream) = (under_test.snapshots(), stream());
    assert_eq!(snapshots.load(&stream).await.unwrap(), None);
    snapshots.save(&stream, snapshot(5, 1)).await.unwrap();
    assert_eq!(snapshots.load(&stream).await.unwrap(), Some(snapshot(5, 1)));
}

/// See its name.
pub async fn an_older_snapshot_does_not_replace_a_newer_one(under_test: impl LogUnderTest) {
    let (snapshots, stream) = (under_test.snapshots(), stream());
    snapshots.save(&stream, snapshot(9, 1)).await.unwrap();
    snapshots.save(&stream, snapshot(5, 1)).await.unwrap();
    assert_eq!(snapshots.load(&stream).await.unwrap(), Some(snapshot(9, 1)));
}

/// See its name.
pub async fn a_snapshot_of_another_format_replaces_any(under_test: impl LogUnderTest) {
    let (snapshots, stream) = (under_test.snapshots(), stream());
    snapshots.save(&stream, snapshot(9, 1)).await.unwrap();
    snapshots.save(&stream, snapshot(5, 2)).await.unwrap();
    assert_eq!(snapshots.load(&stream).await.unwrap(), Some(snapshot(5, 2)));
}

/// See its name.
pub async fn a_deleted_snapshot_is_gone(under_test: impl LogUnderTest) {
    let (snapshots, stream) = (under_test.snapshots(), stream());
    snapshots.save(&stream, snapshot(5, 1)).await.unwrap();
    snapshots.delete(&stream).await.unwrap();
    assert_eq!(snapshots.load(&stream).await.unwrap(), None);
}
