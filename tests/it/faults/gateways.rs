//! Gateways that behave badly: the code arrives by the next one, once, and once more only where nobody could know.

use std::time::Duration;

use serde_json::{Value, json};

use super::{
    fake_gateway::{FakeGateway, Mood},
    load::delivery,
};
use crate::support::{Person, Server, Settings, Setup, Watcher, eventually};

const NUMBER: &str = "+436601234567";

/// A person asks for a text; the code that came, by the last gateway that has one. Then the method is enabled.
pub async fn enrolled(server: &Server, gateways: &[&FakeGateway]) -> Person {
    let person = Person::sign_up(server, "elsa").await;
    person.authorize_first().await;
    let body = json!({"phone_number": NUMBER});
    let started = person.client.post("/v1/accounts/me/methods/sms", body).await.expect(201);
    let code = eventually("a code", || async { gateways.iter().find_map(|gateway| gateway.code(NUMBER)) }).await;
    let path = format!("/v1/accounts/me/methods/{}/enable", started["method_id"]);
    person.client.post(&path, json!({"code": code})).await.expect(200);
    person
}

/// The record of the one text: by whom each event is, and what it says.
async fn record(server: &Server, person: &Person) -> Vec<(String, String)> {
    let watcher = Watcher::new(server);
    eventually("the record of the send", || async {
        let history = watcher.history(&person.account).await;
        let order = history.iter().find(|event| event["type"] == "CodeIssued" && event["data"]["channel"] == "sms")?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let record: Vec<_> =
            delivery(&history, order).map(|event| (text(&event["data"]["provider"]), text(&event["type"]))).collect();
        record.iter().any(|(_, name)| name == "CodeDispatched").then_some(record)
    })
    .await
}

fn of<'a>(record: &'a [(String, String)], provider: &str) -> Vec<&'a str> {
    record.iter().filter(|(name, _)| name == provider).map(|(_, event)| event.as_str()).collect()
}

#[tokio::test]
async fn one_that_answers_500_takes_nothing_and_the_next_one_sends() {
    let (first, second) = (FakeGateway::start("first"), FakeGateway::start("second"));
    first.behave(Mood::Breaks);
    let settings = FakeGateway::with(&[&first, &second], Settings::default());
    let server = Setup::Postgres.server_with(settings).await;
    let person = enrolled(&server, &[&second]).await;
    let record = record(&server, &person).await;
    assert!(first.asked() >= 2, "it is given another chance before it is passed over");
    assert_eq!((first.taken().len(), second.taken().len()), (0, 1));
    assert!(of(&record, "first").contains(&"CodeDeliveryFailed"), "{record:?}");
    assert_eq!(of(&record, "second"), ["SendStarted", "CodeDispatched"]);
    server.leaves_nothing_behind().await;
}

#[tokio::test]
async fn one_that_never_answers_is_passed_over_in_time() {
    let (first, second) = (FakeGateway::start("first"), FakeGateway::start("second"));
    first.behave(Mood::Hangs);
    let settings = FakeGateway::with(&[&first, &second], Settings::default());
    let server = Setup::Postgres.server_with(settings).await;
    let person = enrolled(&server, &[&second]).await;
    let record = record(&server, &person).await;
    assert_eq!((first.asked(), first.taken().len(), second.taken().len()), (1, 0, 1));
    assert_eq!(of(&record, "first"), ["SendStarted", "CodeDeliveryFailed"]);
    server.leaves_nothing_behind().await;
}

#[tokio::test]
async fn one_that_takes_thirty_seconds_costs_one_extra_copy_of_the_same_code() {
    let (first, second) = (FakeGateway::start("first"), FakeGateway::start("second"));
    first.behave(Mood::TakesAndAnswersAfter(Duration::from_secs(30)));
    let settings = FakeGateway::with(&[&first, &second], Settings::default());
    let server = Setup::Postgres.server_with(settings).await;
    let person = enrolled(&server, &[&second]).await;
    let record = record(&server, &person).await;
    assert_eq!((first.taken().len(), second.taken().len()), (1, 1));
    assert_eq!(first.code(NUMBER), second.code(NUMBER), "both say the same");
    assert_eq!(first.taken()[0].reference, second.taken()[0].reference, "and name the same send");
    assert_eq!(of(&record, "first"), ["SendStarted", "CodeDeliveryFailed"], "that it was slow is on record");
    server.leaves_nothing_behind().await;
}

#[tokio::test]
async fn one_that_answers_twice_is_heard_once() {
    let gateway = FakeGateway::start("first");
    gateway.behave(Mood::SaysItTwice);
    let settings = FakeGateway::with(&[&gateway], Settings::default());
    let server = Setup::Postgres.server_with(settings).await;
    let mut person = enrolled(&server, &[&gateway]).await;
    let record = record(&server, &person).await;
    assert_eq!(gateway.taken().len(), 1);
    assert_eq!(of(&record, "first"), ["SendStarted", "CodeDispatched"]);

    // The second answer is not taken for that of the next message.
    let (verification, holder) = person.begin_sign_in(&server).await;
    let path = format!("/v1/verifications/{}", crate::support::id(&verification));
    gateway.behave(Mood::Breaks);
    holder.post(&format!("{path}/codes"), json!({"channel": "sms"})).await.expect(202);
    eventually("a failure on record", || async { (gateway.asked() >= 2).then_some(()) }).await;
    gateway.behave(Mood::Takes);
    let code =
        eventually("the code", || async { gateway.taken_for(NUMBER).get(1).map(super::fake_gateway::Text::code) })
            .await;
    let answer = holder.post(&format!("{path}/attempts"), json!({"method": "sms", "code": code})).await.expect(200);
    person.client = holder.with(answer["session_token"].as_str().unwrap());
    assert_eq!(gateway.taken().len(), 2);
    server.leaves_nothing_behind().await;
}
