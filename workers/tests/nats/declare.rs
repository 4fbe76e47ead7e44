//! What is there in the broker is what was asked for, whatever was there before.

use std::{sync::Arc, time::Duration};

use async_nats::jetstream::{consumer::pull, stream};
use event_store::testing::eventually;
use workers::{
    Role,
    nats::{Broker, EVENTS_STREAM, NatsOptions},
};

use crate::{harness::Wired, support::Running};

#[tokio::test]
async fn streams_and_consumers_are_declared_as_documented() {
    let wired = Wired::new().await;
    let running = wired.workers(&Role::ALL, wired.world.willing()).await;
    for role in ["sms", "email", "notices", "erasures"] {
        wired.idle(role).await;
    }
    running.stop().await;
    let context = wired.context().await;
    let stream = context.get_stream(EVENTS_STREAM).await.unwrap();
    let config = &stream.cached_info().config;
    assert_eq!(config.subjects, ["countersign.events.>"]);
    assert_eq!((config.max_age, config.duplicate_window), (Duration::from_hours(168), Duration::from_mins(5)));
    let info = stream.consumer_info("sms").await.unwrap();
    assert_eq!(
        info.config.filter_subjects,
        ["countersign.events.CodeIssued", "countersign.events.CodeResent"],
        "exactly what the role reads"
    );
    let info = stream.consumer_info("notices").await.unwrap();
    assert_eq!(info.config.filter_subjects.len(), Role::Notices.event_types().len());
}

#[tokio::test]
async fn what_differs_is_changed_and_said() {
    let wired = Wired::new().await;
    wired.broker().await;
    let options = NatsOptions { max_age: Duration::from_hours(24), ..wired.options.clone() };
    let broker = Broker::reach(&options).await.unwrap();
    let changes = broker.declare_streams().await.unwrap();
    assert_eq!(changes, ["stream COUNTERSIGN_EVENTS: max_age 604800s -> 86400s"]);
    assert_eq!(broker.declare_streams().await.unwrap(), Vec::<String>::new(), "a second time there is nothing to do");
}

#[tokio::test]
async fn what_cannot_be_changed_in_place_is_said_and_left() {
    let wired = Wired::new().await;
    let context = wired.context().await;
    let in_memory = stream::Config {
        name: EVENTS_STREAM.to_owned(),
        subjects: vec!["countersign.events.>".to_owned()],
        storage: stream::StorageType::Memory,
        description: Some("made by hand".to_owned()),
        ..stream::Config::default()
    };
    context.create_stream(in_memory).await.unwrap();
    let told = Broker::reach(&wired.options).await.unwrap().declare_streams().await.unwrap();
    assert!(told.iter().any(|line| line.contains("storage is Memory and should be File")), "{told:?}");
    let stream = context.get_stream(EVENTS_STREAM).await.unwrap();
    let config = &stream.cached_info().config;
    assert_eq!(config.storage, stream::StorageType::Memory);
    assert_eq!(config.max_age, wired.options.max_age, "what can be changed is");
    assert_eq!(config.description.as_deref(), Some("made by hand"), "what is not ours stays");
}

#[tokio::test]
async fn a_stream_of_someone_else_with_our_subjects_is_told() {
    let wired = Wired::new().await;
    let context = wired.context().await;
    let other = stream::Config {
        name: "OTHER".to_owned(),
        subjects: vec!["countersign.>".to_owned()],
        ..stream::Config::default()
    };
    context.create_stream(other).await.unwrap();
    let error = Broker::connect(&wired.options).await.unwrap_err();
    assert!(error.problem().contains("another stream"), "{error}");
}

#[tokio::test]
async fn a_consumer_with_other_filters_is_brought_in_line_and_keeps_its_place() {
    let wired = Wired::new().await;
    let broker = wired.broker().await;
    let account = wired.world.account("ada@example.com").await;
    let order = wired.world.order_text(account).await;
    let relay = wired.relay_over(Arc::clone(&broker));
    wired.relayed().await;
    let stream = wired.context().await.get_stream(EVENTS_STREAM).await.unwrap();
    let old = pull::Config {
        durable_name: Some("sms".to_owned()),
        filter_subjects: vec!["countersign.events.CodeResent".to_owned()],
        ack_wait: Duration::from_secs(77),
        ..pull::Config::default()
    };
    stream.create_consumer(old).await.unwrap();
    let running = wired.workers(&[Role::Sms], wired.world.willing()).await;
    wired.idle("sms").await;
    let changed = eventually(async || {
        let info = stream.consumer_info("sms").await.ok()?;
        (info.config.ack_wait == wired.options.ack_wait).then_some(info.config.filter_subjects)
    });
    assert_eq!(changed.await.unwrap().len(), 2);
    let again = wired.world.order_text(account).await;
    let sent = eventually(async || wired.world.given().iter().any(|given| given.reference == again.id.0).then_some(()));
    sent.await.expect("new orders are sent");
    let _ = order;
    stop([running, relay]).await;
}

#[tokio::test]
async fn a_consumer_that_someone_removed_comes_back_with_its_work() {
    let wired = Wired::new().await;
    let account = wired.world.account("ada@example.com").await;
    let relay = wired.relay().await;
    let running = wired.workers(&[Role::Sms], wired.world.willing()).await;
    let mut orders = wired.order_texts(account, 3).await;
    wired.relayed().await;
    wired.idle("sms").await;
    wired.context().await.delete_consumer_from_stream("sms", EVENTS_STREAM).await.unwrap();
    orders.extend(wired.order_texts(account, 3).await);
    wired.relayed().await;
    wired.idle("sms").await;
    let all_sent = eventually(async || (wired.world.given().len() >= 6).then_some(()));
    all_sent.await.expect("all are sent");
    stop([running, relay]).await;
    wired.assert_each_sent_once(&orders);
}

async fn stop(all: [Running; 2]) {
    for running in all {
        running.stop().await;
    }
}
