//! Who may call what.

use axum::http::Method;
use domain::{time::Seconds, values::Scope};
use serde_json::json;

use crate::server::{PASSWORD, Server};

/// The endpoints that answer strangers. A new endpoint that is not meant for them must not appear here.
const OPEN: &[&str] = &[
    "GET /dev/inbox",
    "GET /dev/inbox.json",
    "GET /health/live",
    "GET /health/ready",
    "POST /v1/accounts",
    "POST /v1/accounts/{account}/email/resend",
    "POST /v1/accounts/{account}/email/verify",
    "POST /v1/email-undos",
    "POST /v1/email-undos/codes",
    "POST /v1/email-undos/freeze",
    "POST /v1/password-resets",
    "POST /v1/receipts/{gateway}",
    "POST /v1/sign-in",
];

/// All endpoints, with ids of things that do not exist.
fn endpoints(server: &Server) -> Vec<(String, Method, String)> {
    let mut all = Vec::new();
    for (path, item) in server.document()["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            let method = method.to_ascii_uppercase();
            let nobody = "0192d3a0-0000-7000-8000-000000000001";
            let id = if path.contains("/methods/") { "1" } else { nobody };
            let concrete = path.replace("{account}", nobody).replace("{id}", id);
            all.push((format!("{method} {path}"), method.parse().unwrap(), concrete));
        }
    }
    all
}

#[tokio::test]
async fn strangers_reach_these_endpoints_and_no_other() {
    let server = Server::start().await;
    let mut open = Vec::new();
    for (name, method, path) in endpoints(&server) {
        let answer = server.call(method.as_str(), &path).header("host", "localhost").send().await;
        if answer.status == 401 {
            answer.refuses(401, "unauthenticated");
        } else {
            open.push(name);
        }
    }
    open.sort();
    assert_eq!(open, OPEN);
}

#[tokio::test]
async fn the_document_says_the_same_of_strangers() {
    let server = Server::start().await;
    let mut open = Vec::new();
    for (path, item) in server.document()["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let security = operation["security"].as_array();
            if security.is_none_or(|ways| ways.iter().any(|way| way.as_object().unwrap().is_empty())) {
                open.push(format!("{} {path}", method.to_ascii_uppercase()));
            }
        }
    }
    open.sort();
    assert_eq!(open, OPEN);
}

#[tokio::test]
async fn a_scope_opens_its_own_endpoints() {
    let server = Server::start().await;
    let all = [
        Scope::Admin,
        Scope::AccountsWrite,
        Scope::SessionsIssue,
        Scope::Introspect,
        Scope::SecurityRead,
        Scope::SupportWrite,
        Scope::AuditRead,
        Scope::AuditPii,
    ];
    for (path, scope) in [
        ("/v1/api-keys", Scope::Admin),
        ("/v1/security/accounts", Scope::SecurityRead),
        ("/v1/security/lockouts", Scope::SecurityRead),
        ("/v1/security/deliveries", Scope::SecurityRead),
        ("/v1/security/adoption", Scope::SecurityRead),
        ("/v1/audit/events", Scope::AuditRead),
    ] {
        let others: Vec<Scope> = all.into_iter().filter(|other| *other != scope).collect();
        let with = server.api_key(&[scope]).await;
        let without = server.api_key(&others).await;
        server.get(path).bearer(&with).send().await.is(200);
        server.get(path).bearer(&without).send().await.refuses(403, "forbidden");
        let anna = server.person(&format!("{}@example.com", server.fixture.uuid())).await;
        anna.get(path).send().await.refuses(403, "forbidden");
    }
    let key = server.api_key(&[Scope::AuditRead]).await;
    server.get("/v1/audit/events?pii=true").bearer(&key).send().await.refuses(403, "forbidden");
}

#[tokio::test]
async fn other_peoples_accounts_do_not_exist() {
    let server = Server::start().await;
    let anna = server.person("anna@example.com").await;
    let berta = server.person_with_totp("berta@example.com").await;
    let id = &berta.account;
    for (method, path) in [
        ("GET", format!("/v1/accounts/{id}")),
        ("GET", format!("/v1/accounts/{id}/methods")),
        ("GET", format!("/v1/accounts/{id}/recovery-codes")),
        ("GET", format!("/v1/accounts/{id}/sessions")),
        ("POST", format!("/v1/accounts/{id}/methods/totp")),
        ("DELETE", format!("/v1/accounts/{id}/methods/1")),
        ("DELETE", format!("/v1/accounts/{id}")),
        ("POST", format!("/v1/accounts/{id}/recovery-codes")),
    ] {
        anna.call(method, &path).send().await.refuses(404, "not_found");
    }
    let body = json!({"purpose": "add_method", "account_id": id});
    anna.post("/v1/verifications").json(&body).send().await.refuses(404, "not_found");
    let verification = berta.verification("disable_method").await;
    anna.get(&format!("/v1/verifications/{verification}")).send().await.refuses(404, "not_found");
    let attempts = format!("/v1/verifications/{verification}/attempts");
    anna.post(&attempts).json(&json!({"code": "123456"})).send().await.refuses(404, "not_found");
    let both = format!("/v1/verifications/{id}.{verification}");
    anna.get(&both).send().await.refuses(404, "not_found");
    let strange = anna.call("DELETE", "/v1/accounts/me/methods/1").header("countersign-verification", &verification);
    strange.send().await.refuses(404, "not_found");
}

#[tokio::test]
async fn a_verifications_token_is_for_that_verification_alone() {
    let server = Server::start().await;
    let anna = server.person_with_totp("anna@example.com").await;
    let started = anna.post("/v1/verifications").json(&json!({"purpose": "disable_method"})).send().await.is(201);
    let token = started.text_at("/verification/token");
    let other = anna.verification("regenerate_recovery_codes").await;
    server.get(&format!("/v1/verifications/{other}")).bearer(&token).send().await.refuses(404, "not_found");
    server.get("/v1/accounts/me").bearer(&token).send().await.refuses(403, "forbidden");
    server.get("/v1/accounts/me/methods").bearer(&token).send().await.refuses(403, "forbidden");
    server.post("/v1/sign-out").bearer(&token).send().await.refuses(403, "forbidden");
    let body = json!({"purpose": "add_method"});
    server.post("/v1/verifications").bearer(&token).json(&body).send().await.refuses(403, "forbidden");
}

#[tokio::test]
async fn only_live_tokens_of_the_right_form_count() {
    let server = Server::start().await;
    let anna = server.person("anna@example.com").await;
    let me = "/v1/accounts/me";
    let good = &anna.session;
    let changed = format!("{}{}", &good[..good.len() - 1], if good.ends_with('0') { '1' } else { '0' });
    let other_kind = good.replace("cs_session_", "cs_access_");
    for token in ["", "nonsense", "cs_session_", &changed, &other_kind, "cs_key_\u{1F512}"] {
        server.get(me).bearer(token).send().await.refuses(401, "unauthenticated");
    }
    let basic = server.get(me).header("authorization", &format!("Basic {good}")).send().await;
    assert_eq!(basic.refuses(401, "unauthenticated").header("www-authenticate"), "Bearer");
    server.get(me).bearer(good).bearer(good).send().await.refuses(401, "unauthenticated");
    server.get(me).header("cookie", &format!("session={good}")).send().await.refuses(401, "unauthenticated");
    server.get(&format!("{me}?access_token={good}")).send().await.refuses(401, "unauthenticated");
    server.get(me).header("authorization", &format!("bearer {good}")).send().await.is(200);

    server.fixture.clock.advance(Seconds::hours(23));
    server.get(me).bearer(good).send().await.is(200);
    server.fixture.clock.advance(Seconds::hours(23));
    server.get(me).bearer(good).send().await.is(200);
    server.fixture.clock.advance(Seconds::hours(25));
    server.get(me).bearer(good).send().await.refuses(401, "unauthenticated");
}

#[tokio::test]
async fn a_session_ends_where_it_is_ended() {
    let server = Server::start().await;
    let anna = server.person("anna@example.com").await;
    let other = server.sign_in(&anna.email).await;
    let listed = anna.get("/v1/accounts/me/sessions").send().await.is(200);
    let items = listed.json["items"].as_array().unwrap();
    let id = items.iter().find(|session| session["is_current"] == false).unwrap()["id"].as_str().unwrap();
    server.get("/v1/accounts/me").bearer(&other).send().await.is(200);
    anna.call("DELETE", &format!("/v1/accounts/me/sessions/{id}")).send().await.is(204);
    server.get("/v1/accounts/me").bearer(&other).send().await.refuses(401, "unauthenticated");
    anna.call("DELETE", &format!("/v1/accounts/me/sessions/{id}")).send().await.refuses(404, "not_found");
}

#[tokio::test]
async fn introspection_tells_live_tokens_from_others() {
    let server = Server::start().await;
    let anna = server.person("anna@example.com").await;
    let key = server.api_key(&[Scope::Introspect]).await;
    let ask = |token: String| {
        let (server, key) = (&server, &key);
        async move { server.post("/v1/introspect").bearer(key).json(&json!({"token": token})).send().await.is(200).json }
    };
    let live = ask(anna.session.clone()).await;
    assert_eq!((&live["active"], &live["kind"], &live["aal"]), (&json!(true), &json!("session"), &json!("aal1")));
    assert_eq!(live["account_id"], anna.account.as_str());
    assert_eq!(ask("nonsense".to_owned()).await, json!({"active": false}));
    assert_eq!(ask(key.clone()).await, json!({"active": false}));
    anna.post("/v1/sign-out").send().await.is(204);
    assert_eq!(ask(anna.session.clone()).await, json!({"active": false}));
    let without = server.api_key(&[Scope::Admin]).await;
    let body = json!({"token": "x"});
    server.post("/v1/introspect").bearer(&without).json(&body).send().await.refuses(403, "forbidden");
}

#[tokio::test]
async fn an_api_client_gets_sessions_only_with_the_scope_for_it() {
    let server = Server::start().await;
    let anna = server.person_with_totp("anna@example.com").await;
    let writes = server.api_key(&[Scope::AccountsWrite]).await;
    let issues = server.api_key(&[Scope::AccountsWrite, Scope::SessionsIssue]).await;
    let body = json!({"email": anna.email, "password": PASSWORD});
    server.post("/v1/sign-in").bearer(&writes).json(&body).send().await.refuses(403, "forbidden");
    let body = json!({"purpose": "sign_in", "account_id": anna.account});
    for (key, has_session) in [(&writes, false), (&issues, true)] {
        server.fixture.clock.advance(Seconds(60));
        let started = server.post("/v1/verifications").bearer(key).json(&body).send().await;
        if started.status == 403 {
            assert!(!has_session);
            continue;
        }
        let id = started.is(201).text_at("/verification/id");
        let attempt = json!({"method": "totp", "code": server.totp(&anna.totp)});
        let path = format!("/v1/verifications/{id}/attempts");
        let done = server.post(&path).bearer(key).json(&attempt).send().await.is(200);
        assert_eq!(done.json["session_token"].is_string(), has_session, "{}", done.text);
    }
}

#[tokio::test]
async fn an_api_key_works_until_it_is_ended() {
    let server = Server::start().await;
    let admin = server.api_key(&[Scope::Admin]).await;
    let body = json!({"name": "console", "scopes": ["security:read"]});
    let issued = server.post("/v1/api-keys").bearer(&admin).json(&body).send().await.is(201);
    let token = issued.text_at("/token");
    assert!(token.starts_with("cs_key_"));
    server.get("/v1/security/accounts").bearer(&token).send().await.is(200);
    let position = issued.header("countersign-position").to_owned();
    let listed = server.get("/v1/api-keys?limit=1").bearer(&admin).header("countersign-min-position", &position);
    let listed = listed.send().await.is(200);
    assert_eq!(listed.json["items"].as_array().unwrap().len(), 1);
    assert!(listed.json["next_cursor"].is_string());
    let path = format!("/v1/api-keys/{}", issued.text_at("/api_key_id"));
    server.delete(&path).bearer(&admin).send().await.is(204);
    server.get("/v1/security/accounts").bearer(&token).send().await.refuses(401, "unauthenticated");

    for body in [
        json!({"name": "x", "scopes": []}),
        json!({"name": "x", "scopes": ["everything"]}),
        json!({"name": "", "scopes": ["admin"]}),
        json!({"name": "x", "scopes": ["admin"], "expires_at": "2000-01-01T00:00:00Z"}),
        json!({"name": "x", "scopes": ["admin"], "expires_at": "tomorrow"}),
    ] {
        server.post("/v1/api-keys").bearer(&admin).json(&body).send().await.refuses(422, "invalid_request");
    }
    let body = json!({"name": "x", "scopes": ["admin"], "expires_at": "2026-11-24T12:10:00Z"});
    let issued = server.post("/v1/api-keys").bearer(&admin).json(&body).send().await.is(201).text_at("/token");
    server.get("/v1/api-keys").bearer(&issued).send().await.is(200);
    server.fixture.clock.advance(Seconds::minutes(10));
    server.get("/v1/api-keys").bearer(&issued).send().await.refuses(401, "unauthenticated");
}
