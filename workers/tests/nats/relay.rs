//! From the log to the broker: everything, in order, and once as far as the broker can tell.

use std::{collections::BTreeSet, time::Duration};

use domain::{events::TwoFactorEnabled, ids::StreamId, values::Purpose};
use event_store::{port::Checkpoints as _, testing::eventually};
use schemas::envelope::{Position, Version};
use workers::{
    Role,
    nats::{EVENTS_STREAM, NatsOptions, relay},
};

use crate::{harness::Wired, support::NUMBER};

/// Ids of the events in the log that the world may know, in order.
async fn told(wired: &Wired) -> Vec<String> {
    let mut ids = Vec::new();
    for event in wired.world.engine.log().read_all(Position::START, 100_000).await.unwrap() {
        let recorded = event_store::codec::decode(&event, None).unwrap();
        ids.extend(schemas::public::message(&recorded, "urn:example").map(|message| message.id));
    }
    ids
}

async fn published(wired: &Wired) -> Vec<String> {
    wired.events().await.into_iter().map(|event| event.id).collect()
}

#[tokio::test]
async fn everything_is_published_once_and_in_order_over_restarts() {
    let wired = Wired::new().await;
    let account = wired.world.account("ada@example.com").await;
    for round in 0..4 {
        let relay = wired.relay().await;
        wired.order_texts(account, 50).await;
        if round % 2 == 0 {
            wired.relayed().await;
            relay.stop().await;
        } else {
            // Killed: its checkpoint may be behind what it published.
            relay.crash().await;
        }
    }
    let relay = wired.relay().await;
    wired.relayed().await;
    relay.stop().await;
    assert_eq!(published(&wired).await, told(&wired).await);
}

#[tokio::test]
async fn two_relays_publish_everything_once() {
    let wired = Wired::new().await;
    let account = wired.world.account("ada@example.com").await;
    let both = [wired.relay().await, wired.relay().await];
    wired.order_texts(account, 300).await;
    wired.relayed().await;
    let count = told(&wired).await.len();
    wired.arrived(EVENTS_STREAM, count).await;
    for relay in both {
        relay.stop().await;
    }
    assert_eq!(published(&wired).await, told(&wired).await);
}

#[tokio::test]
async fn a_lost_checkpoint_repeats_nothing_within_the_window() {
    let wired = Wired::new().await;
    let account = wired.world.account("ada@example.com").await;
    wired.order_texts(account, 20).await;
    let relay = wired.relay().await;
    wired.relayed().await;
    relay.stop().await;
    wired.world.checkpoints.save(relay::CHECKPOINT, Position::START).await.unwrap();
    let relay = wired.relay().await;
    wired.relayed().await;
    relay.stop().await;
    assert_eq!(published(&wired).await, told(&wired).await);
}

#[tokio::test]
async fn a_broker_that_lost_its_disk_is_filled_again() {
    let mut wired = Wired::new().await;
    let account = wired.world.account("ada@example.com").await;
    wired.order_texts(account, 20).await;
    let relay = wired.relay().await;
    wired.relayed().await;
    wired.server.stop().await;
    wired.server.lose_disk();
    wired.server.restart().await;
    let count = told(&wired).await.len();
    wired.arrived(EVENTS_STREAM, count).await;
    relay.stop().await;
    assert_eq!(published(&wired).await, told(&wired).await);
}

#[tokio::test]
async fn an_event_that_cannot_be_read_goes_to_the_dead_letters_and_the_rest_goes_on() {
    let wired = Wired::new().await;
    let account = wired.world.account("ada@example.com").await;
    let stream = StreamId::Account(account);
    let log = wired.world.engine.log();
    wired.world.order_text(account).await;
    let head = log.head(&stream).await.unwrap();
    let odd = schemas::envelope::NewEvent {
        id: domain::ids::EventId(crate::support::fresh()),
        event_type: "FromTheFuture".into(),
        schema_version: 1,
        metadata: br#"{"later":true}"#.to_vec(),
        data: br#"{"secret":"nobody may know"}"#.to_vec(),
    };
    let append = event_store::port::Append {
        stream: stream.clone(),
        expected: event_store::port::Expected::Version(head),
        events: vec![odd.clone()],
        receipt: None,
    };
    log.append(append).await.unwrap();
    let delivery = StreamId::Account(domain::ids::AccountId(crate::support::fresh()));
    let last = wired.world.append(&delivery, vec![TwoFactorEnabled {}.into()]).await[0];
    let relay = wired.relay().await;
    wired.relayed().await;
    relay.stop().await;
    assert_eq!(published(&wired).await.last(), Some(&last.id.to_string()));
    let dead = wired.dead().await;
    assert_eq!(dead.len(), 1);
    let letter: schemas::public::CloudEvent = serde_json::from_slice(&dead[0].payload).unwrap();
    assert_eq!((letter.id, letter.streamversion), (odd.id.to_string(), (head.0 + 1).to_string()));
    assert!(!String::from_utf8_lossy(&dead[0].payload).contains("nobody may know"));
    assert_eq!(dead[0].subject.as_str(), "countersign.dead.relay");
}

#[tokio::test]
async fn a_message_tells_where_its_event_stands_and_nothing_personal() {
    let wired = Wired::new().await;
    let account = wired.world.account("ada@example.com").await;
    let text = wired.world.text(Purpose::SignIn);
    let mail = wired.world.mail(Purpose::StepUp, "ada@example.com");
    wired.world.order(account, &text).await;
    wired.world.order(account, &mail).await;
    let relay = wired.relay().await;
    let running = wired.workers(&Role::ALL, wired.world.willing()).await;
    wired.relayed().await;
    wired.idle("sms").await;
    wired.idle("email").await;
    wired.relayed().await;
    running.stop().await;
    relay.stop().await;

    let codes = [wired.world.digits(account, &text).await, wired.world.digits(account, &mail).await];
    assert_eq!(wired.world.given().len(), 2);
    for message in wired.messages(EVENTS_STREAM).await {
        let told: schemas::public::CloudEvent = serde_json::from_slice(&message.payload).unwrap();
        let stream: StreamId = told.subject.parse().unwrap();
        let version = Version(told.streamversion.parse::<u64>().unwrap() - 1);
        let stored = wired.world.engine.log().read_stream(&stream, version, 1).await.unwrap();
        assert_eq!(stored[0].id.to_string(), told.id);
        assert_eq!(stored[0].position.to_string(), told.position);
        let headers: Vec<_> = message.headers.iter().collect();
        let all = format!("{headers:?}{}", String::from_utf8_lossy(&message.payload));
        for private in ["ada@example.com", NUMBER, NUMBER.trim_start_matches('+'), &codes[0], &codes[1]] {
            // Ids and times are long runs of digits: a code may stand in one by chance.
            let without_ids = all.replace(&told.id, "").replace(&told.subject, "");
            let is_code = private.len() == 6;
            let is_told = if is_code { quoted(&without_ids, private) } else { without_ids.contains(private) };
            assert!(!is_told, "{} tells what is private", told.event_type);
        }
    }
}

/// Whether a text stands on its own within quotes.
fn quoted(within: &str, text: &str) -> bool {
    within.contains(&format!("\"{text}\"")) || within.contains(&format!(" {text} "))
}

#[tokio::test]
async fn after_the_window_a_repetition_sends_nothing_twice() {
    let mut wired = Wired::new().await;
    wired.options = NatsOptions { dedup_window: Duration::from_millis(200), ..wired.options };
    let account = wired.world.account("ada@example.com").await;
    let orders = wired.order_texts(account, 10).await;
    let relay = wired.relay().await;
    let running = wired.workers(&[Role::Sms], wired.world.willing()).await;
    wired.relayed().await;
    wired.idle("sms").await;
    relay.stop().await;
    let before = wired.messages(EVENTS_STREAM).await.len();

    // The window is over when the broker takes the same message again.
    let context = wired.context().await;
    let first = wired.messages(EVENTS_STREAM).await.swap_remove(0);
    let is_over = async || {
        let id = first.headers.get("Nats-Msg-Id")?.clone();
        let mut headers = async_nats::HeaderMap::new();
        headers.insert("Nats-Msg-Id", id);
        let sent = context.publish_with_headers(first.subject.clone(), headers, first.payload.clone()).await.ok()?;
        (!sent.await.ok()?.duplicate).then_some(())
    };
    eventually(is_over).await.expect("the window ends");
    wired.world.checkpoints.save(relay::CHECKPOINT, Position::START).await.unwrap();
    let relay = wired.relay().await;
    wired.relayed().await;
    wired.idle("sms").await;
    relay.stop().await;
    running.stop().await;
    let types: BTreeSet<_> = wired.events().await.into_iter().map(|event| event.event_type).collect();
    assert!(types.contains("countersign.events.SendStarted"), "what the workers record is told too");
    assert!(wired.messages(EVENTS_STREAM).await.len() > before + 10, "everything came again");
    wired.assert_each_sent_once(&orders);
}
