//! Signed receipts that come again, as those of every provider do: an arrival is told once.

use serde_json::Value;

use super::{
    fake_gateway::{FakeGateway, Protocol, SECRET, Text},
    gateways::enrolled,
    load::{delivery, every_view_equals_a_replay},
};
use crate::support::{Person, Server, Settings, Setup, Watcher, eventually, over_every_setup};

over_every_setup![a_receipt_of_the_webhook_counts_once, a_status_call_back_of_twilio_counts_once];

async fn a_receipt_of_the_webhook_counts_once(setup: Setup) {
    counts_once(setup, Protocol::Webhook).await;
}

async fn a_status_call_back_of_twilio_counts_once(setup: Setup) {
    counts_once(setup, Protocol::Twilio).await;
}

async fn counts_once(setup: Setup, protocol: Protocol) {
    let gateway = FakeGateway::speaking(protocol, "carrier");
    let settings = Settings::default().with("public_url", "https://accounts.example.com").with("dev_inbox", "exposed");
    let server = setup.server_with(FakeGateway::with(&[&gateway], settings)).await;
    server.remember(SECRET);
    let person = enrolled(&server, &[&gateway]).await;
    let text = gateway.taken().remove(0);
    let watcher = Watcher::new(&server);
    until_told(&watcher, &person, "dispatched").await;

    // A wrong signature is refused, whatever is wrong about it.
    let (delivered, failed) = match protocol {
        Protocol::Webhook => ("delivered", "failed"),
        Protocol::Twilio => ("delivered", "undelivered"),
    };
    let receipt = gateway.receipt(&text, delivered, server.now());
    let other = gateway.receipt(&text, failed, server.now());
    let elsewhere =
        Text { receipts: Some("https://elsewhere.example.com/v1/receipts/carrier".to_owned()), ..text.clone() };
    let mut forged = vec![receipt.clone().unsigned(), receipt.clone().signed_as(&other)];
    match protocol {
        // What was signed long ago.
        Protocol::Webhook => forged.push(gateway.receipt(&text, delivered, server.now() - 301)),
        // What was signed for another server.
        Protocol::Twilio => forged.push(receipt.clone().signed_as(&gateway.receipt(&elsewhere, delivered, 0))),
    }
    for forged in forged {
        forged.post(&server.client()).await.refused(403, "forbidden");
    }
    let (_, record) = look_after_all(&server, &watcher, &person).await;
    assert_eq!(names(&record), ["SendStarted", "CodeDispatched"]);

    receipt.post(&server.client()).await.expect(204);
    assert_eq!(until_told(&watcher, &person, "delivered").await, ["SendStarted", "CodeDispatched", "CodeDelivered"]);
    let before = look(&watcher, &person).await;

    // Again: at once, after a failure that came late, and by a process that knows of the first one from the log.
    receipt.post(&server.client()).await.expect(204);
    other.post(&server.client()).await.expect(204);
    let server = server.kill_and_restart();
    receipt.post(&server.client()).await.expect(204);
    assert_eq!(look_after_all(&server, &watcher, &person).await, before, "the second one changes nothing");
    every_view_equals_a_replay(&server);
    server.leaves_nothing_behind().await;
}

/// The one text as the security team sees it, and its record.
async fn look(watcher: &Watcher, person: &Person) -> (Value, Vec<Value>) {
    let path = format!("/v1/security/deliveries?channel=sms&account_id={}", person.account);
    let mut deliveries = watcher.client.get(&path).await.expect(200);
    let history = watcher.history(&person.account).await;
    let order = history.iter().find(|event| event["type"] == "CodeIssued" && event["data"]["channel"] == "sms");
    let record = delivery(&history, order.expect("an order")).cloned().collect();
    let items = deliveries["items"].as_array_mut().expect("a list");
    assert_eq!(items.len(), 1, "one text: {items:?}");
    (items.remove(0), record)
}

/// The same once the views have caught up with all that was answered so far.
async fn look_after_all(server: &Server, watcher: &Watcher, person: &Person) -> (Value, Vec<Value>) {
    // Its answer names the position that the queries then wait for; a receipt's names none.
    person.begin_sign_in(server).await;
    look(watcher, person).await
}

/// Waits until the text is told to be in this state; its record so far.
async fn until_told(watcher: &Watcher, person: &Person, state: &str) -> Vec<String> {
    let (_, record) = eventually(state, || async {
        let seen = look(watcher, person).await;
        (seen.0["state"] == state).then_some(seen)
    })
    .await;
    names(&record)
}

fn names(record: &[Value]) -> Vec<String> {
    record.iter().map(|event| event["type"].as_str().expect("a type").to_owned()).collect()
}
