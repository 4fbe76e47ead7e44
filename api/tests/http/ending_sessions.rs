//! Sessions that end all at once: one's others, an account's by support, everybody's by a cut-off.

use domain::{time::Seconds, values::Scope};
use event_store::testing::eventually;
use serde_json::{Value, json};

use crate::server::{Person, Server};

async fn is_live(server: &Server, token: &str) -> bool {
    server.get("/v1/accounts/me").bearer(token).send().await.status == 200
}

fn ids(list: &Value) -> Vec<String> {
    let ids = list["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned());
    ids.collect()
}

#[tokio::test]
async fn a_person_ends_all_other_sessions_at_once() {
    let server = Server::start().await;
    let anna = server.person("anna@example.com").await;
    let others = [server.sign_in("anna@example.com").await, server.sign_in("anna@example.com").await];
    let berta = server.person("berta@example.com").await;
    let of_berta = format!("/v1/accounts/{}/sessions", berta.account);
    anna.call("DELETE", &of_berta).send().await.refuses(404, "not_found");

    anna.call("DELETE", "/v1/accounts/me/sessions").send().await.is(204);
    for other in &others {
        server.get("/v1/accounts/me").bearer(other).send().await.refuses(401, "unauthenticated");
    }
    assert!(is_live(&server, &anna.session).await && is_live(&server, &berta.session).await);
    let left = anna.get("/v1/accounts/me/sessions").send().await.is(200);
    assert_eq!(ids(&left.json).len(), 1);
    assert_eq!(left.json["items"][0]["is_current"], true);
    anna.call("DELETE", "/v1/accounts/me/sessions").send().await.is(204);

    let client = server.api_key(&[Scope::AccountsWrite]).await;
    server.delete(&of_berta).bearer(&client).send().await.is(204);
    assert!(!is_live(&server, &berta.session).await);
}

#[tokio::test]
async fn support_ends_all_sessions_and_access_tokens_with_a_reason() {
    let server = Server::start().await;
    let anna = server.person("anna@example.com").await;
    let token = anna.access_token("backup").await.is(201).text_at("/token");
    let berta = server.person("berta@example.com").await;
    let path = format!("/v1/security/accounts/{}/end-sessions", anna.account);
    let reason = json!({"reason": "laptop stolen, known by voice"});
    let other = server.api_key(&[Scope::SecurityRead, Scope::Admin]).await;
    server.post(&path).bearer(&other).json(&reason).send().await.refuses(403, "forbidden");
    anna.post(&path).json(&reason).send().await.refuses(403, "forbidden");
    let support = server.api_key(&[Scope::SupportWrite]).await;
    server.post(&path).bearer(&support).json(&json!({})).send().await.refuses(422, "invalid_request");
    assert!(is_live(&server, &anna.session).await && is_live(&server, &token).await);

    let ended = server.post(&path).bearer(&support).json(&reason).send().await.is(204);
    let position = ended.header("countersign-position").to_owned();
    assert!(!is_live(&server, &anna.session).await && !is_live(&server, &token).await);
    assert!(is_live(&server, &berta.session).await);
    // Factors and password are as they were.
    let again = server.sign_in("anna@example.com").await;
    assert!(is_live(&server, &again).await);
    let auditor = server.api_key(&[Scope::AuditRead]).await;
    let history = format!("/v1/audit/accounts/{}/history?limit=500", anna.account);
    let history = server.get(&history).bearer(&auditor).header("countersign-min-position", &position);
    let history = history.send().await.is(200);
    let events = history.json["events"].as_array().unwrap();
    let ended = events.iter().find(|event| event["type"] == "SessionsEnded").unwrap();
    assert_eq!(ended["data"]["reason"], "laptop stolen, known by voice");
    let nobody = "/v1/security/accounts/0192d3a0-0000-7000-8000-000000000001/end-sessions";
    server.post(nobody).bearer(&support).json(&reason).send().await.refuses(404, "not_found");
}

/// Everything that a person is signed in with.
async fn credentials(anna: &Person<'_>) -> Vec<String> {
    vec![anna.session.clone(), anna.access_token("backup").await.is(201).text_at("/token")]
}

#[tokio::test]
async fn a_cut_off_ends_what_began_before_it_in_every_process_and_after_a_restart() {
    let server = Server::start().await;
    let anna = server.person("anna@example.com").await;
    let old = credentials(&anna).await;
    let elsewhere = server.beside().await;
    for token in &old {
        assert!(is_live(&server, token).await && is_live(&elsewhere, token).await);
    }
    server.fixture.clock.advance(Seconds(60));
    let before = server.now().to_string();
    let fresh = server.sign_in("anna@example.com").await;
    let admin = server.api_key(&[Scope::Admin]).await;
    let cut_off = |before: &str| {
        let body = json!({"before": before, "reason": "a proxy was broken into"});
        server.post("/v1/security/sessions/cut-off").bearer(&admin).json(&body)
    };
    let support = server.api_key(&[Scope::SupportWrite]).await;
    let body = json!({"before": before, "reason": "a proxy was broken into"});
    let by_support = server.post("/v1/security/sessions/cut-off").bearer(&support).json(&body);
    by_support.send().await.refuses(403, "forbidden");
    let future = server.now().plus(Seconds(1)).to_string();
    cut_off(&future).send().await.refuses(422, "invalid_request");

    let position = cut_off(&before).send().await.is(204).header("countersign-position").to_owned();
    for token in &old {
        assert!(!is_live(&server, token).await, "this process respects it with its answer");
        let is_over = async || (!is_live(&elsewhere, token).await).then_some(());
        assert!(eventually(is_over).await.is_some(), "another process follows");
    }
    cut_off("2020-01-01T00:00:00Z").send().await.is(204);
    let restarted = server.beside().await;
    for process in [&server, &elsewhere, &restarted] {
        for token in &old {
            assert!(!is_live(process, token).await);
        }
        assert!(is_live(process, &fresh).await, "what began after it goes on");
        let introspect = process.api_key(&[Scope::Introspect]).await;
        let asked = process.post("/v1/introspect").bearer(&introspect).json(&json!({"token": old[0]})).send().await;
        assert_eq!(asked.is(200).json, json!({"active": false}));
    }

    let list = async |what: &str| {
        let path = format!("/v1/accounts/me/{what}");
        let call = server.get(&path).bearer(&fresh).header("countersign-min-position", &position);
        ids(&call.send().await.is(200).json)
    };
    assert_eq!(list("sessions").await.len(), 1);
    assert!(list("access-tokens").await.is_empty());
}
