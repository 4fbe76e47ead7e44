//! Receipts that are written before their append: what is left of a command that never got that far.

use domain::{
    ids::{EventId, StreamId},
    time::{Seconds, Timestamp},
};
use event_store::{
    contract::LogUnderTest,
    port::{Append, AppendError, EventLog, Receipt},
    postgres::{PendingReceipt, ReceiptProof},
};
use schemas::envelope::Version;

use crate::{append, stream, uuid};
use servers::kurrentdb::under_test::Kurrent;
use servers::kurrentdb::{FakeServer, Fault};

const KEY: [u8; 32] = [3; 32];
const NOW: Timestamp = Timestamp::from_seconds(1_795_521_600);

fn receipt(stream: &StreamId, answer: &[u8], at: Timestamp) -> Receipt {
    let expires_at = at.plus(Seconds(3_600));
    Receipt { key: KEY, body: [4; 32], stream: stream.clone(), answer: answer.to_vec(), at, expires_at }
}

fn with_receipt(mut append: Append, answer: &[u8], at: Timestamp) -> Append {
    append.receipt = Some(receipt(&append.stream, answer, at));
    append
}

/// The receipt of a command whose append was to go to the beginning of a stream, and did not yet.
async fn begun(kurrent: &Kurrent, stream: &StreamId) -> EventId {
    let event = EventId(uuid());
    let proof = ReceiptProof { stream: stream.clone(), version: Version(1), event };
    let pending = PendingReceipt { receipt: receipt(stream, b"begun", NOW), proof };
    assert_eq!(kurrent.side.put_receipt(&pending).await.unwrap(), None);
    event
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_without_its_event_is_not_told() {
    let kurrent = Kurrent::on(FakeServer::start().await).await;
    begun(&kurrent, &stream()).await;
    assert_eq!(kurrent.store.receipt(&KEY, NOW).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn receipts_that_expired_are_forgotten_beside_the_appends() {
    let kurrent = Kurrent::on(FakeServer::start().await).await;
    let key = |n: u32| {
        let mut key = [0; 32];
        key[..4].copy_from_slice(&n.to_be_bytes());
        key
    };
    // Those of commands that never came to an end, more than are dropped at once.
    for n in 0_u32..1_100 {
        let stream = stream();
        let proof = ReceiptProof { stream: stream.clone(), version: Version(1), event: EventId(uuid()) };
        let pending = PendingReceipt { receipt: Receipt { key: key(n), ..receipt(&stream, b"begun", NOW) }, proof };
        assert_eq!(kurrent.side.put_receipt(&pending).await.unwrap(), None);
    }
    let later = NOW.plus(Seconds(7_200));
    kurrent.store.append(with_receipt(append(&stream(), 0, 1), b"mine", later)).await.unwrap();
    // Asked as of then, they would still be told: they are gone from the table itself.
    let left = event_store::testing::eventually(|| async {
        for n in 0_u32..1_100 {
            if kurrent.side.pending_receipt(&key(n), NOW).await.unwrap().is_some() {
                return None;
            }
        }
        Some(())
    });
    left.await.unwrap();
    assert_eq!(kurrent.store.receipt(&KEY, later).await.unwrap().unwrap().answer, b"mine");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_in_whose_place_others_stand_gives_way() {
    let kurrent = Kurrent::on(FakeServer::start().await).await;
    let stream = stream();
    begun(&kurrent, &stream).await;
    kurrent.store.append(append(&stream, 0, 1)).await.unwrap();
    kurrent.store.append(with_receipt(append(&stream, 1, 1), b"mine", NOW)).await.unwrap();
    assert_eq!(kurrent.store.receipt(&KEY, NOW).await.unwrap().unwrap().answer, b"mine");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_may_be_under_way_is_waited_for_and_then_answered_for() {
    let kurrent = Kurrent::on(FakeServer::start().await).await;
    let beside = kurrent.beside().await;
    let (theirs, mine) = (stream(), stream());
    let event = begun(&kurrent, &theirs).await;
    let mut under_way = append(&theirs, 0, 1);
    under_way.events[0].id = event;
    let waits = tokio::spawn({
        let (log, append) = (beside.store.clone(), with_receipt(append(&mine, 0, 1), b"mine", NOW));
        async move { log.append(append).await }
    });
    kurrent.store.append(under_way).await.unwrap();
    assert!(matches!(waits.await.unwrap(), Err(AppendError::Conflict)));
    assert_eq!(kurrent.store.head(&mine).await.unwrap(), Version::NONE);
    assert_eq!(kurrent.store.receipt(&KEY, NOW).await.unwrap().unwrap().answer, b"begun");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_never_comes_to_an_end_holds_the_key_only_for_a_while() {
    let kurrent = Kurrent::on(FakeServer::start().await).await;
    begun(&kurrent, &stream()).await;
    let mine = stream();
    let refused = kurrent.store.append(with_receipt(append(&mine, 0, 1), b"mine", NOW)).await;
    assert!(matches!(&refused, Err(AppendError::Log(error)) if error.to_string().contains("under way")), "{refused:?}");
    assert_eq!(kurrent.store.head(&mine).await.unwrap(), Version::NONE);
    // Whoever began it would have been done within seconds.
    let later = NOW.plus(Seconds(60));
    kurrent.store.append(with_receipt(append(&mine, 0, 1), b"mine", later)).await.unwrap();
    assert_eq!(kurrent.store.receipt(&KEY, later).await.unwrap().unwrap().answer, b"mine");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_append_whose_answer_was_lost_has_its_receipt() {
    let kurrent = Kurrent::on(FakeServer::start().await).await;
    let same = with_receipt(append(&stream(), 0, 1), b"mine", NOW);
    kurrent.server.core.fail_next(Fault::StoreThenDrop);
    assert!(matches!(kurrent.store.append(same.clone()).await, Err(AppendError::Unknown(_))));
    let found =
        event_store::testing::eventually(|| async { kurrent.store.receipt(&KEY, NOW).await.ok() }).await.unwrap();
    assert_eq!(found.unwrap().answer, b"mine");
    kurrent.store.append(same).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn of_concurrent_commands_with_one_key_one_is_carried_out() {
    let kurrent = Kurrent::on(FakeServer::start().await).await;
    let beside = kurrent.beside().await;
    let mut tasks = Vec::new();
    for n in 0..12 {
        let log = if n % 2 == 0 { kurrent.store.clone() } else { beside.store.clone() };
        // Each to a stream of its own: nothing but the receipt keeps them apart.
        let append = with_receipt(append(&stream(), 0, 1), &[n], NOW);
        tasks.push(tokio::spawn(async move { log.append(append).await }));
    }
    let mut won = 0;
    for task in tasks {
        match task.await.unwrap() {
            Ok(_) => won += 1,
            Err(error) => assert!(matches!(error, AppendError::Conflict), "{error}"),
        }
    }
    assert_eq!(won, 1);
}
