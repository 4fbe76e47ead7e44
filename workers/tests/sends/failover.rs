//! Several SMS gateways in order, over real connections: what one fails at, the next does.

use std::{sync::Arc, time::Duration};

use domain::{
    delivery::{Delivery, DeliveryCommand},
    events::Event,
    ids::{CommandId, StreamId},
    outcome::Outcome,
    secret::Secret,
    values::{Caller, Origin, Purpose},
};
use engine::Request;
use workers::{
    Gateways, Role, SmsGateway,
    gateways::webhook::{WebhookGateway, WebhookOptions},
};

use crate::support::{
    Ordered, World, fresh,
    http_server::{HttpServer, Reply},
};

/// What a gateway over HTTP has to answer within.
const PATIENCE: Duration = Duration::from_millis(300);

fn gateway(name: &str, server: &HttpServer) -> Arc<dyn SmsGateway> {
    let mut options =
        WebhookOptions::new(server.url.clone(), Secret::new("a secret of enough bytes to sign".to_owned()));
    (options.name, options.timeout) = (name.to_owned(), PATIENCE);
    Arc::new(WebhookGateway::new(&options).unwrap())
}

fn in_order(servers: &[(&str, &HttpServer)]) -> Gateways {
    Gateways { sms: servers.iter().map(|(name, server)| gateway(name, server)).collect(), email: vec![] }
}

fn failures(record: &[schemas::envelope::RecordedEvent]) -> Vec<(&str, &str)> {
    let failed = record.iter().filter_map(|recorded| match &recorded.event {
        Event::CodeDeliveryFailed(e) => Some((e.provider.as_str(), e.reason.as_str())),
        _ => None,
    });
    failed.collect()
}

fn dispatched(record: &[schemas::envelope::RecordedEvent]) -> Option<&str> {
    record.iter().find_map(|recorded| match &recorded.event {
        Event::CodeDispatched(e) => Some(e.provider.as_str()),
        _ => None,
    })
}

/// What the receipts' endpoint does with a receipt.
async fn receipt(world: &World, order: Ordered, command: DeliveryCommand) {
    let request = Request {
        caller: Caller::Worker,
        origin: Origin::default(),
        command_id: CommandId(fresh()),
        idempotency: None,
        correlation_id: fresh(),
        causation_id: None,
        trace_parent: None,
    };
    let executed = world.engine.execute_on::<Delivery>(&StreamId::Delivery(order.id), &command, &request).await;
    assert_eq!(executed.unwrap().outcome.unwrap(), Outcome::Done);
}

fn failed(attempt: u32) -> DeliveryCommand {
    DeliveryCommand::RecordDeliveryFailure { attempt, reason: "hard.unreachable".to_owned() }
}

#[tokio::test]
async fn one_refuses_one_times_out_and_the_third_takes_it() {
    let refusing = HttpServer::start([Reply::Say(422, String::new())]).await;
    let silent = HttpServer::start([Reply::Hang]).await;
    let willing = HttpServer::start([]).await;
    let world = World::new().await;
    let account = world.account("ada@example.com").await;
    let gateways = in_order(&[("refusing", &refusing), ("silent", &silent), ("willing", &willing)]);
    let running = world.run(&[Role::Sms], gateways);
    let order = world.order_text(account).await;
    world.finished(Role::Sms, order).await;
    running.stop().await;

    let record = world.delivery(order).await;
    assert_eq!(failures(&record), [("refusing", "hard.refused"), ("silent", "timed_out")]);
    assert_eq!(dispatched(&record), Some("willing"));
    let asked: Vec<_> =
        [&refusing, &silent, &willing].iter().map(|server| server.asked()[0].json()["data"].clone()).collect();
    for (place, data) in asked.iter().enumerate() {
        assert_eq!(data["reference"], order.id.0.to_string(), "one send has one reference, whoever takes it");
        assert_eq!(data["attempt"], place + 1);
        assert_eq!(data["body"], asked[0]["body"]);
    }
}

#[tokio::test]
async fn a_gateway_that_answers_500_is_asked_three_times_and_then_the_next_one() {
    let ill = HttpServer::start(vec![Reply::Say(500, "<html>".to_owned()); 10]).await;
    let willing = HttpServer::start([]).await;
    let world = World::new().await;
    let account = world.account("ada@example.com").await;
    let running = world.run(&[Role::Sms], in_order(&[("ill", &ill), ("willing", &willing)]));
    let order = world.order_text(account).await;
    world.finished(Role::Sms, order).await;
    running.stop().await;
    let record = world.delivery(order).await;
    assert_eq!(failures(&record), [("ill", "transient.gateway_error"); 3]);
    assert_eq!(dispatched(&record), Some("willing"));
    assert_eq!((ill.asked().len(), willing.asked().len()), (3, 1));
}

#[tokio::test]
async fn one_that_answers_twice_sends_one_text_and_leaves_one_record() {
    let twice = HttpServer::start([Reply::Twice(200, "{\"id\":\"first\"}".to_owned())]).await;
    let next = HttpServer::start([]).await;
    let world = World::new().await;
    let account = world.account("ada@example.com").await;
    let running = world.run(&[Role::Sms], in_order(&[("twice", &twice), ("next", &next)]));
    let order = world.order_text(account).await;
    world.finished(Role::Sms, order).await;
    let other = world.order_text(account).await;
    world.finished(Role::Sms, other).await;
    running.stop().await;
    for order in [order, other] {
        assert_eq!(world.record(order).await, ["SendStarted", "CodeDispatched"]);
    }
    assert_eq!((twice.asked().len(), next.asked().len()), (2, 0));
}

#[tokio::test]
async fn one_that_takes_longer_than_its_time_out_is_passed_over_and_its_late_yes_changes_nothing() {
    let slow = HttpServer::start([Reply::Late(PATIENCE * 2, 200, "{\"id\":\"late\"}".to_owned())]).await;
    let willing = HttpServer::start([]).await;
    let world = World::new().await;
    let account = world.account("ada@example.com").await;
    let running = world.run(&[Role::Sms], in_order(&[("slow", &slow), ("willing", &willing)]));
    let order = world.order_text(account).await;
    world.finished(Role::Sms, order).await;
    running.stop().await;
    let record = world.delivery(order).await;
    assert_eq!((failures(&record), dispatched(&record)), (vec![("slow", "timed_out")], Some("willing")));
    assert_eq!((slow.asked().len(), willing.asked().len()), (1, 1), "at most one copy more than was wanted");
}

#[tokio::test]
async fn a_resend_without_a_receipt_moves_on_and_one_with_a_receipt_stays() {
    let (one, two) = (HttpServer::start([]).await, HttpServer::start([]).await);
    let world = World::new().await;
    let account = world.account("ada@example.com").await;
    let running = world.run(&[Role::Sms], in_order(&[("one", &one), ("two", &two)]));
    let arrived = world.text(Purpose::SignIn);
    let order = world.order(account, &arrived).await;
    world.finished(Role::Sms, order).await;
    receipt(&world, order, DeliveryCommand::RecordDelivery { attempt: 1 }).await;
    let again = world.order_again(account, &arrived).await;
    world.finished(Role::Sms, again).await;
    assert_eq!((one.asked().len(), two.asked().len()), (2, 0), "the first one works: it is asked again");

    let lost = world.text(Purpose::SignIn);
    let order = world.order(account, &lost).await;
    world.finished(Role::Sms, order).await;
    let again = world.order_again(account, &lost).await;
    world.finished(Role::Sms, again).await;
    assert_eq!((one.asked().len(), two.asked().len()), (3, 1), "nobody heard of it: the other one is asked");

    let undelivered = world.text(Purpose::SignIn);
    let order = world.order(account, &undelivered).await;
    world.finished(Role::Sms, order).await;
    receipt(&world, order, failed(1)).await;
    let again = world.order_again(account, &undelivered).await;
    world.finished(Role::Sms, again).await;
    running.stop().await;
    assert_eq!((one.asked().len(), two.asked().len()), (4, 2), "it failed: the other one is asked");
}

#[tokio::test]
async fn a_receipt_that_comes_after_a_time_out_ends_the_order() {
    let silent = HttpServer::start([Reply::Hang]).await;
    let busy = HttpServer::start([Reply::Say(429, String::new())]).await;
    let world = World::new().await;
    let account = world.account("ada@example.com").await;
    let order = world.order_text(account).await;
    let running = world.run(&[Role::Sms], in_order(&[("silent", &silent), ("busy", &busy)]));
    let tried = async || (world.record(order).await.len() >= 2).then_some(());
    event_store::testing::eventually(tried).await.unwrap();
    // It may come at any moment of what follows; the order ends well in each of them.
    receipt(&world, order, DeliveryCommand::RecordDelivery { attempt: 1 }).await;
    world.finished(Role::Sms, order).await;
    running.stop().await;
    let record = world.record(order).await;
    assert!(matches!(record.last(), Some(&"CodeDelivered" | &"CodeDispatched")), "{record:?}");
}

#[tokio::test]
async fn repeated_and_contrary_receipts_add_nothing() {
    let one = HttpServer::start([]).await;
    let world = World::new().await;
    let account = world.account("ada@example.com").await;
    let running = world.run(&[Role::Sms], in_order(&[("one", &one)]));
    let order = world.order_text(account).await;
    world.finished(Role::Sms, order).await;
    running.stop().await;
    for command in
        [DeliveryCommand::RecordDelivery { attempt: 1 }, DeliveryCommand::RecordDelivery { attempt: 1 }, failed(1)]
    {
        receipt(&world, order, command).await;
    }
    assert_eq!(world.record(order).await, ["SendStarted", "CodeDispatched", "CodeDelivered"]);
}
