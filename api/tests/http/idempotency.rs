//! The same key with the same request is the same command.

use domain::time::Seconds;
use serde_json::json;

use crate::server::{PASSWORD, Server};

#[tokio::test]
async fn the_first_answer_is_repeated() {
    let server = Server::start().await;
    let anna = server.person("anna@example.com").await;
    let call = || anna.post("/v1/accounts/me/methods/totp").header("idempotency-key", "one");
    let first = call().send().await.is(201);
    assert_eq!(first.header("idempotency-replayed"), "");
    let again = call().send().await.is(201);
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(again.text, first.text);
    assert_eq!(again.header("countersign-position"), first.header("countersign-position"));

    let other = anna.post("/v1/accounts/me/methods/totp").header("idempotency-key", "two").send().await.is(201);
    assert_ne!(other.json["method_id"], first.json["method_id"]);
    server.fixture.clock.advance(Seconds::hours(24));
    let session = server.sign_in(&anna.email).await;
    let path = "/v1/accounts/me/methods/totp";
    let later = server.post(path).bearer(&session).header("idempotency-key", "one").send().await.is(201);
    assert_eq!(later.header("idempotency-replayed"), "");
}

#[tokio::test]
async fn another_request_under_the_key_is_refused() {
    let server = Server::start().await;
    let anna = server.person("anna@example.com").await;
    let id = anna.mailed("issue_access_token").await;
    let named = |path: &str, body| {
        anna.post(path).header("idempotency-key", "k").header("countersign-verification", &id).json(&body)
    };
    named("/v1/accounts/me/access-tokens", json!({"name": "a"})).send().await.is(201);
    let body = named("/v1/accounts/me/access-tokens", json!({"name": "b"})).send().await;
    body.refuses(409, "idempotency_conflict");
    let path = named("/v1/accounts/me/methods/totp", json!({})).send().await;
    path.refuses(409, "idempotency_conflict");
    named("/v1/accounts/me/access-tokens", json!({"name": "a"})).send().await.is(201);
}

#[tokio::test]
async fn a_key_is_its_holders_alone() {
    let server = Server::start().await;
    let anna = server.person("anna@example.com").await;
    let berta = server.person("berta@example.com").await;
    let body = json!({"name": "a"});
    let mut ids = Vec::new();
    for person in [&anna, &berta] {
        let id = person.mailed("issue_access_token").await;
        let call = person.post("/v1/accounts/me/access-tokens").header("countersign-verification", &id);
        let call = call.header("idempotency-key", "k").json(&body);
        ids.push(call.send().await.is(201).text_at("/access_token_id"));
    }
    assert_ne!(ids[0], ids[1]);

    let stranger = |peer: &'static str, email: &str| {
        let body = json!({"email": email, "password": PASSWORD});
        server.post("/v1/accounts").peer(peer).header("idempotency-key", "k").json(&body)
    };
    let first = stranger("203.0.113.1:1000", "c@example.com").send().await.is(201);
    let again = stranger("203.0.113.1:2000", "c@example.com").send().await.is(201);
    assert_eq!(first.text, again.text);
    let elsewhere = stranger("203.0.113.2:1000", "c@example.com").send().await.is(201);
    assert_ne!(elsewhere.text, first.text);
    stranger("203.0.113.1:1000", "d@example.com").send().await.refuses(409, "idempotency_conflict");
}

#[tokio::test]
async fn copies_that_arrive_together_are_one_command() {
    let server = Server::start().await;
    let body = json!({"email": "anna@example.com", "password": PASSWORD});
    let call = || server.post("/v1/accounts").header("idempotency-key", "k").json(&body).send();
    let (a, b, c, d) = tokio::join!(call(), call(), call(), call());
    for copy in [&b, &c, &d] {
        assert_eq!(copy.text, a.text);
    }
    a.is(201);
}

#[tokio::test]
async fn answers_with_a_session_are_kept_for_ten_minutes() {
    let server = Server::start().await;
    let account = server.sign_up("anna@example.com").await;
    assert!(!account.is_empty());
    let body = json!({"email": "anna@example.com", "password": PASSWORD});
    let call = || server.post("/v1/sign-in").header("idempotency-key", "k").json(&body);
    let first = call().send().await.is(200);
    server.fixture.clock.advance(Seconds::minutes(9));
    let again = call().send().await.is(200);
    assert_eq!(again.text, first.text);
    server.fixture.clock.advance(Seconds::minutes(2));
    let later = call().send().await.is(200);
    assert_ne!(later.text, first.text);
}

#[tokio::test]
async fn a_wrong_code_is_judged_once_per_key() {
    let server = Server::start().await;
    let anna = server.person_with_totp("anna@example.com").await;
    let id = anna.verification("disable_method").await;
    let path = format!("/v1/verifications/{id}/attempts");
    let body = json!({"method": "totp", "code": "000000"});
    for key in ["k1", "k1", "k1"] {
        let answer = anna.post(&path).header("idempotency-key", key).json(&body).send().await;
        assert_eq!(answer.refuses(422, "wrong_code").json["fail_count"], 1);
    }
    let answer = anna.post(&path).header("idempotency-key", "k2").json(&body).send().await;
    assert_eq!(answer.refuses(422, "wrong_code").json["fail_count"], 2);
}

#[tokio::test]
async fn a_method_that_is_renamed_and_made_primary_at_once_is_both_or_repeated() {
    let server = Server::start().await;
    let anna = server.person_with_totp("anna@example.com").await;
    let body = json!({"label": "Work", "is_primary": true});
    let call = || anna.call("PATCH", "/v1/accounts/me/methods/1").header("idempotency-key", "k").json(&body);
    let first = call().send().await.is(200);
    let again = call().send().await.is(200);
    assert_eq!(first.text, again.text);
    assert_eq!(first.json["method"]["label"], "Work");
}
