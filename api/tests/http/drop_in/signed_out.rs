//! Callers without a bearer, and bearers that are none any more.

use api::ApiConfig;
use domain::values::{Channel, Scope};
use engine::testing::FixtureOptions;
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
async fn the_cookie_goes_over_tls_alone_but_on_the_machine_itself_without_a_proxy() {
    let proxied = ApiConfig { trusted_proxies: vec!["10.0.0.0/8".parse().unwrap()], ..ApiConfig::default() };
    let https = ApiConfig { public_url: Some("https://accounts.example.com".to_owned()), ..ApiConfig::default() };
    let alone = ApiConfig::default();
    let here = ("host", "127.0.0.1:8080");
    for (config, peer, headers, secure) in [
        (alone.clone(), "127.0.0.1:9", vec![here], false),
        (alone.clone(), "[::1]:9", vec![("host", "[::1]:8080")], false),
        (alone.clone(), "127.0.0.1:9", vec![here, ("x-forwarded-proto", "https")], true),
        (alone.clone(), "127.0.0.1:9", vec![here, ("forwarded", "proto=https")], true),
        (alone.clone(), "127.0.0.1:9", vec![("host", "accounts.example.com")], true),
        (alone.clone(), "127.0.0.1:9", vec![], true),
        (alone, "203.0.113.1:9", vec![here], true),
        (https, "127.0.0.1:9", vec![here], true),
        (proxied, "127.0.0.1:9", vec![here], true),
    ] {
        let server = Server::with(FixtureOptions::default(), config).await;
        let anna = with_app(&server).await;
        let secret = signing_in(&server, &anna).await;
        let body = json!({"tfa_method": "totp", "code": anna.fresh_totp(), "secret": secret});
        let call = server.post("/api/v0/tfa/").peer(peer).json(&body);
        let call = headers.iter().fold(call, |call, (name, value)| call.header(name, value));
        let done = call.send().await.is(200);
        let cookie = done.header("set-cookie");
        assert_eq!(cookie.ends_with("; Secure"), secure, "{peer} {headers:?}");
        assert!(cookie.contains("; Path=/; ") && cookie.contains("; HttpOnly; SameSite=Lax"), "{headers:?}");
    }
}

#[tokio::test]
async fn a_page_of_another_site_signs_nobody_in() {
    let config = ApiConfig { public_url: Some("https://Accounts.example.com:443/".to_owned()), ..ApiConfig::default() };
    let server = Server::with(FixtureOptions::default(), config).await;
    let anna = with_app(&server).await;
    let secret = signing_in(&server, &anna).await;
    let body = json!({"tfa_method": "totp", "code": anna.fresh_totp(), "secret": secret});
    let bytes = || body.to_string().into_bytes();
    let call = |headers: &[(&str, &str)]| {
        let call = server.post("/api/v0/tfa/").header("host", "127.0.0.1:8080").raw("application/json", bytes());
        headers.iter().fold(call, |call, (name, value)| call.header(name, value))
    };
    // What a form of another site can send: no header of its own, and three content types.
    for content_type in
        ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "", "application/jsonp"]
    {
        let form = server.post("/api/v0/tfa/").raw(content_type, bytes()).send().await;
        assert!(form.headers.get("set-cookie").is_none(), "{content_type}");
        form.fails(400, "bad_request");
        let with_cookie = server.post("/api/v0/tfa/").header("cookie", "countersign_session=x").bearer(&anna.session);
        with_cookie.raw(content_type, bytes()).send().await.fails(400, "bad_request");
    }
    for elsewhere in [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
        ("sec-fetch-site", "Cross-Site"),
        ("sec-fetch-site", "\u{e9}"),
        ("origin", "null"),
        ("origin", "https://evil.example.com"),
        ("origin", "http://accounts.example.com"),
        ("origin", "https://accounts.example.com:8443"),
        ("origin", "https://accounts.example.com.evil.example"),
        ("origin", "https://127.0.0.1"),
        ("origin", "\u{e9}"),
        ("origin", ""),
    ] {
        let refused = call(&[elsewhere]).send().await;
        assert!(refused.headers.get("set-cookie").is_none(), "{elsewhere:?}");
        refused.fails(403, "auth_error");
        call(&[elsewhere, ("cookie", "a=b")]).bearer(&anna.session).send().await.fails(403, "auth_error");
    }
    call(&[("origin", "https://accounts.example.com"), ("origin", "https://evil.example.com")])
        .send()
        .await
        .fails(403, "auth_error");
    call(&[("origin", "https://accounts.example.com"), ("sec-fetch-site", "same-origin")]).send().await.is(200);
    for ours in [("origin", "http://127.0.0.1:8080"), ("sec-fetch-site", "none")] {
        let secret = signing_in(&server, &anna).await;
        let body = json!({"tfa_method": "totp", "code": anna.fresh_totp(), "secret": secret});
        call(&[ours]).json(&body).send().await.is(200);
    }
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
