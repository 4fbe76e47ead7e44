//! What goes wrong on the way to the server and back.

use std::{sync::Arc, time::Duration};

use event_store::{
    kurrentdb::KurrentStore,
    port::{AppendError, EventLog, LogError},
    subscription::subscribe,
    testing::eventually,
};
use schemas::envelope::{Position, Version};
use servers::postgres::TestDatabase;

use crate::{append, stream};
use servers::kurrentdb::under_test::{Kurrent, options, side};
use servers::kurrentdb::{
    wire::Place,
    {FakeServer, Fault, Setup},
};

/// Asks until the server answers again.
async fn head(log: &Arc<KurrentStore>, stream: &domain::ids::StreamId) -> Version {
    eventually(|| async { log.head(stream).await.ok() }).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_append_whose_answer_is_lost_is_unknown_and_the_same_again_is_the_first_answer() {
    let kurrent = Kurrent::on(FakeServer::start().await).await;
    let stream = stream();
    let same = append(&stream, 0, 2);
    kurrent.server.core.fail_next(Fault::StoreThenDrop);
    assert!(matches!(kurrent.store.append(same.clone()).await, Err(AppendError::Unknown(_))));
    let appended = eventually(|| async { kurrent.store.append(same.clone()).await.ok() }).await.unwrap();
    assert_eq!(appended.version, Version(2));
    let read = kurrent.store.read_stream(&stream, Version::NONE, 9).await.unwrap();
    assert_eq!(read.len(), 2);
    assert_eq!(read[1].position, appended.position);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_append_that_never_arrived_is_unknown_and_goes_through_when_it_is_repeated() {
    let kurrent = Kurrent::on(FakeServer::start().await).await;
    let stream = stream();
    let same = append(&stream, 0, 1);
    kurrent.server.core.fail_next(Fault::DropBefore);
    assert!(matches!(kurrent.store.append(same.clone()).await, Err(AppendError::Unknown(_))));
    assert_eq!(head(&kurrent.store, &stream).await, Version::NONE);
    assert_eq!(kurrent.store.append(same).await.unwrap().version, Version(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_append_that_takes_too_long_is_unknown() {
    let database = TestDatabase::fresh().await;
    let server = FakeServer::start().await;
    let mut options = options(server.url());
    options.timeout = Duration::from_millis(500);
    let store = KurrentStore::open(options, side(&database).await).await.unwrap();
    let same = append(&stream(), 0, 1);
    server.core.fail_next(Fault::StoreThenHang);
    assert!(matches!(store.append(same.clone()).await, Err(AppendError::Unknown(_))));
    assert_eq!(store.append(same).await.unwrap().version, Version(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_not_ready_leaves_an_append_unknown_and_one_that_refuses_does_not() {
    let kurrent = Kurrent::on(FakeServer::start().await).await;
    kurrent.server.core.fail_next(Fault::NotReady);
    assert!(matches!(kurrent.store.append(append(&stream(), 0, 1)).await, Err(AppendError::Unknown(_))));
    kurrent.server.core.fail_next(Fault::TooLarge);
    let refused = kurrent.store.append(append(&stream(), 0, 1)).await;
    assert!(matches!(&refused, Err(AppendError::Log(error)) if error.to_string().contains("Maximum")), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_position_that_the_server_does_not_tell_is_read_back() {
    let kurrent = Kurrent::on(FakeServer::start().await).await;
    let stream = stream();
    kurrent.server.core.fail_next(Fault::NoPosition);
    let appended = kurrent.store.append(append(&stream, 0, 3)).await.unwrap();
    let read = kurrent.store.read_stream(&stream, Version(2), 9).await.unwrap();
    assert_eq!(appended.version, Version(3));
    assert_eq!(appended.position, read[0].position);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conflict_that_the_client_cannot_read_is_settled_by_looking() {
    let kurrent = Kurrent::on(FakeServer::start().await).await;
    let stream = stream();
    let first = append(&stream, 0, 1);
    let appended = kurrent.store.append(first.clone()).await.unwrap();
    // Servers of 20.6.0 send only fields that the client takes for granted to be elsewhere: it panics.
    kurrent.server.core.fail_next(Fault::OldConflict);
    assert!(matches!(kurrent.store.append(append(&stream, 0, 1)).await, Err(AppendError::Conflict)));
    kurrent.server.core.fail_next(Fault::OldConflict);
    assert_eq!(kurrent.store.append(first).await.unwrap(), appended);
    kurrent.server.core.fail_next(Fault::OldConflict);
    assert!(matches!(kurrent.store.append(append(&stream, 1, 1)).await, Err(AppendError::Unknown(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_went_away_and_came_back_is_found_again() {
    let kurrent = Kurrent::on(FakeServer::start().await).await;
    let stream = stream();
    kurrent.store.append(append(&stream, 0, 1)).await.unwrap();
    kurrent.server.stop().await;
    // The client gives up for good by now; it must be replaced.
    for _ in 0..3 {
        assert!(matches!(kurrent.store.head(&stream).await, Err(LogError::Unavailable(_))));
    }
    kurrent.server.restart().await;
    assert_eq!(head(&kurrent.store, &stream).await, Version(1));
    assert_eq!(kurrent.store.append(append(&stream, 1, 1)).await.unwrap().version, Version(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscriber_misses_nothing_over_subscriptions_that_break() {
    let kurrent = Kurrent::on(FakeServer::start().await).await;
    let beside = event_store::contract::LogUnderTest::beside(&kurrent).await;
    let mut subscription = subscribe(&runtime::Runtime::system().unwrap(), kurrent.store.clone(), Position::START, 7);
    let stream = stream();
    let mut seen = Vec::new();
    for version in 0..30 {
        if version % 10 == 4 {
            kurrent.server.core.drop_subscriptions();
        }
        if version % 10 == 8 {
            kurrent.server.cut_connections();
        }
        let same = append(&stream, version, 1);
        eventually(|| async { beside.store.append(same.clone()).await.ok() }).await.unwrap();
        if version % 3 == 0 {
            let read = eventually(|| async { kurrent.store.last_position().await.ok() }).await;
            assert!(read.is_some());
            seen.extend(
                tokio::time::timeout(Duration::from_secs(10), subscription.next()).await.unwrap().into_iter().flatten(),
            );
        }
    }
    while seen.len() < 30 {
        // A read that met a broken connection says so, and is asked again.
        seen.extend(
            tokio::time::timeout(Duration::from_secs(10), subscription.next()).await.unwrap().into_iter().flatten(),
        );
    }
    let versions: Vec<u64> = seen.iter().map(|event| event.version.0).collect();
    assert_eq!(versions, (1..=30).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_that_broke_goes_on_where_it_was() {
    let kurrent = Kurrent::on(FakeServer::start().await).await;
    let stream = stream();
    let appended = kurrent.store.append(append(&stream, 0, 2)).await.unwrap();
    let mut watch = kurrent.store.watch();
    watch.wait_for(|position| *position >= appended.position).await.unwrap();
    kurrent.server.core.drop_subscriptions();
    let again = eventually(|| async { kurrent.server.core.subscriptions().into_iter().nth(1) }).await.unwrap();
    let Place::At(place) = again else { panic!("it began at {again:?}") };
    // After the last event, or after what the server has passed over since.
    assert!(place.commit >= appended.position.0, "{place:?}");
    assert_eq!(place.commit, place.prepare);
    let next = kurrent.store.append(append(&stream, 2, 1)).await.unwrap();
    let moved = watch.wait_for(|position| *position >= next.position);
    tokio::time::timeout(Duration::from_secs(10), moved).await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_that_the_server_finishes_is_made_again() {
    let kurrent = Kurrent::on(FakeServer::start().await).await;
    let mut watch = kurrent.store.watch();
    for version in 0..3 {
        kurrent.server.core.finish_subscriptions();
        let appended = kurrent.store.append(append(&stream(), 0, 1 + version)).await.unwrap();
        let moved = watch.wait_for(|position| *position >= appended.position);
        tokio::time::timeout(Duration::from_secs(10), moved).await.unwrap().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_does_not_lead_is_left_for_the_one_that_does() {
    let leader = FakeServer::start().await;
    let follower = FakeServer::over(Arc::clone(&leader.core)).await;
    // Both share one set-up, so the follower is a node of its own over the leader's journal.
    let other = FakeServer::start_with(Setup { leader: Some(leader.address), ..Setup::default() }).await;
    drop(follower);
    let kurrent = Kurrent::on(other).await;
    let stream = stream();
    assert_eq!(kurrent.store.append(append(&stream, 0, 1)).await.unwrap().version, Version(1));
    assert_eq!(kurrent.store.head(&stream).await.unwrap(), Version(1));
    assert_eq!(leader.core.journal().records.iter().filter(|record| record.stream == stream.to_string()).count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_whose_leader_dies_is_asked_for_the_next() {
    let first = FakeServer::start().await;
    let second = FakeServer::over(Arc::clone(&first.core)).await;
    let members = vec![(first.address, true), (second.address, false)];
    first.core.set_up(|setup| setup.members = members);
    let database = TestDatabase::fresh().await;
    let url = format!("kurrentdb://{},{}?tls=false&discoveryInterval=50", first.address, second.address);
    let store = Arc::new(KurrentStore::open(options(url), side(&database).await).await.unwrap());
    let stream = stream();
    store.append(append(&stream, 0, 1)).await.unwrap();
    let mut watch = store.watch();

    let members = vec![(second.address, true)];
    first.core.set_up(|setup| setup.members = members);
    first.stop().await;
    let same = append(&stream, 1, 1);
    let appended = eventually(|| async { store.append(same.clone()).await.ok() }).await.unwrap();
    assert_eq!(appended.version, Version(2));
    // The subscription finds the way as well.
    let moved = watch.wait_for(|position| *position >= appended.position);
    tokio::time::timeout(Duration::from_secs(10), moved).await.unwrap().unwrap();
}
