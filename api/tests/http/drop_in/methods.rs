//! Methods: the first by each kind, later ones, status, update.

use domain::{time::Seconds, values::Channel};
use serde_json::json;

use super::{NUMBER, OTHER, another, with_app};
use crate::server::Server;

#[tokio::test]
async fn the_first_method_by_an_authenticator_app() {
    let server = Server::start().await;
    let mut anna = server.person("anna@example.com").await;
    let status = anna.tfa("GET", "status/", json!({})).await.is(200).json;
    assert_eq!(status["tfa_enabled"], false);
    assert_eq!(status["methods"], json!([]));
    assert_eq!((&status["backup_codes_remaining"], &status["new_method_authorized"]), (&json!(0), &json!(false)));
    // The check is by email whatever was asked for, and its code is sent.
    let started = anna.tfa("POST", "authorize-new-method/", json!({"tfa_method": "totp"})).await.is(200);
    let code = anna.sent(Channel::Email).await;
    // A key may be had before, and it is not stored.
    let offer = anna.tfa("POST", "totp-setup/", json!({})).await.is(200);
    let secret = offer.text_at("/secret");
    assert_eq!(secret.len(), 52, "32 bytes: what is random, the end and a tag");
    assert!(offer.text_at("/provisioning_uri").contains(&secret));
    let other = anna.tfa("POST", "totp-setup/", json!({})).await.text_at("/secret");
    assert!(other != secret && other[..20] != secret[..20], "every call hands out another key");
    let confirm = |code: &str| json!({"tfa_method": "totp", "code": code, "secret": secret, "label": "App"});
    let totp = server.totp(&secret);
    anna.tfa("POST", "confirm-new/", confirm(&totp)).await.fails(403, "authorization_required");
    let put = |code: &str| json!({"secret": started.json["secret"], "code": code});
    let wrong = anna.tfa("PUT", "authorize-new-method/", put(&another(&code))).await;
    let wrong = wrong.fails(400, "2fa_verification_failed");
    assert_eq!((&wrong.json["fail_count"], &wrong.json["locked_until"]), (&json!(1), &json!(null)));
    anna.tfa("PUT", "authorize-new-method/", put(&code)).await.says("Authorization successful.");
    anna.tfa("PUT", "authorize-new-method/", put(&code)).await.fails(400, "2fa_expired");
    assert_eq!(anna.tfa("GET", "status/", json!({})).await.json["new_method_authorized"], true);
    let wrong = anna.tfa("POST", "confirm-new/", confirm(&another(&totp))).await.fails(400, "2fa_verification_failed");
    assert!(wrong.json.get("fail_count").is_none(), "a method that is not there yet has no count");
    let enabled = anna.tfa("POST", "confirm-new/", confirm(&totp)).await.is(200);
    assert_eq!(enabled.json["backup_codes"].as_array().unwrap().len(), 10);
    assert!(enabled.json["msg"].is_string());
    anna.totp = secret;
    let status = anna.tfa("GET", "status/", json!({})).await.is(200).json;
    let method = &status["methods"][0];
    assert_eq!((&method["id"], &method["user_id"], &method["method"]), (&json!(1), &json!(1), &json!("totp")));
    assert_eq!((&method["label"], &method["is_primary"]), (&json!("App"), &json!(true)));
    assert_eq!(
        (&method["fail_count"], &method["locked_until"], &method["last_used"]),
        (&json!(0), &json!(null), &json!(null))
    );
    assert_eq!(method["created_at"].as_i64().unwrap(), server.now().as_millis() / 1_000, "epoch seconds");
    assert_eq!((&status["backup_codes_remaining"], &status["new_method_authorized"]), (&json!(10), &json!(false)));
}

#[tokio::test]
async fn a_key_of_ones_own_choosing_or_of_another_account_is_not_taken() {
    let server = Server::start().await;
    let (anna, bert) = (server.person("anna@example.com").await, server.person("bert@example.com").await);
    let started = anna.tfa("POST", "authorize-new-method/", json!({"tfa_method": "email"})).await.is(200);
    let body = json!({"secret": started.json["secret"], "code": anna.sent(Channel::Email).await});
    anna.tfa("PUT", "authorize-new-method/", body).await.is(200);
    let his = bert.tfa("POST", "totp-setup/", json!({})).await.text_at("/secret");
    for secret in ["JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP", his.as_str()] {
        let body = json!({"tfa_method": "totp", "code": server.totp(secret), "secret": secret});
        anna.tfa("POST", "confirm-new/", body).await.fails(400, "challenge_not_found");
    }
    let late = anna.tfa("POST", "totp-setup/", json!({})).await.text_at("/secret");
    server.fixture.clock.advance(Seconds::minutes(9));
    let body = |secret: &str| json!({"tfa_method": "totp", "code": server.totp(secret), "secret": secret});
    anna.tfa("POST", "confirm-new/", body(&late)).await.is(200);
}

#[tokio::test]
async fn an_authorization_is_good_where_it_was_completed_and_for_ten_minutes() {
    let server = Server::start().await;
    let anna = with_app(&server).await;
    let authorized = |peer: &'static str| {
        let call = anna.get("/api/v0/tfa/status/").peer(peer);
        async move { call.send().await.is(200).json["new_method_authorized"].clone() }
    };
    anna.authorized().await;
    assert_eq!(authorized("127.0.0.1:9").await, true);
    assert_eq!(authorized("203.0.113.9:9").await, false);
    let thiefs = anna.tfa("POST", "totp-setup/", json!({})).await.text_at("/secret");
    let body = json!({"tfa_method": "totp", "code": server.totp(&thiefs), "secret": thiefs});
    let elsewhere = anna.post("/api/v0/tfa/confirm-new/").peer("203.0.113.9:9").json(&body).send().await;
    elsewhere.fails(403, "authorization_required");
    let over_v1 = anna.post("/v1/accounts/me/methods/sms").peer("203.0.113.9:9").json(&json!({"phone_number": OTHER}));
    over_v1.send().await.refuses(403, "verification_required");
    server.fixture.clock.advance(Seconds::minutes(10));
    assert_eq!(authorized("127.0.0.1:9").await, false);
    anna.authorized().await;
    let own = anna.tfa("POST", "totp-setup/", json!({})).await.text_at("/secret");
    let body = json!({"tfa_method": "totp", "code": server.totp(&own), "secret": own});
    anna.tfa("POST", "confirm-new/", body).await.is(200);
}

#[tokio::test]
async fn confirming_a_method_leaves_the_session_and_its_level_as_they_are() {
    let server = Server::start().await;
    let anna = server.person("anna@example.com").await;
    let started = anna.tfa("POST", "authorize-new-method/", json!({})).await.is(200);
    let body = json!({"secret": started.json["secret"], "code": anna.sent(Channel::Email).await});
    anna.tfa("PUT", "authorize-new-method/", body).await.is(200);
    let secret = anna.tfa("POST", "totp-setup/", json!({})).await.text_at("/secret");
    let body = json!({"tfa_method": "totp", "code": server.totp(&secret), "secret": secret});
    anna.tfa("POST", "confirm-new/", body).await.is(200);
    let sessions = anna.get("/v1/accounts/me/sessions").send().await.is(200);
    assert_eq!(sessions.json["items"][0]["aal"], "aal1");
}

#[tokio::test]
async fn a_session_whose_password_is_old_signs_in_again_before_its_first_method() {
    let server = Server::start().await;
    let anna = server.person("anna@example.com").await;
    server.fixture.clock.advance(Seconds::minutes(10));
    let refused = anna.tfa("POST", "authorize-new-method/", json!({})).await.fails(403, "authorization_required");
    assert!(refused.json["msg"].as_str().unwrap().contains("password"), "{}", refused.text);
    let key = anna.access_token("cli").await.is(201).text_at("/token");
    let by_key = server.post("/api/v0/tfa/authorize-new-method/").bearer(&key).json(&json!({}));
    by_key.send().await.is(200);
}

#[tokio::test]
async fn the_first_method_by_sms_and_the_handle_of_its_code() {
    let server = Server::start().await;
    let anna = server.person("anna@example.com").await;
    anna.tfa("POST", "sms/", json!({})).await.fails(400, "missing_phone_number");
    anna.tfa("POST", "sms/", json!({"phone_number": NUMBER})).await.fails(403, "authorization_required");
    let started = anna.tfa("POST", "authorize-new-method/", json!({"tfa_method": "sms"})).await.is(200);
    let body = json!({"secret": started.json["secret"], "code": anna.sent(Channel::Email).await});
    anna.tfa("PUT", "authorize-new-method/", body).await.is(200);
    let secret = anna.tfa("POST", "sms/", json!({"phone_number": NUMBER})).await.says("2FA Sent").secret();
    anna.tfa("POST", "sms/", json!({"phone_number": NUMBER})).await.fails(400, "tfa_challenge_exists");
    let resend = json!({"secret": secret, "phone_number": NUMBER});
    let early = anna.tfa("POST", "sms/resend/", resend.clone()).await.fails(429, "sms_rate_limited");
    assert_eq!(early.header("retry-after"), "30");
    let other = json!({"secret": secret, "phone_number": OTHER});
    anna.tfa("POST", "sms/resend/", other).await.fails(400, "phone_number_mismatch");
    server.fixture.clock.advance(Seconds(30));
    let again = anna.tfa("POST", "sms/resend/", resend).await.says("2FA Sent");
    assert_eq!(again.secret(), secret);
    server.fixture.clock.advance(Seconds(30));
    let same = anna.tfa("POST", "sms/", json!({"phone_number": NUMBER})).await.says("2FA Sent");
    assert_eq!(same.secret(), secret, "the same number again is a resend");
    let code = anna.sent(Channel::Sms).await;
    let confirm = |number: Option<&str>, code: &str| json!({"tfa_method": "sms", "code": code, "secret": secret, "phone_number": number});
    anna.tfa("POST", "confirm-new/", confirm(None, &code)).await.fails(400, "missing_phone_number");
    anna.tfa("POST", "confirm-new/", confirm(Some(OTHER), &code)).await.fails(400, "phone_number_mismatch");
    let wrong = anna.tfa("POST", "confirm-new/", confirm(Some(NUMBER), &another(&code))).await;
    wrong.fails(400, "2fa_verification_failed");
    let enabled = anna.tfa("POST", "confirm-new/", confirm(Some(NUMBER), &code)).await.is(200);
    assert_eq!(enabled.json["backup_codes"].as_array().unwrap().len(), 10);
    anna.tfa("POST", "confirm-new/", confirm(Some(NUMBER), &code)).await.fails(400, "duplicate_tfa_method");
    let status = anna.tfa("GET", "status/", json!({})).await.json;
    let masked = status["methods"][0]["phone_number"].as_str().unwrap();
    assert!(masked.ends_with("4567") && !masked.contains("123"), "{masked}");
}

#[tokio::test]
async fn an_account_without_a_method_texts_few_numbers() {
    let server = Server::start().await;
    let anna = server.person("anna@example.com").await;
    let started = anna.tfa("POST", "authorize-new-method/", json!({})).await.is(200);
    let body = json!({"secret": started.json["secret"], "code": anna.sent(Channel::Email).await});
    anna.tfa("PUT", "authorize-new-method/", body).await.is(200);
    for number in [NUMBER, OTHER] {
        anna.tfa("POST", "sms/", json!({"phone_number": number})).await.is(200);
    }
    anna.tfa("POST", "sms/", json!({"phone_number": "+4915112345678"})).await.fails(429, "preauth_phone_cap");
}

#[tokio::test]
async fn labels_and_the_primary_method_are_updated_by_integer_or_text() {
    let server = Server::start().await;
    let anna = with_app(&server).await.with_phone().await;
    let updated = anna.tfa("PUT", "update/", json!({"tfa_method_id": 2, "label": "Work", "is_primary": true})).await;
    let updated = updated.is(200).json;
    assert_eq!((&updated["method"]["label"], &updated["method"]["is_primary"]), (&json!("Work"), &json!(true)));
    let by_text = anna.tfa("PUT", "update/", json!({"tfa_method_id": "1", "label": "Home"})).await.is(200);
    assert_eq!(by_text.json["method"]["label"], "Home");
    let by_kind = anna.tfa("PUT", "update/", json!({"tfa_method": "sms", "label": "Pocket"})).await.is(200);
    assert_eq!(by_kind.json["method"]["id"], 2);
    for (body, status, code) in [
        (json!({"tfa_method_id": 9, "label": "x"}), 404, "not_found"),
        (json!({"tfa_method_id": 1}), 400, "missing_params"),
        (json!({"label": "x"}), 400, "missing_params"),
        (json!({"tfa_method_id": 1, "label": ""}), 400, "bad_request"),
        (json!({"tfa_method_id": 1, "label": "x".repeat(31)}), 400, "bad_request"),
        (json!({"tfa_method_id": 2, "label": "y", "is_primary": false}), 400, "bad_request"),
        (json!({"tfa_method": "email", "label": "x"}), 400, "invalid_tfa_method"),
        (json!({"tfa_method_id": 1, "is_primary": "true"}), 400, "bad_request"),
    ] {
        anna.tfa("PUT", "update/", body).await.fails(status, code);
    }
    let status = anna.tfa("GET", "status/", json!({})).await.json;
    assert_eq!(status["methods"][1]["label"], "Pocket", "nothing was half done");
}

#[tokio::test]
async fn the_same_number_is_not_added_twice() {
    let server = Server::start().await;
    let anna = with_app(&server).await.with_phone().await;
    anna.authorized().await;
    // A number on file is checked, not added.
    let secret = anna.tfa("POST", "sms/", json!({"phone_number": NUMBER})).await.says("2FA Sent").secret();
    let body = json!({
        "tfa_method": "sms", "code": anna.sent(Channel::Sms).await, "secret": secret, "phone_number": NUMBER,
    });
    anna.tfa("POST", "confirm-new/", body).await.fails(400, "challenge_not_found");
}

#[tokio::test]
async fn the_account_is_shown_with_and_without_the_slash() {
    let server = Server::start().await;
    let anna = server.person("anna@example.com").await;
    for path in ["/api/v0/users/current", "/api/v0/users/current/", "/api/v0/users/current?owner=me"] {
        let account = anna.get(path).send().await.is(200).json;
        assert_eq!((&account["id"], &account["email"]), (&json!(1), &json!("anna@example.com")));
        assert_eq!(account["tfa_status"], "disabled");
    }
    let bert = server.person_with_totp("bert@example.com").await;
    let account = bert.get("/api/v0/users/current").send().await.json;
    assert_eq!((&account["id"], &account["tfa_status"]), (&json!(2), &json!("enabled")));
    assert_eq!(anna.get("/api/v0/tfa/status").send().await.is(200).json["success"], true);
}
