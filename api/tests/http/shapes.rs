//! The shapes that other things rely on, walked through once.

use domain::{
    time::Seconds,
    values::{Channel, Scope},
};
use serde_json::json;

use crate::server::{PASSWORD, Server};

#[tokio::test]
async fn signing_up_confirming_and_signing_in() {
    let server = Server::start().await;
    let body = json!({"email": "anna@example.com", "password": PASSWORD});
    let created = server.post("/v1/accounts").json(&body).send().await.is(201);
    assert_eq!(created.json["email_verified"], false);
    assert!(created.header("countersign-position").parse::<u64>().unwrap() > 0);
    let account = created.text_at("/account_id");

    server.post("/v1/sign-in").json(&body).send().await.refuses(401, "wrong_credentials");
    let resend = format!("/v1/accounts/{account}/email/resend");
    let verify = format!("/v1/accounts/{account}/email/verify");
    server.post(&resend).send().await.is(202);
    let wrong = server.post(&verify).json(&json!({"code": "0000-0000-0000"})).send().await.refuses(422, "wrong_code");
    assert_eq!(wrong.json["fail_count"], 1);
    let code = server.code(&account, Channel::Email).await;
    let verified = server.post(&verify).json(&json!({"code": code})).send().await.is(200);
    assert_eq!(verified.json["email_verified"], true);

    let signed_in = server.post("/v1/sign-in").json(&body).send().await.is(200);
    assert_eq!(signed_in.json["aal"], "aal1");
    assert_eq!(signed_in.json["account_id"], account.as_str());
    assert!(signed_in.text_at("/session_token").starts_with("cs_session_"));
    assert!(signed_in.text_at("/expires_at").ends_with('Z'));
    let session = signed_in.text_at("/session_token");
    let me = server.get("/v1/accounts/me").bearer(&session).send().await.is(200);
    assert_eq!(me.json["email"], "anna@example.com");
    assert_eq!(me.json["two_factor_enabled"], false);
    assert_eq!(me.json["account_id"], account.as_str());

    let taken = server.post("/v1/accounts").json(&body).send().await.is(201);
    assert_eq!(taken.json["email_verified"], false);
    assert_ne!(taken.json["account_id"], account.as_str());
}

#[tokio::test]
async fn turning_two_factor_on_signing_in_with_it_and_turning_it_off() {
    let server = Server::start().await;
    let mut anna = server.person("anna@example.com").await;

    let started = anna.post("/v1/verifications").json(&json!({"purpose": "add_method"})).send().await.is(201);
    let verification = &started.json["verification"];
    assert_eq!(verification["status"], "pending");
    assert_eq!(verification["methods"][0]["kind"], "email");
    assert_eq!(verification["sent"]["sent_to"], "a•••@example.com");
    assert!(started.text_at("/verification/token").starts_with("cs_verify_"));

    let sms = anna.post("/v1/accounts/me/methods/sms").json(&json!({"phone_number": "+436601234567"})).send().await;
    sms.refuses(403, "verification_required");

    server.fixture.clock.advance(Seconds(31));
    anna.add_totp().await;
    assert_eq!(anna.recovery_codes.len(), 10);
    let methods = anna.get("/v1/accounts/me/methods").send().await.is(200);
    assert_eq!(methods.json["methods"][0]["kind"], "totp");
    assert_eq!(methods.json["methods"][0]["label"], "Phone");
    assert_eq!(methods.json["methods"][0]["is_primary"], true);
    assert!(!methods.header("countersign-position").is_empty());
    let codes = anna.get("/v1/accounts/me/recovery-codes").send().await.is(200);
    assert_eq!((&codes.json["remaining"], &codes.json["count"]), (&json!(10), &json!(10)));

    server.fixture.clock.advance(Seconds(60));
    let body = json!({"email": anna.email, "password": PASSWORD});
    let second = server.post("/v1/sign-in").json(&body).send().await.is(202);
    let (id, token) = (second.text_at("/verification/id"), second.text_at("/verification/token"));
    assert_eq!(second.json["verification"]["methods"][0]["kind"], "totp");
    assert_eq!(second.json["verification"]["methods"][0]["default"], true);
    let seen = server.get(&format!("/v1/verifications/{id}")).bearer(&token).send().await.is(200);
    assert_eq!(seen.json["verification"]["purpose"], "sign_in");
    assert!(seen.json["verification"]["token"].is_null());
    let attempts = format!("/v1/verifications/{id}/attempts");
    let body = json!({"method": "totp", "code": server.totp(&anna.totp)});
    let done = server.post(&attempts).bearer(&token).json(&body).send().await.is(200);
    assert_eq!((&done.json["status"], &done.json["aal"]), (&json!("verified"), &json!("aal2")));
    anna.session = done.text_at("/session_token");

    let sessions = anna.get("/v1/accounts/me/sessions").send().await.is(200);
    assert!(sessions.json["next_cursor"].is_null());
    assert!(sessions.json["items"].as_array().unwrap().iter().any(|session| session["is_current"] == true));

    let id = anna.verified("regenerate_recovery_codes").await;
    let path = "/v1/accounts/me/recovery-codes";
    let fresh = anna.post(path).header("countersign-verification", &id).send().await.is(201);
    assert_eq!(fresh.json["recovery_codes"].as_array().unwrap().len(), 10);

    anna.call("DELETE", "/v1/accounts/me/methods/1").send().await.refuses(403, "verification_required");
    let id = anna.verified("disable_method").await;
    let gone = anna.call("DELETE", "/v1/accounts/me/methods/1").header("countersign-verification", &id).send().await;
    let gone = gone.is(200);
    assert_eq!((&gone.json["two_factor_enabled"], &gone.json["remaining_methods"]), (&json!(false), &json!(0)));
}

#[tokio::test]
async fn a_phone_number_is_added_with_a_text() {
    let server = Server::start().await;
    let mut anna = server.person("anna@example.com").await;
    let id = anna.verification("add_method").await;
    let code = server.code(&anna.account, Channel::Email).await;
    let path = format!("/v1/verifications/{id}/attempts");
    anna.post(&path).json(&json!({"method": "email", "code": code})).send().await.is(200);
    let body = json!({"phone_number": "+436601234567"});
    let started = anna.post("/v1/accounts/me/methods/sms").json(&body).send().await.is(201);
    assert_eq!(started.json["sent_to"], "•••• 4567");
    let method = format!("/v1/accounts/me/methods/{}", started.json["method_id"]);
    let resend = format!("{method}/codes/resend");
    let early = anna.post(&resend).send().await.refuses(429, "resend_too_soon");
    assert!(early.json["retry_after"].as_u64().unwrap() <= 30);
    server.fixture.clock.advance(Seconds(31));
    anna.post(&resend).send().await.is(202);
    let code = server.code(&anna.account, Channel::Sms).await;
    let enabled = anna.post(&format!("{method}/enable")).json(&json!({"code": code})).send().await.is(200);
    assert_eq!(enabled.json["method"]["phone_number"], "•••• 4567");
    anna.session = enabled.text_at("/session_token");

    let changed = anna.call("PATCH", &method).json(&json!({"label": "Work", "is_primary": true})).send().await.is(200);
    assert_eq!(changed.json["method"]["label"], "Work");
    anna.call("PATCH", &method).json(&json!({})).send().await.refuses(422, "invalid_request");
    anna.call("PATCH", &method).json(&json!({"is_primary": false})).send().await.refuses(422, "invalid_request");
}

#[tokio::test]
async fn the_authenticator_app_is_given_a_secret_a_uri_and_a_picture() {
    let server = Server::start().await;
    let anna = server.person("anna@example.com").await;
    let started = anna.post("/v1/accounts/me/methods/totp").send().await.is(201);
    let secret = started.text_at("/secret");
    assert_eq!(secret.len(), 32);
    let uri = started.text_at("/otpauth_uri");
    assert!(uri.starts_with("otpauth://totp/Countersign:anna%40example.com?secret="));
    assert!(uri.contains(&secret) && uri.contains("&issuer=Countersign&algorithm=SHA1&digits=6&period=30"));
    assert!(started.text_at("/qr_svg").starts_with("<svg"));
    assert_eq!(started.header("cache-control"), "no-store");
}

#[tokio::test]
async fn a_forgotten_password_is_reset_with_the_mailed_code() {
    let server = Server::start().await;
    let anna = server.person("anna@example.com").await;
    let asked = server.post("/v1/password-resets").json(&json!({"email": anna.email})).send().await.is(202);
    let unknown = server.post("/v1/password-resets").json(&json!({"email": "nobody@example.com"})).send().await.is(202);
    let names = |answer: &crate::server::Answer| answer.json.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&asked), names(&unknown));

    for asked in [&asked, &unknown] {
        let path = format!("/v1/password-resets/{}", asked.text_at("/id"));
        let body = json!({"code": "0000-0000-0000", "new_password": "another horse battery staple"});
        let wrong = server.post(&path).bearer(&asked.text_at("/token")).json(&body).send().await;
        assert_eq!(wrong.refuses(422, "wrong_code").json["fail_count"], 1);
        let body = json!({"code": "0000-0000-0000", "new_password": "short"});
        let weak = server.post(&path).bearer(&asked.text_at("/token")).json(&body).send().await;
        assert_eq!(weak.refuses(422, "invalid_request").json["field"], "new_password");
        server.post(&path).json(&body).send().await.refuses(401, "unauthenticated");
    }

    let path = format!("/v1/password-resets/{}", asked.text_at("/id"));
    let code = server.code(&anna.account, Channel::Email).await;
    let body = json!({"code": code, "new_password": "another horse battery staple"});
    server.post(&path).bearer(&asked.text_at("/token")).json(&body).send().await.is(204);
    server.get("/v1/accounts/me").bearer(&anna.session).send().await.refuses(401, "unauthenticated");
    let body = json!({"email": anna.email, "password": "another horse battery staple"});
    server.post("/v1/sign-in").json(&body).send().await.is(200);
}

#[tokio::test]
async fn password_address_tokens_and_sessions_are_the_owners() {
    let server = Server::start().await;
    let mut anna = server.person("anna@example.com").await;
    let other = server.sign_in(&anna.email).await;

    let bare = anna.post("/v1/accounts/me/access-tokens").json(&json!({"name": "laptop"})).send().await;
    assert_eq!(bare.refuses(403, "verification_required").json["purpose"], "issue_access_token");
    let issued = anna.access_token("laptop").await.is(201);
    let token = issued.text_at("/token");
    assert!(token.starts_with("cs_access_"));
    server.post("/v1/sign-in").bearer(&token).json(&json!({})).send().await.is(200);
    let listed = anna.get("/v1/accounts/me/access-tokens").send().await.is(200);
    assert_eq!(listed.json["items"][0]["name"], "laptop");
    let path = format!("/v1/accounts/me/access-tokens/{}", issued.text_at("/access_token_id"));
    anna.call("DELETE", &path).send().await.is(204);
    server.get("/v1/accounts/me").bearer(&token).send().await.refuses(401, "unauthenticated");

    let body = json!({"email": "new@example.com", "password": PASSWORD});
    let bare = anna.call("PUT", "/v1/accounts/me/email").json(&body).send().await;
    assert_eq!(bare.refuses(403, "verification_required").json["purpose"], "change_email");
    let id = anna.mailed("change_email").await;
    let change = anna.call("PUT", "/v1/accounts/me/email").header("countersign-verification", &id).json(&body);
    let change = change.send().await.is(202);
    assert_eq!(change.json["sent_to"], "n•••@example.com");
    let code = server.code(&anna.account, Channel::Email).await;
    anna.post("/v1/accounts/me/email/verify").json(&json!({"code": code})).send().await.is(200);
    anna.email = "new@example.com".to_owned();
    server.get("/v1/accounts/me").bearer(&other).send().await.refuses(401, "unauthenticated");

    let weak = json!({"current_password": PASSWORD, "new_password": "password"});
    let weak = anna.call("PUT", "/v1/accounts/me/password").json(&weak).send().await.refuses(422, "invalid_request");
    assert_eq!(weak.json["field"], "new_password");
    let body = json!({"current_password": "wrong", "new_password": "another horse battery staple"});
    anna.call("PUT", "/v1/accounts/me/password").json(&body).send().await.refuses(401, "wrong_credentials");
    let body = json!({"current_password": PASSWORD, "new_password": "another horse battery staple"});
    let changed = anna.call("PUT", "/v1/accounts/me/password").json(&body).send().await.is(200);
    anna.get("/v1/accounts/me").send().await.refuses(401, "unauthenticated");
    anna.session = changed.text_at("/session_token");

    let sessions = anna.get("/v1/accounts/me/sessions").send().await.is(200);
    assert_eq!(sessions.json["items"].as_array().unwrap().len(), 1);
    anna.post("/v1/sign-out").send().await.is(204);
    anna.get("/v1/accounts/me").send().await.refuses(401, "unauthenticated");
}

#[tokio::test]
async fn an_api_client_uses_countersign_for_the_second_factor_alone() {
    let server = Server::start().await;
    let key = server.api_key(&[Scope::AccountsWrite]).await;
    let body = json!({"email": "anna@example.com", "email_verified": true});
    let created = server.post("/v1/accounts").bearer(&key).json(&body).send().await.is(201);
    assert_eq!(created.json["email_verified"], true);
    let account = created.text_at("/account_id");
    let start = |purpose: &str| json!({"purpose": purpose, "account_id": account});
    let started = server.post("/v1/verifications").bearer(&key).json(&start("add_method")).send().await.is(201);
    let id = started.text_at("/verification/id");
    assert!(id.starts_with(&account), "an API key names no account, so the id does");
    let code = server.code(&account, Channel::Email).await;
    let attempts = format!("/v1/verifications/{id}/attempts");
    let body = json!({"method": "email", "code": code});
    server.post(&attempts).bearer(&key).json(&body).send().await.is(200);
    let totp = format!("/v1/accounts/{account}/methods/totp");
    let app = server.post(&totp).bearer(&key).send().await.is(201);
    let secret = app.text_at("/secret");
    let enable = format!("/v1/accounts/{account}/methods/1/enable");
    let body = json!({"code": server.totp(&secret)});
    server.post(&enable).bearer(&key).json(&body).send().await.is(200);

    server.fixture.clock.advance(Seconds(60));
    let mut body = start("step_up");
    body["action"] = json!("pay the invoice");
    let started = server.post("/v1/verifications").bearer(&key).json(&body).send().await.is(201);
    let (id, token) = (started.text_at("/verification/id"), started.text_at("/verification/token"));
    let seen = format!("/v1/verifications/{id}");
    let other = server.api_key(&[Scope::AccountsWrite]).await;
    server.get(&seen).bearer(&other).send().await.refuses(404, "not_found");
    server.get(&seen).bearer(&token).send().await.is(200);
    let body = json!({"code": server.totp(&secret)});
    let done = server.post(&format!("{seen}/attempts")).bearer(&key).json(&body).send().await.is(200);
    assert!(done.json["session_token"].is_null());
    let seen = server.get(&seen).bearer(&key).send().await.is(200);
    assert_eq!(seen.json["verification"]["status"], "verified");

    let path = format!("/v1/accounts/{account}/password");
    let body = json!({"new_password": "another horse battery staple"});
    server.call("PUT", &path).bearer(&key).json(&body).send().await.refuses(403, "forbidden");
    let path = format!("/v1/accounts/{account}/access-tokens");
    server.post(&path).bearer(&key).json(&json!({"name": "x"})).send().await.refuses(403, "forbidden");
}
