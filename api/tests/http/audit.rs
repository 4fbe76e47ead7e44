//! The history: listed, streamed, replayed.

use std::time::Duration;

use domain::{time::Seconds, values::Scope};
use event_store::port::EventLog;
use futures::StreamExt;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::server::{Person, Server};

async fn audited(server: &Server) -> (Person<'_>, String, String) {
    let anna = server.person_with_totp("anna@example.com").await;
    let key = server.api_key(&[Scope::AuditRead]).await;
    let position = server.fixture.store.last_position().await.unwrap().to_string();
    (anna, key, position)
}

async fn ask(server: &Server, key: &str, position: &str, path: &str) -> Value {
    server.get(path).bearer(key).header("countersign-min-position", position).send().await.is(200).json
}

#[tokio::test]
async fn the_history_is_listed_page_by_page() {
    let server = Server::start().await;
    let (anna, key, position) = audited(&server).await;
    let path = format!("/v1/audit/accounts/{}/history?limit=500", anna.account);
    let all = ask(&server, &key, &position, &path).await;
    let events = all["events"].as_array().unwrap();
    let first = &events[0];
    assert_eq!(first["type"], "AccountRegistered");
    assert_eq!(first["summary"], "Account registered");
    assert_eq!(first["data"]["email"], "a•••@example.com");
    assert_eq!(first["data"]["password"], "[secret]");
    assert!(first["position"].is_u64() && first["at"].is_string());
    let text = all.to_string();
    assert!(!text.contains("anna@example.com") && !text.contains(&anna.totp) && !text.contains("127.0.0.1\""));
    assert!(all["next_cursor"].is_null());

    let mut seen = Vec::new();
    let mut path = format!("/v1/audit/accounts/{}/history?limit=2", anna.account);
    loop {
        let page = ask(&server, &key, &position, &path).await;
        seen.extend(page["events"].as_array().unwrap().iter().map(|event| event["position"].as_u64().unwrap()));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = format!("/v1/audit/accounts/{}/history?limit=2&cursor={cursor}", anna.account);
    }
    let expected: Vec<_> = events.iter().map(|event| event["position"].as_u64().unwrap()).collect();
    assert_eq!(seen, expected);

    let filtered =
        ask(&server, &key, &position, "/v1/audit/events?type=SignedIn,MethodEnabled&newest_first=true").await;
    let types: Vec<_> =
        filtered["events"].as_array().unwrap().iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(types, ["MethodEnabled", "SignedIn"]);
    let nobody = "/v1/audit/accounts/0192d3a0-0000-7000-8000-000000000001/history";
    server.get(nobody).bearer(&key).send().await.refuses(404, "not_found");
}

#[tokio::test]
async fn a_request_is_found_again_in_the_history_by_its_id() {
    let server = Server::start().await;
    let anna = server.person("anna@example.com").await;
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let started = anna.post("/v1/accounts/me/methods/totp").header("traceparent", trace).send().await.is(201);
    let (id, position) = (started.header("x-request-id"), started.header("countersign-position"));
    let key = server.api_key(&[Scope::AuditRead]).await;
    let found = ask(&server, &key, position, "/v1/audit/events?type=TotpEnrollmentStarted").await;
    assert_eq!(found["events"][0]["correlation_id"], id);
    assert_eq!(found["events"][0]["actor"]["kind"], "session");
    assert_eq!(found["events"][0]["account_id"], anna.account.as_str());
    let all = server.fixture.store.read_all(schemas::envelope::Position::START, 100).await.unwrap();
    assert!(all.iter().any(|event| String::from_utf8_lossy(&event.metadata).contains(trace)));
}

#[tokio::test]
async fn addresses_in_clear_take_a_scope_and_leave_a_trace() {
    let server = Server::start().await;
    let (anna, _, position) = audited(&server).await;
    let key = server.api_key(&[Scope::AuditRead, Scope::AuditPii]).await;
    let path = format!("/v1/audit/accounts/{}/history?pii=true&limit=500", anna.account);
    let clear = ask(&server, &key, &position, &path).await;
    assert_eq!(clear["events"][0]["data"]["email"], "anna@example.com");
    assert_eq!(clear["events"][0]["source"]["ip"], "127.0.0.1");
    assert_eq!(clear["events"][0]["data"]["password"], "[secret]");
    assert!(!clear.to_string().contains(&anna.totp));
    let traces = traces(&server).await;
    assert_eq!(traces, [json!("pii")]);
}

/// How the history was read, so far.
async fn traces(server: &Server) -> Vec<Value> {
    let all = server.fixture.store.read_all(schemas::envelope::Position::START, 10_000).await.unwrap();
    let accesses = all.iter().filter(|event| &*event.event_type == "HistoryAccessed");
    accesses.map(|event| serde_json::from_slice::<Value>(&event.data).unwrap()["access"].clone()).collect()
}

#[tokio::test]
async fn an_account_is_seen_as_it_was_and_step_by_step() {
    let server = Server::start().await;
    let before = server.now();
    server.fixture.clock.advance(Seconds(1));
    let (anna, key, position) = audited(&server).await;
    server.fixture.clock.advance(Seconds::hours(1));
    let id = anna.verified("disable_method").await;
    let gone =
        anna.call("DELETE", "/v1/accounts/me/methods/1").header("countersign-verification", &id).send().await.is(200);
    let path = |as_of: &str| format!("/v1/audit/accounts/{}/state{as_of}", anna.account);

    let now = ask(&server, &key, &position, &path("")).await;
    assert_eq!(now["state"]["two_factor_enabled"], false);
    assert_eq!(now["state"]["methods"], json!({}));
    let then = before.plus(Seconds::minutes(30)).to_string();
    let then = ask(&server, &key, &position, &path(&format!("?as_of={then}"))).await;
    assert_eq!(then["state"]["two_factor_enabled"], true);
    assert_eq!(then["state"]["methods"]["1"]["kind"], "totp");
    assert_eq!(then["state"]["email"], "a•••@example.com");
    assert!(then["version"].as_u64() < now["version"].as_u64());
    assert!(!then.to_string().contains(&anna.totp));
    server.get(&path(&format!("?as_of={before}"))).bearer(&key).send().await.refuses(404, "not_found");

    let position = gone.header("countersign-position");
    let steps = format!("/v1/audit/accounts/{}/history?changes=true&limit=500", anna.account);
    let steps = ask(&server, &key, position, &steps).await;
    let events = steps["events"].as_array().unwrap();
    let of = |name: &str| events.iter().find(|event| event["type"] == name).unwrap()["changes"].clone();
    let changed = of("TwoFactorDisabled");
    assert!(changed.as_array().unwrap().iter().any(|change| {
        change["path"] == "/two_factor_enabled" && change["before"] == true && change["after"] == false
    }));
    assert!(of("AccountRegistered").to_string().contains("/phase"));
    assert_eq!(traces(&server).await, [json!("state"), json!("state"), json!("state"), json!("replay")]);
}

#[tokio::test]
async fn events_are_streamed_as_they_happen_and_again_after_the_last_one_seen() {
    let server = Server::start().await;
    let (anna, key, _) = audited(&server).await;
    let mut live = Events::open(&server, server.get("/v1/audit/events/stream").bearer(&key)).await;
    // The first thing that the reader sees is that the stream was opened.
    assert_eq!(live.next().await["type"], "HistoryAccessed");
    anna.post("/v1/accounts/me/methods/totp").send().await.is(201);
    let started = live.next().await;
    assert_eq!(started["type"], "TotpEnrollmentStarted");
    assert_eq!(started["data"]["secret"], "[secret]");
    anna.post("/v1/sign-out").send().await.is(204);
    let out = live.next().await;
    assert_eq!(out["type"], "SignedOut");

    let last = started["position"].to_string();
    let again = server.get("/v1/audit/events/stream?after=1").bearer(&key).header("last-event-id", &last);
    let mut again = Events::open(&server, again).await;
    assert_eq!(again.next().await["event_id"], out["event_id"]);
    let mut first = Events::open(&server, server.get("/v1/audit/events/stream?after=0").bearer(&key)).await;
    assert_eq!(first.next().await["type"], "NumbersReserved");
    let registered = first.next().await;
    assert_eq!(registered["type"], "AccountRegistered");
    assert_eq!(registered["data"]["email"], "a•••@example.com");
    let bad = server.get("/v1/audit/events/stream").bearer(&key).header("last-event-id", "x").send().await;
    assert_eq!(bad.refuses(422, "invalid_request").json["field"], "Last-Event-ID");
}

/// Reads server-sent events.
struct Events {
    body: axum::body::BodyDataStream,
    text: String,
}

impl Events {
    async fn open(server: &Server, call: crate::server::Call<'_>) -> Self {
        let response = server.router().oneshot(call.request()).await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self { body: response.into_body().into_data_stream(), text: String::new() }
    }

    async fn next(&mut self) -> Value {
        loop {
            if let Some((event, rest)) = self.text.clone().split_once("\n\n") {
                let event: Vec<_> = event.lines().filter_map(|line| line.split_once(": ")).collect();
                rest.clone_into(&mut self.text);
                let line = |name: &str| event.iter().find(|(known, _)| *known == name).map(|(_, text)| *text);
                let Some(data) = line("data") else { continue };
                let data: Value = serde_json::from_str(data).unwrap();
                assert_eq!(line("id"), Some(data["position"].to_string().as_str()));
                assert_eq!(line("event"), data["type"].as_str());
                return data;
            }
            let more = tokio::time::timeout(Duration::from_secs(10), self.body.next()).await.unwrap().unwrap().unwrap();
            self.text.push_str(std::str::from_utf8(&more).unwrap());
        }
    }
}
