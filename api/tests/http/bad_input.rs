//! Whatever is sent, the answer is a problem document, and nothing is lost or panics.

use api::ApiConfig;
use domain::values::Scope;
use engine::testing::FixtureOptions;
use serde_json::{Value, json};

use crate::server::{PASSWORD, Server};

#[tokio::test]
async fn what_cannot_be_read_is_malformed() {
    let server = Server::start().await;
    for body in [
        "{",
        "[",
        "nonsense",
        "\"",
        "{\"email\": \"a@example.com\",}",
        "{} {}",
        "\u{feff}{}",
        "{\"email\": \"\\ud800\"}",
        "{\"email\": \"\u{0}\"}",
    ] {
        let answer = server.post("/v1/accounts").raw("application/json", body.as_bytes().to_vec()).send().await;
        answer.refuses(400, "malformed_request");
    }
    let answer = server.post("/v1/accounts").raw("application/json", vec![0xff, 0xfe, 0x00]).send().await;
    answer.refuses(400, "malformed_request");
    server.post("/v1/accounts").send().await.refuses(400, "malformed_request");
}

#[tokio::test]
async fn what_is_not_json_is_not_taken() {
    let server = Server::start().await;
    for content_type in ["", "text/plain", "application/x-www-form-urlencoded", "application/jsonp", "\u{e9}"] {
        let answer = server.post("/v1/accounts").raw(content_type, b"email=a".to_vec()).send().await;
        answer.refuses(415, "unsupported_media_type");
    }
    for content_type in ["application/json; charset=utf-8", "Application/JSON"] {
        server.post("/v1/accounts").raw(content_type, b"{}".to_vec()).send().await.is(422);
    }
}

#[tokio::test]
async fn wrong_and_unknown_fields_are_named() {
    let server = Server::start().await;
    let anna = server.person("anna@example.com").await;
    let long = "x".repeat(5_000);
    let table: &[(&str, &str, Value, &str)] = &[
        ("POST", "/v1/accounts", json!({}), "email"),
        ("POST", "/v1/accounts", json!({"email": 7}), "email"),
        ("POST", "/v1/accounts", json!({"email": null, "password": PASSWORD}), "email"),
        ("POST", "/v1/accounts", json!({"email": "nonsense", "password": PASSWORD}), "email"),
        ("POST", "/v1/accounts", json!({"email": "ünï@example.com", "password": PASSWORD}), "email"),
        ("POST", "/v1/accounts", json!({"email": "a@example.com"}), "password"),
        ("POST", "/v1/accounts", json!({"email": "a@example.com", "password": "short"}), "password"),
        ("POST", "/v1/accounts", json!({"email": "a@example.com", "password": "password1"}), "password"),
        ("POST", "/v1/accounts", json!({"email": "a@example.com", "password": long}), "password"),
        ("POST", "/v1/accounts", json!({"email": "a@example.com", "password": PASSWORD, "admin": true}), "admin"),
        (
            "POST",
            "/v1/accounts",
            json!({"email": "a@example.com", "password": PASSWORD, "email_verified": "yes"}),
            "email_verified",
        ),
        ("POST", "/v1/sign-in", json!({}), "email"),
        ("POST", "/v1/sign-in", json!({"email": "a@example.com"}), "password"),
        ("POST", "/v1/sign-in", json!({"password": "x"}), "email"),
        ("POST", "/v1/verifications", json!({"purpose": "world_domination"}), "purpose"),
        ("POST", "/v1/verifications", json!({"purpose": "add_method", "method_id": -1}), "method_id"),
        ("POST", "/v1/accounts/me/methods/sms", json!({"phone_number": "12345"}), "phone_number"),
        ("POST", "/v1/accounts/me/methods/sms", json!({"phone_number": "+999123456789"}), "phone_number"),
        ("POST", "/v1/accounts/me/methods/totp", json!({"secret": "mine"}), "secret"),
        ("POST", "/v1/accounts/me/methods/1/enable", json!({"code": long}), "code"),
        ("POST", "/v1/accounts/me/methods/1/enable", json!({"code": ""}), "code"),
        ("POST", "/v1/accounts/me/methods/1/enable", json!({"code": "123456", "label": "\u{202e}evil"}), "label"),
        ("POST", "/v1/accounts/me/methods/1/enable", json!({"code": "123456", "label": "x".repeat(31)}), "label"),
        ("POST", "/v1/accounts/me/access-tokens", json!({"name": " "}), "name"),
        ("PUT", "/v1/accounts/me/email", json!({"email": "anna at example.com", "password": PASSWORD}), "email"),
        (
            "PUT",
            "/v1/accounts/me/password",
            json!({"new_password": "another horse battery staple"}),
            "current_password",
        ),
    ];
    for (method, path, body, field) in table {
        let call = server.call(method, path);
        let call =
            if path.contains("/me/") || path.contains("verifications") { call.bearer(&anna.session) } else { call };
        let answer = call.json(body).send().await.refuses(422, "invalid_request");
        assert_eq!(answer.json["field"], *field, "{method} {path} {body}: {}", answer.text);
        assert!(!answer.text.contains("xxxxx"), "what was sent is not repeated");
    }
}

#[tokio::test]
async fn absurd_text_is_refused_or_kept_as_it_is() {
    let server = Server::start().await;
    let anna = server.person("anna@example.com").await;
    let verification = anna.verification("add_method").await;
    let attempts = format!("/v1/verifications/{verification}/attempts");
    for code in
        ["💥💥💥💥💥💥", "１２３４５６", "12345", "1234567", "\u{202e}123456", "'; DROP TABLE events; --", "-00001"]
    {
        let answer = anna.post(&attempts).json(&json!({"method": "email", "code": code})).send().await;
        assert!([422, 429].contains(&answer.status.as_u16()), "{}", answer.text);
    }
    let name = "Z͑ͫ̓ͪ̂ͫ̽͏̴̙̤̞͉͚̯̞̠͍A̴̵̜̰͔ͫ͗͢ 👩‍👩‍👧‍👦 ﷽";
    let issued = anna.post("/v1/accounts/me/access-tokens").json(&json!({"name": name})).send().await;
    assert!([201, 422].contains(&issued.status.as_u16()), "{}", issued.text);
}

#[tokio::test]
async fn large_bodies_are_refused() {
    let server = Server::start().await;
    let body = json!({"email": "a".repeat(70_000)});
    server.post("/v1/accounts").json(&body).send().await.refuses(413, "payload_too_large");
    let announced =
        server.post("/v1/accounts").header("content-length", "999999999").raw("application/json", b"{}".to_vec());
    announced.send().await.refuses(413, "payload_too_large");
    let small = Server::with(FixtureOptions::default(), ApiConfig { body_limit: 10, ..ApiConfig::default() }).await;
    small.post("/v1/accounts").json(&json!({"email": "a@example.com"})).send().await.refuses(413, "payload_too_large");
}

#[tokio::test]
async fn paths_that_name_nothing_are_not_found() {
    let server = Server::start().await;
    let anna = server.person("anna@example.com").await;
    for path in [
        "/",
        "/v2/accounts",
        "/v1/accounts/me/methods/1/nothing",
        "/v1/accounts/me/",
        "/v1/accounts/nonsense",
        "/v1/accounts/%ff%fe/methods",
        "/v1/accounts/%00",
        "/v1/verifications/nonsense",
        "/v1/verifications/a.b",
        "/v1/verifications/0192d3a0-0000-7000-8000-000000000001",
        "/v1/%2e%2e/accounts",
    ] {
        anna.get(path).send().await.refuses(404, "not_found");
    }
    for (method, path) in [
        ("DELETE", "/v1/accounts/me/methods/none"),
        ("DELETE", "/v1/accounts/me/methods/4294967296"),
        ("DELETE", "/v1/accounts/me/sessions/1"),
        ("DELETE", "/v1/accounts/me/access-tokens/x"),
    ] {
        anna.call(method, path).send().await.refuses(404, "not_found");
    }
}

#[tokio::test]
async fn another_method_is_not_allowed_and_the_right_ones_are_named() {
    let server = Server::start().await;
    for (method, path) in
        [("GET", "/v1/sign-in"), ("DELETE", "/v1/accounts"), ("BREW", "/v1/accounts"), ("PUT", "/health/live")]
    {
        let answer = server.call(method, path).send().await.refuses(405, "method_not_allowed");
        assert!(!answer.header("allow").is_empty());
    }
}

#[tokio::test]
async fn queries_are_as_strict_as_bodies() {
    let server = Server::start().await;
    let key = server.api_key(&[Scope::SecurityRead, Scope::AuditRead]).await;
    for (path, field) in [
        ("/v1/security/accounts?limit=0", "limit"),
        ("/v1/security/accounts?limit=501", "limit"),
        ("/v1/security/accounts?limit=many", "limit"),
        ("/v1/security/accounts?order=1", "order"),
        ("/v1/security/accounts?cursor=nonsense", "cursor"),
        ("/v1/security/accounts?email=nonsense", "email"),
        ("/v1/security/accounts?locked=perhaps", "locked"),
        ("/v1/security/accounts?method=pigeon", "method"),
        ("/v1/security/lockouts?cursor=%00", "cursor"),
        ("/v1/security/deliveries?account_id=x", "account_id"),
        ("/v1/security/adoption?from=yesterday", "from"),
        ("/v1/security/adoption?from=2000-01-01T00:00:00Z", "from"),
        ("/v1/audit/events?before=x", "before"),
        ("/v1/audit/events?pii=maybe", "pii"),
        ("/v1/audit/events/stream?after=-1", "after"),
        ("/v1/audit/accounts/0192d3a0-0000-7000-8000-000000000001/state?as_of=", "as_of"),
    ] {
        let answer = server.get(path).bearer(&key).send().await.refuses(422, "invalid_request");
        assert_eq!(answer.json["field"], field, "{path}: {}", answer.text);
    }
}

#[tokio::test]
async fn headers_are_read_strictly() {
    let server = Server::start().await;
    let anna = server.person_with_totp("anna@example.com").await;
    let long = "k".repeat(256);
    for key in ["", "with space", "kä", &long] {
        let answer = anna.post("/v1/sign-out").header("idempotency-key", key).send().await;
        assert_eq!(answer.refuses(422, "invalid_request").json["field"], "Idempotency-Key");
    }
    let twice = anna.post("/v1/sign-out").header("idempotency-key", "a").header("idempotency-key", "b").send().await;
    twice.refuses(422, "invalid_request");
    let named =
        anna.call("DELETE", "/v1/accounts/me/methods/1").header("countersign-verification", "mine").send().await;
    assert_eq!(named.refuses(422, "invalid_request").json["field"], "Countersign-Verification");
    let position = anna.get("/v1/accounts/me/methods").header("countersign-min-position", "soon").send().await;
    assert_eq!(position.refuses(422, "invalid_request").json["field"], "Countersign-Min-Position");
    let future = anna.get("/v1/accounts/me/methods").header("countersign-min-position", "99999999").send().await;
    future.refuses(503, "stale_view");
    let future = anna.get("/v1/accounts/me").header("countersign-min-position", "99999999").send().await;
    future.refuses(503, "stale_view");
    let reached = anna.get("/v1/accounts/me").send().await.is(200).header("countersign-position").to_owned();
    anna.get("/v1/accounts/me").header("countersign-min-position", &reached).send().await.is(200);
}
