//! Jobs from the broker: shared, repeated when they must be, and each carried out once.

use std::time::Duration;

use domain::{
    events::{AccountErased, Event, TwoFactorEnabled},
    ids::StreamId,
    time::Seconds,
};
use event_store::{keys::KeyState, testing::eventually};
use workers::{Gateways, Role};

use crate::{
    harness::Wired,
    support::{gateway::Answer, until},
};

#[tokio::test]
async fn two_processes_share_the_orders_and_each_goes_out_once() {
    let wired = Wired::new().await;
    let account = wired.world.account("ada@example.com").await;
    let slow = |name| Gateways { sms: vec![wired.world.gateway(name, [Answer::AcceptSlowly; 60])], email: vec![] };
    let first = wired.workers(&[Role::Sms], slow("first")).await;
    let other_process = wired.world.other_process().await;
    let source = workers::Source::Broker(wired.broker().await);
    let second = other_process.run_from(source, &[Role::Sms], slow("second"), Duration::from_secs(20));
    let relay = wired.relay().await;
    let orders = wired.order_texts(account, 60).await;
    wired.relayed().await;
    until("all orders", || wired.world.given().len() >= 60).await;
    wired.idle("sms").await;
    for running in [first, second, relay] {
        running.stop().await;
    }
    wired.assert_each_sent_once(&orders);
    for name in ["first", "second"] {
        let count = wired.world.given().iter().filter(|given| given.gateway == name).count();
        assert!(count >= 10, "{name} had {count} of 60");
    }
}

#[tokio::test]
async fn an_order_that_is_put_off_comes_back_after_its_wait() {
    let wired = Wired::new().await;
    let account = wired.world.account("ada@example.com").await;
    let busy = Gateways { sms: vec![wired.world.gateway("busy", [Answer::PutOff; 4])], email: vec![] };
    let relay = wired.relay().await;
    let running = wired.workers(&[Role::Sms], busy).await;
    let order = wired.world.order_text(account).await;
    until("the fifth try", || wired.world.given().len() == 5).await;
    wired.idle("sms").await;
    running.stop().await;
    relay.stop().await;
    let record = wired.world.record(order).await;
    assert_eq!(record.iter().filter(|name| **name == "CodeDeliveryFailed").count(), 4);
    assert_eq!(record.last(), Some(&"CodeDispatched"));
}

#[tokio::test]
async fn a_job_that_runs_longer_than_the_brokers_patience_is_not_handed_to_another() {
    let wired = Wired::new().await;
    let account = wired.world.account("ada@example.com").await;
    let relay = wired.relay().await;
    let hanging = Gateways { sms: vec![wired.world.gateway("hanging", [Answer::Hang])], email: vec![] };
    let source = workers::Source::Broker(wired.broker().await);
    // Three times as long as the broker waits for a word.
    let first = wired.world.run_from(source, &[Role::Sms], hanging, 3 * wired.options.ack_wait);
    let order = wired.world.order_text(account).await;
    until("the first try", || wired.world.given().len() == 1).await;
    wired.idle("sms").await;
    let context = wired.context().await;
    let stream = context.get_stream_no_info(workers::nats::EVENTS_STREAM).await.unwrap();
    assert_eq!(stream.consumer_info("sms").await.unwrap().delivered.consumer_sequence, 1, "handed out once");
    first.stop().await;
    relay.stop().await;
    let record = wired.world.record(order).await;
    assert_eq!(record[..2], ["SendStarted", "CodeDeliveryFailed"]);
}

#[tokio::test]
async fn a_worker_that_is_killed_leaves_its_orders_to_the_next() {
    let wired = Wired::new().await;
    let account = wired.world.account("ada@example.com").await;
    let relay = wired.relay().await;
    let hanging = || Gateways { sms: vec![wired.world.gateway("hanging", [Answer::Hang; 9])], email: vec![] };
    let first = wired.workers(&[Role::Sms], hanging()).await;
    let order = wired.world.order_text(account).await;
    until("the first try", || wired.world.given().len() == 1).await;
    first.crash().await;
    wired.world.clock.advance(Seconds(31));
    let second = wired.workers(&[Role::Sms], wired.world.willing()).await;
    until("the repeat", || wired.world.given().len() == 2).await;
    wired.idle("sms").await;
    second.stop().await;
    relay.stop().await;
    let given = wired.world.given();
    assert_eq!((given[0].reference, &given[0].code), (given[1].reference, &given[1].code));
    assert_eq!(wired.world.record(order).await, ["SendStarted", "SendOutcomeUnknown", "SendStarted", "CodeDispatched"]);
}

#[tokio::test]
async fn a_code_that_is_handed_out_after_its_end_is_not_sent() {
    let wired = Wired::new().await;
    let account = wired.world.account("ada@example.com").await;
    let order = wired.world.order_text(account).await;
    let relay = wired.relay().await;
    wired.relayed().await;
    wired.world.clock.advance(Seconds::hours(5));
    let running = wired.workers(&[Role::Sms], wired.world.willing()).await;
    let is_over = eventually(async || (wired.world.record(order).await.len() == 2).then_some(()));
    is_over.await.expect("the order is closed");
    wired.idle("sms").await;
    running.stop().await;
    relay.stop().await;
    assert!(wired.world.given().is_empty());
    assert_eq!(wired.world.record(order).await, ["SendStarted", "CodeDeliveryFailed"]);
}

#[tokio::test]
async fn a_stop_gives_back_what_no_worker_has_begun() {
    let wired = Wired::new().await;
    let account = wired.world.account("ada@example.com").await;
    let relay = wired.relay().await;
    let orders = wired.order_texts(account, 40).await;
    wired.relayed().await;
    let slow = Gateways { sms: vec![wired.world.gateway("slow", [Answer::AcceptSlowly; 40])], email: vec![] };
    let first = wired.workers(&[Role::Sms], slow).await;
    until("some orders", || wired.world.given().len() >= 5).await;
    first.stop().await;
    let begun = wired.world.given().len();
    assert!(begun < 40, "it stopped in between");
    let second = wired.workers(&[Role::Sms], wired.world.willing()).await;
    until("the other orders", || wired.world.given().len() >= 40).await;
    wired.idle("sms").await;
    second.stop().await;
    relay.stop().await;
    wired.assert_each_sent_once(&orders);
}

#[tokio::test]
async fn notices_and_interrupted_erasures_travel_too() {
    let wired = Wired::new().await;
    let (told, gone) =
        (wired.world.account("ada@example.com").await, StreamId::Account(wired.world.account("bea@example.com").await));
    wired.world.append(&StreamId::Account(told), vec![TwoFactorEnabled {}.into()]).await;
    wired.world.append(&gone, vec![Event::from(AccountErased { verification_id: None })]).await;
    let relay = wired.relay().await;
    let running = wired.workers(&[Role::Notices], wired.world.willing()).await;
    until("the notice", || wired.world.given().len() == 1).await;
    let erased = eventually(async || {
        let state = wired.world.engine.keys().state_in_store(&gone).await;
        matches!(state, Ok(KeyState::Erased)).then_some(())
    });
    assert!(erased.await.is_some(), "waited in vain for the key to be destroyed");
    wired.idle("notices").await;
    wired.idle("erasures").await;
    running.stop().await;
    relay.stop().await;
    assert_eq!(wired.world.given()[0].to, "ada@example.com");
}
