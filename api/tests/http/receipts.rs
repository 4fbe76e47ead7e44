//! Delivery receipts: taken from the gateway that was asked, from nobody else, and once.

use std::sync::Arc;

use api::{ApiConfig, ReceiptVerifiers};
use domain::{
    delivery::{
        CallBack, Delivery, DeliveryCommand, Order, Receipt, ReceiptRefused, ReceiptState, ReceiptVerifier, Routes,
    },
    events::Event,
    ids::{AccountId, EventId, StreamId},
    time::Seconds,
    values::{Caller, Channel},
};
use engine::testing::FixtureOptions;
use schemas::envelope::Version;

use crate::server::{Answer, Server};

/// A gateway whose signature is a word, and whose receipts are lines: order, attempt, state.
struct Lines(&'static str);

impl ReceiptVerifier for Lines {
    fn gateway(&self) -> &str {
        self.0
    }
    fn read(&self, call_back: &CallBack<'_>) -> Result<Receipt, ReceiptRefused> {
        if (call_back.header)("x-signature") != Some(self.0) {
            return Err(ReceiptRefused::Forged);
        }
        let text = String::from_utf8_lossy(call_back.body).into_owned();
        let mut parts = text.split(' ');
        let order = parts.next().and_then(|text| text.parse().ok()).ok_or(ReceiptRefused::Unreadable)?;
        let attempt = call_back.query.strip_prefix("attempt=").unwrap_or("1").parse().unwrap();
        let state = match parts.next() {
            Some("delivered") => ReceiptState::Delivered,
            Some("failed") => ReceiptState::Failed { reason: "hard.blocked" },
            _ => ReceiptState::Pending,
        };
        Ok(Receipt { order_id: EventId(order), attempt, state })
    }
}

async fn server() -> Server {
    let receipts = ReceiptVerifiers::new(vec![Arc::new(Lines("one")), Arc::new(Lines("two"))]);
    Server::with(FixtureOptions::default(), ApiConfig { receipts, ..ApiConfig::default() }).await
}

/// A text that gateway `one` has taken.
async fn taken(server: &Server) -> EventId {
    let order_id = EventId(server.fixture.uuid());
    let now = server.now();
    let order = Order {
        order_id,
        account_id: AccountId(server.fixture.uuid()),
        verification_id: None,
        subject: "sign_in".to_owned(),
        channel: Channel::Sms,
        country: None,
        prefix: None,
        ordered_at: now,
        deadline: now.plus(Seconds::minutes(10)),
    };
    let routes = Routes { gateways: vec!["one".to_owned()], unreceipted: None };
    let start = DeliveryCommand::StartSend { order, routes };
    let dispatch = DeliveryCommand::RecordDispatch { attempt: 1, provider_message_id: None };
    for command in [start, dispatch] {
        let request = server.fixture.request(Caller::Worker);
        let stream = StreamId::Delivery(order_id);
        let executed = server.fixture.engine.execute_on::<Delivery>(&stream, &command, &request).await.unwrap();
        executed.outcome.unwrap();
    }
    order_id
}

async fn tells(server: &Server, gateway: &str, query: &str, body: &str) -> Answer {
    let path = format!("/v1/receipts/{gateway}{query}");
    server.post(&path).header("x-signature", gateway).raw("text/plain", body.into()).send().await
}

async fn record(server: &Server, order: EventId) -> Vec<&'static str> {
    let events = server.fixture.engine.history(&StreamId::Delivery(order), Version::NONE, 100).await.unwrap();
    events.iter().map(|recorded| recorded.event.name()).collect()
}

#[tokio::test]
async fn a_signed_receipt_is_recorded_once() {
    let server = server().await;
    let order = taken(&server).await;
    for state in ["pending", "delivered", "delivered", "failed", "pending"] {
        let answer = tells(&server, "one", "", &format!("{order} {state}")).await.is(204);
        assert!(answer.text.is_empty());
    }
    assert_eq!(record(&server, order).await, ["SendStarted", "CodeDispatched", "CodeDelivered"]);
    let events = server.fixture.engine.history(&StreamId::Delivery(order), Version::NONE, 100).await.unwrap();
    let last = events.last().unwrap();
    assert!(last.metadata.ip.is_none() && last.metadata.user_agent.is_none(), "a delivery has nobody's address");
    assert_eq!(last.metadata.causation_id, Some(order));
}

#[tokio::test]
async fn a_failure_after_the_dispatch_is_final_and_an_arrival_corrects_it() {
    let server = server().await;
    let order = taken(&server).await;
    tells(&server, "one", "?attempt=1", &format!("{order} failed")).await.is(204);
    let events = server.fixture.engine.history(&StreamId::Delivery(order), Version::NONE, 100).await.unwrap();
    let Event::CodeDeliveryFailed(failed) = &events.last().unwrap().event else { panic!("{events:?}") };
    assert_eq!((failed.reason.as_str(), failed.is_final), ("hard.blocked", true));
    tells(&server, "one", "", &format!("{order} delivered")).await.is(204);
    assert_eq!(record(&server, order).await.last(), Some(&"CodeDelivered"));
}

#[tokio::test]
async fn an_unsigned_call_back_is_refused_without_details() {
    let server = server().await;
    let order = taken(&server).await;
    let body = format!("{order} delivered");
    let unsigned = server.post("/v1/receipts/one").raw("application/json", body.clone().into()).send().await;
    let foreign = server.post("/v1/receipts/one").header("x-signature", "two").raw("", body.into()).send().await;
    let empty = server.post("/v1/receipts/one").send().await;
    for answer in [unsigned, foreign, empty] {
        let answer = answer.refuses(403, "forbidden");
        assert_eq!(answer.json["detail"], "The signature is not the gateway's.");
    }
    assert_eq!(record(&server, order).await, ["SendStarted", "CodeDispatched"]);
}

#[tokio::test]
async fn a_gateway_speaks_of_its_own_tries_only() {
    let server = server().await;
    let order = taken(&server).await;
    tells(&server, "two", "", &format!("{order} delivered")).await.refuses(404, "not_found");
    tells(&server, "one", "?attempt=2", &format!("{order} delivered")).await.refuses(404, "not_found");
    let nobody = server.fixture.uuid();
    for state in ["delivered", "pending"] {
        tells(&server, "one", "", &format!("{nobody} {state}")).await.refuses(404, "not_found");
    }
    tells(&server, "three", "", &format!("{order} delivered")).await.refuses(404, "not_found");
    assert_eq!(record(&server, order).await, ["SendStarted", "CodeDispatched"]);
    assert!(record(&server, EventId(nobody)).await.is_empty(), "no stream begins with a receipt");
}

#[tokio::test]
async fn what_is_signed_and_unreadable_or_too_large_is_refused() {
    let server = server().await;
    let answer = tells(&server, "one", "", "nonsense").await.refuses(422, "invalid_request");
    assert_eq!(answer.json["field"], "body");
    tells(&server, "one", "", &"x".repeat(64 * 1024 + 1)).await.refuses(413, "payload_too_large");
}
