//! Callers without a bearer, and bearers that are none any more.

use domain::values::{Channel, Scope};
use serde_json::{Value, json};

use super::with_app;
use crate::server::{Answer, PASSWORD, Person, Server};

async fn signing_in(server: &Server, person: &Person<'_>) -> Value {
    let body = json!({"email": person.email, "password": PASSWORD});
    let started = server.post("/v1/sign-in").json(&body).send().await.is(202);
    started.json["verification"]["token"].clone()
}

async fn call(server: &Server, method: &str, path: &str, body: Value) -> Answer {
    server.call(method, &format!("/api/v0/tfa/{path}")).header("host", "127.0.0.1:8080").json(&body).send().await
}

#[tokio::test]
async fn a_sign_in_that_began_with_the_password_ends_here_with_a_cookie() {
    let server = Server::start().await;
    let anna = with_app(&server).await.with_phone().await;
    let secret = signing_in(&server, &anna).await;
    let body = json!({"tfa_method": "totp", "code": anna.fresh_totp(), "secret": secret});
    let done = call(&server, "POST", "", body.clone()).await.is(200);
    assert!(done.json.get("session_key").is_none(), "signed out there is a cookie instead");
    let cookie = done.header("set-cookie").to_owned();
    assert!(cookie.contains("; HttpOnly; SameSite=Lax") && !cookie.contains("Secure"), "{cookie}");
    let session = cookie.split(['=', ';']).nth(1).unwrap();
    server.get("/v1/accounts/me").bearer(session).send().await.is(200);
    call(&server, "POST", "", body).await.fails(400, "2fa_expired");
    // Elsewhere than on the machine itself the cookie goes over TLS alone.
    let secret = signing_in(&server, &anna).await;
    let body = json!({"tfa_method": "totp", "code": anna.fresh_totp(), "secret": secret});
    let elsewhere = server.post("/api/v0/tfa/").header("host", "accounts.example.com").json(&body).send().await.is(200);
    assert!(elsewhere.header("set-cookie").ends_with("; Secure"));
}

#[tokio::test]
async fn codes_are_sent_in_the_sign_in_and_again() {
    let server = Server::start().await;
    let anna = with_app(&server).await.with_phone().await;
    let secret = signing_in(&server, &anna).await;
    let sent = call(&server, "POST", "sms/", json!({"secret": secret})).await.says("2FA Sent");
    assert_eq!(sent.secret(), secret);
    call(&server, "POST", "sms/", json!({"secret": secret})).await.fails(400, "tfa_challenge_exists");
    call(&server, "POST", "sms/resend/", json!({"secret": secret})).await.fails(429, "sms_rate_limited");
    server.fixture.clock.advance(domain::time::Seconds(30));
    let again = call(&server, "POST", "sms/resend/", json!({"secret": secret})).await.says("2FA Sent");
    assert_eq!(again.secret(), secret);
    let other = json!({"secret": secret, "phone_number": "+447400123456"});
    call(&server, "POST", "sms/", other).await.fails(400, "phone_number_mismatch");
    let code = server.code(&anna.account, Channel::Sms).await;
    call(&server, "POST", "", json!({"code": code, "secret": secret})).await.is(200);
    let secret = signing_in(&server, &anna).await;
    call(&server, "POST", "email/", json!({"secret": secret})).await.is(200);
    let code = server.code(&anna.account, Channel::Email).await;
    call(&server, "POST", "", json!({"tfa_method": "email", "code": code, "secret": secret})).await.is(200);
    let secret = signing_in(&server, &anna).await;
    let body = json!({"backup_code": anna.recovery_codes[0], "secret": secret});
    assert_eq!(call(&server, "POST", "", body).await.is(200).json["backup_codes_remaining"], 9);
}

#[tokio::test]
async fn with_a_bearer_the_same_secret_gives_a_session_key() {
    let server = Server::start().await;
    let anna = with_app(&server).await;
    let secret = signing_in(&server, &anna).await;
    let body = json!({"tfa_method": "totp", "code": anna.fresh_totp(), "secret": secret});
    let done = anna.tfa("POST", "", body).await.is(200);
    let key = done.text_at("/session_key");
    assert_ne!(key, anna.session);
    assert!(done.headers.get("set-cookie").is_none());
}

#[tokio::test]
async fn a_stranger_may_do_nothing_else() {
    let server = Server::start().await;
    let anna = with_app(&server).await;
    let secret = signing_in(&server, &anna).await;
    for (method, path) in [
        ("GET", "status/"),
        ("POST", "authorize-new-method/"),
        ("PUT", "authorize-new-method/"),
        ("POST", "totp-setup/"),
        ("POST", "confirm-new/"),
        ("DELETE", ""),
        ("PUT", "update/"),
        ("PUT", "regen-backup-codes/"),
    ] {
        let body = json!({"secret": secret, "code": "123456", "tfa_method": "totp"});
        call(&server, method, path, body).await.fails(403, "auth_error");
    }
    for (method, path) in [("POST", ""), ("POST", "sms/"), ("POST", "email/"), ("POST", "sms/resend/")] {
        call(&server, method, path, json!({"code": "123456"})).await.fails(403, "auth_error");
    }
    server.get("/api/v0/users/current").send().await.fails(403, "auth_error");
}

#[tokio::test]
async fn a_session_that_ended_is_told_apart_from_a_key_that_is_none() {
    let server = Server::start().await;
    let anna = with_app(&server).await;
    anna.post("/v1/sign-out").send().await.is(204);
    let ended = anna.tfa("GET", "status/", json!({})).await.fails(404, "not_found");
    assert_eq!(ended.json["msg"], "Session expired. Please log in again.");
    for key in ["nonsense", "cs_access_nonsense"] {
        let none = server.get("/api/v0/tfa/status/").bearer(key).send().await.fails(401, "auth_error");
        assert_eq!(none.json["msg"], "Invalid user key");
    }
    let key = server.api_key(&[Scope::AccountsWrite]).await;
    server.get("/api/v0/tfa/status/").bearer(&key).send().await.fails(403, "auth_error");
}
