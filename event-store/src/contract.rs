//! The contract: small named cases that every adapter passes, so that the rest of Countersign need not
//! know which one it runs on. Feature `contract`.
//!
//! An adapter's test implements [`LogUnderTest`] and lists the cases with [`contract!`](macro@crate::contract):
//!
//! ```text
//! event_store::contract!(MyLog);
//! ```
//!
//! Where a log outlives a case, as on a server that is shared, [`LogUnderTest::is_shared`] says so, and each
//! case begins where the log ends then; they run one after the other, from the list that
//! [`contract_cases!`](macro@crate::contract_cases) makes.

mod appending;
mod keys;
mod reading;
mod receipts;
mod snapshots;
mod subscribing;

use std::{pin::Pin, sync::Arc};

use async_trait::async_trait;
use domain::{
    ids::{AccountId, EventId, StreamId},
    time::Timestamp,
};
use runtime::Runtime;
use schemas::envelope::{NewEvent, Position, Version};
use uuid::Uuid;

pub use self::{appending::*, keys::*, reading::*, receipts::*, snapshots::*, subscribing::*};
use crate::port::{Append, EventLog, Expected, KeyStore, LogError, SnapshotStore};

/// A fresh, empty log with the stores beside it.
#[async_trait]
pub trait LogUnderTest: Sized + Send + Sync + 'static {
    /// A fresh one.
    async fn fresh() -> Self;
    /// The same data through another handle, as another process would open it.
    async fn beside(&self) -> Self;
    /// Its log.
    fn log(&self) -> Arc<dyn EventLog>;
    /// Its keys.
    fn keys(&self) -> Arc<dyn KeyStore>;
    /// Its snapshots.
    fn snapshots(&self) -> Arc<dyn SnapshotStore>;
    /// Whether the log may hold events of earlier cases.
    fn is_shared(&self) -> bool {
        false
    }
}

/// A case by its name, to be run by a harness of one's own.
pub struct Case {
    /// Its name.
    pub name: &'static str,
    /// Runs it; it panics when it fails.
    pub run: fn() -> Pin<Box<dyn Future<Output = ()>>>,
}

/// A test per case of the contract.
#[macro_export]
macro_rules! contract {
    ($log:ty) => {
        $crate::contract_cases!(@each contract_tests $log);
    };
}

/// A list of all cases of the contract.
#[macro_export]
macro_rules! contract_cases {
    ($log:ty) => {
        $crate::contract_cases!(@each contract_list $log)
    };
    (@each $made:ident $log:ty) => {
        $crate::$made!($log:
            an_append_to_a_new_stream_starts_at_version_one
            an_append_goes_after_the_expected_version
            a_stale_version_is_a_conflict_and_appends_nothing
            a_version_ahead_of_the_stream_is_a_conflict
            no_stream_is_a_conflict_once_there_is_one
            several_events_are_appended_whole
            the_same_append_again_returns_the_first_answer
            the_same_append_again_is_recognized_after_others
            the_same_ids_at_another_version_are_a_conflict
            a_conflict_leaves_its_neighbours_alone
            of_concurrent_appends_at_one_version_one_wins
            the_bytes_are_kept_as_written
            streams_do_not_mix
            a_stream_is_read_from_after_a_version
            a_read_returns_no_more_than_its_limit
            the_head_of_an_unknown_stream_is_none
            the_head_is_that_of_every_handle
            positions_grow_in_commit_order
            all_is_read_in_order_and_once
            the_last_position_is_that_of_the_last_event
            a_subscriber_catches_up_and_follows
            a_subscriber_sees_every_event_of_concurrent_writers_once_and_in_order
            a_subscriber_sees_what_another_handle_appends
            a_subscriber_that_starts_late_sees_only_later_events
            a_cancelled_wait_loses_nothing
            a_watch_moves_with_every_append
            a_receipt_commits_with_its_append
            a_conflict_leaves_no_receipt
            a_taken_receipt_is_a_conflict
            an_expired_receipt_gives_way
            an_expired_receipt_is_not_told
            a_key_is_kept_once
            concurrent_makers_of_a_key_agree
            several_keys_are_read_in_their_order
            several_keys_are_kept_once_each
            concurrent_makers_of_several_keys_agree
            an_erased_key_stays_erased
            a_stream_without_a_key_can_be_erased
            a_rewrapped_key_takes_the_place_of_the_old_one
            keys_under_other_ring_keys_are_listed_in_pages
            a_snapshot_is_read_back
            an_older_snapshot_does_not_replace_a_newer_one
            a_snapshot_of_another_format_replaces_any
            a_deleted_snapshot_is_gone
        );
    };
}

/// See [`contract!`](macro@crate::contract).
#[doc(hidden)]
#[macro_export]
macro_rules! contract_tests {
    ($log:ty: $($case:ident)+) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                $crate::contract::$case(<$log as $crate::contract::LogUnderTest>::fresh().await).await;
            }
        )+
    };
}

/// See [`contract_cases!`](macro@crate::contract_cases).
#[doc(hidden)]
#[macro_export]
macro_rules! contract_list {
    ($log:ty: $($case:ident)+) => {
        vec![$($crate::contract::Case {
            name: stringify!($case),
            run: || Box::pin(async {
                $crate::contract::$case(<$log as $crate::contract::LogUnderTest>::fresh().await).await;
            }),
        }),+]
    };
}

/// Where a case begins: the start, or the end of what earlier cases left in a shared log.
pub(crate) async fn beginning(under_test: &impl LogUnderTest) -> Result<Position, LogError> {
    let last = under_test.log().last_position().await?;
    if last != Position::START && !under_test.is_shared() {
        return Err(LogError::Unreadable("a fresh log holds events".to_owned()));
    }
    Ok(last)
}

/// A moment of the cases.
pub(crate) const NOW: Timestamp = Timestamp::from_seconds(1_795_521_600);

#[expect(clippy::expect_used, reason = "a case that cannot go on has failed")]
pub(crate) fn runtime() -> Runtime {
    Runtime::system().expect("random numbers")
}

pub(crate) fn uuid() -> Uuid {
    let bytes = runtime().random_bytes::<16>().map_or([7; 16], |bytes| *bytes);
    uuid::Builder::from_random_bytes(bytes).into_uuid()
}

pub(crate) fn stream() -> StreamId {
    StreamId::Account(AccountId(uuid()))
}

pub(crate) fn event(data: &str) -> NewEvent {
    NewEvent {
        id: EventId(uuid()),
        event_type: "Something".into(),
        schema_version: 1,
        metadata: b"{}".to_vec(),
        data: data.as_bytes().to_vec(),
    }
}

/// An append of this many events after a version.
pub(crate) fn append(stream: &StreamId, after: u64, count: u64) -> Append {
    let expected = if after == 0 { Expected::NoStream } else { Expected::Version(Version(after)) };
    let events = (1..=count).map(|n| event(&format!("{{\"n\":{}}}", after + n))).collect();
    Append { stream: stream.clone(), expected, events, receipt: None }
}
