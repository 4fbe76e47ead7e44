//! What every answer has, and the places at the edge.

use api::{ApiConfig, DevInbox};
use axum::http::Version;
use domain::{secret::Secret, values::Channel};
use engine::testing::FixtureOptions;
use operations::InboxMessage;
use serde_json::json;

use crate::server::Server;

#[tokio::test]
async fn every_answer_has_its_security_headers_and_an_id() {
    let server = Server::start().await;
    for path in ["/v1/accounts/me", "/health/live", "/nothing", "/openapi.json"] {
        let answer = server.get(path).send().await;
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("referrer-policy"), "no-referrer");
        assert_eq!(answer.header("x-frame-options"), "DENY");
        assert_eq!(answer.header("content-security-policy"), "default-src 'none'; frame-ancestors 'none'");
        assert_eq!(answer.header("x-request-id").len(), 36);
        assert_eq!(answer.header("cache-control"), if path.starts_with("/v1/") { "no-store" } else { "" });
        assert!(answer.headers.get("set-cookie").is_none());
    }
}

#[tokio::test]
async fn the_request_id_is_ours_unless_a_proxy_of_ours_says_it() {
    let id = "0192d3a0-0000-7000-8000-000000000001";
    let server = Server::start().await;
    let answer = server.get("/health/live").header("x-request-id", id).send().await;
    assert_ne!(answer.header("x-request-id"), id);
    let config = ApiConfig { trusted_proxies: vec!["127.0.0.0/8".parse().unwrap()], ..ApiConfig::default() };
    let server = Server::with(FixtureOptions::default(), config).await;
    let answer = server.get("/health/live").header("x-request-id", id).send().await;
    assert_eq!(answer.header("x-request-id"), id);
    let answer = server.get("/health/live").peer("203.0.113.1:9").header("x-request-id", id).send().await;
    assert_ne!(answer.header("x-request-id"), id);
}

#[tokio::test]
async fn health_tells_whether_it_lives_and_how_far_it_is() {
    let server = Server::start().await;
    assert_eq!(server.get("/health/live").send().await.is(200).json, json!({"status": "ok"}));
    let ready = server.get("/health/ready").send().await.is(200);
    assert_eq!(ready.json["status"], "ok");
    assert_eq!(ready.json["views"].as_array().unwrap().len(), 8);
}

#[tokio::test]
async fn when_the_limiter_is_down_nothing_is_sent() {
    let server = Server::start().await;
    server.fixture.limiter.set_reachable(false);
    let body = json!({"email": "a@example.com", "password": "correct horse battery staple"});
    server.post("/v1/accounts").json(&body).send().await.refuses(503, "unavailable");
    server.post("/v1/sign-in").json(&body).send().await.refuses(503, "unavailable");
}

#[tokio::test]
async fn limits_count_by_the_source_that_proxies_tell() {
    let config = ApiConfig { trusted_proxies: vec!["127.0.0.0/8".parse().unwrap()], ..ApiConfig::default() };
    let server = Server::with(FixtureOptions::default(), config).await;
    let wrong = json!({"email": "nobody@example.com", "password": "wrong"});
    let call = |source: &str| server.post("/v1/sign-in").header("x-forwarded-for", source).json(&wrong);
    for _ in 0..10 {
        call("203.0.113.1").send().await.refuses(401, "wrong_credentials");
    }
    call("203.0.113.1").send().await.refuses(429, "rate_limited");
    call("203.0.113.2").send().await.refuses(401, "wrong_credentials");
}

#[tokio::test]
async fn a_byte_that_is_no_text_hides_no_source() {
    let config = ApiConfig { trusted_proxies: vec!["127.0.0.0/8".parse().unwrap()], ..ApiConfig::default() };
    let server = Server::with(FixtureOptions::default(), config).await;
    let wrong = json!({"email": "nobody@example.com", "password": "wrong"});
    let call = |source: &str| server.post("/v1/sign-in").header("x-forwarded-for", source).json(&wrong);
    for _ in 0..10 {
        call("\u{e9}, 203.0.113.1").send().await.refuses(401, "wrong_credentials");
    }
    call("203.0.113.1").send().await.refuses(429, "rate_limited");
    // What is hidden by the proxy itself has one source, which is not the proxy's.
    for n in 0..10 {
        call(&format!("203.0.113.{n}, \u{e9}")).send().await.refuses(401, "wrong_credentials");
    }
    call("unknown").send().await.refuses(429, "rate_limited");
    server.post("/v1/sign-in").json(&wrong).send().await.refuses(401, "wrong_credentials");
}

fn message(to: &str) -> InboxMessage {
    InboxMessage {
        id: "0192d3a0-0000-7000-8000-000000000001".parse().unwrap(),
        channel: Channel::Email,
        to: to.to_owned(),
        subject: Some("Your code <b>".to_owned()),
        body: Secret::new("Use 123456 & nothing else".to_owned()),
        code: Some(Secret::new("123456".to_owned())),
        at: event_store::testing::ManualClock::START,
    }
}

#[tokio::test]
async fn the_inbox_is_for_programs_of_this_machine() {
    let server = Server::start().await;
    server.operations.inbox_put(message("anna@example.com")).await.unwrap();
    let here = || server.get("/dev/inbox.json").header("host", "localhost:8080");
    let list = here().send().await.is(200);
    assert_eq!(list.json["items"][0]["code"], "123456");
    assert_eq!(list.json["items"][0]["channel"], "email");
    assert!(list.json["next_cursor"].is_null());
    let page = server.get("/dev/inbox").header("host", "127.0.0.1:8080").send().await.is(200);
    assert!(page.text.contains("123456") && page.text.contains("&lt;b&gt;") && page.text.contains("123456 &amp;"));
    assert_eq!(page.header("cache-control"), "no-store");
    assert!(page.header("content-security-policy").starts_with("default-src 'none'"));

    here().peer("203.0.113.1:9").send().await.refuses(404, "not_found");
    server.get("/dev/inbox.json").header("host", "evil.example.com").send().await.refuses(404, "not_found");
    server.get("/dev/inbox.json").send().await.refuses(404, "not_found");
    server.get("/dev/inbox").header("host", "evil.example.com").send().await.refuses(404, "not_found");

    let one = server.get("/dev/inbox.json?to=anna@example.com").header("host", "[::1]:8080").send().await.is(200);
    assert_eq!(one.json["items"].as_array().unwrap().len(), 1);
    let none = server.get("/dev/inbox.json?to=%2B436601234567").header("host", "localhost").send().await.is(200);
    assert_eq!(none.json["items"], json!([]));

    let off = Server::with(FixtureOptions::default(), ApiConfig::default()).await;
    off.get("/dev/inbox.json").header("host", "localhost").send().await.refuses(404, "not_found");
    let config = ApiConfig { dev_inbox: DevInbox::Exposed, ..ApiConfig::default() };
    let exposed = Server::with(FixtureOptions::default(), config).await;
    exposed.get("/dev/inbox.json").header("host", "demo.example.com").peer("203.0.113.1:9").send().await.is(200);
}

#[tokio::test]
async fn the_inbox_answers_nobody_through_a_proxy_on_this_machine() {
    let server = Server::start().await;
    server.operations.inbox_put(message("anna@example.com")).await.unwrap();
    for path in ["/dev/inbox.json", "/dev/inbox"] {
        let here = || server.get(path).header("host", "127.0.0.1:8080");
        here().send().await.is(200);
        for name in [
            "Forwarded",
            "X-Forwarded-For",
            "X-Forwarded-Host",
            "X-Forwarded-Proto",
            "X-Forwarded-Anything",
            "X-Real-IP",
            "X-Client-IP",
            "X-Cluster-Client-IP",
            "X-Original-Forwarded-For",
            "X-Original-Host",
            "True-Client-IP",
            "CF-Connecting-IP",
            "Fastly-Client-IP",
            "X-Envoy-External-Address",
            "Via",
        ] {
            for value in ["127.0.0.1", "", "\u{e9}"] {
                here().header(name, value).send().await.refuses(404, "not_found");
            }
        }
        // What old proxies speak, and browsers and curl do not.
        here().version(Version::HTTP_10).send().await.refuses(404, "not_found");
        here().header("host", "evil.example.com").send().await.refuses(404, "not_found");
    }
}
