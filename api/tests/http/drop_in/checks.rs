//! Codes that come with what they authorize.

use domain::{time::Seconds, values::Channel};
use serde_json::{Value, json};

use super::{another, with_app};
use crate::server::{Person, Server};

async fn login(person: &Person<'_>, body: Value) -> crate::server::Answer {
    person.tfa("POST", "", body).await
}

#[tokio::test]
async fn signing_in_by_each_kind_gives_a_session_key() {
    let server = Server::start().await;
    let mut anna = with_app(&server).await.with_phone().await;
    anna.session = anna.key().await;
    let by_app = login(&anna, json!({"tfa_method": "totp", "code": anna.fresh_totp()})).await.is(200);
    assert!(by_app.text_at("/session_key").starts_with("cs_session_"));
    assert_eq!((&by_app.json["email"], &by_app.json["tfa_status"]), (&json!("ada@example.com"), &json!("enabled")));
    assert!(by_app.json.get("backup_codes_remaining").is_none());
    assert!(by_app.headers.get("set-cookie").is_none(), "with a bearer there is no cookie");
    let by_number = login(&anna, json!({"tfa_method_id": "1", "code": anna.fresh_totp()})).await.is(200);
    assert!(by_number.json["session_key"].is_string());
    // Without a method it is SMS that is meant.
    let secret = anna.tfa("POST", "sms/", json!({})).await.says("2FA Sent").secret();
    let body = json!({"code": anna.sent(Channel::Sms).await, "secret": secret});
    let session = login(&anna, body.clone()).await.is(200).text_at("/session_key");
    login(&anna, body).await.fails(400, "2fa_expired");
    let secret = anna.tfa("POST", "email/", json!({})).await.is(200).secret();
    let body = json!({"tfa_method": "email", "code": anna.sent(Channel::Email).await, "secret": secret});
    login(&anna, body).await.is(200);
    let by_backup_code = login(&anna, json!({"backup_code": anna.recovery_codes[0]})).await.is(200);
    assert_eq!(by_backup_code.json["backup_codes_remaining"], 9);
    login(&anna, json!({"backup_code": anna.recovery_codes[0]})).await.fails(401, "invalid_backup_code");
    // The session works as a key, and a login with it gives it another key: the old one is dead.
    anna.session = session.clone();
    let again = login(&anna, json!({"tfa_method": "totp", "code": anna.fresh_totp()})).await.is(200);
    assert_ne!(again.text_at("/session_key"), session);
    anna.get("/v1/accounts/me").send().await.refuses(401, "unauthenticated");
    anna.session = again.text_at("/session_key");
    let sessions = anna.get("/v1/accounts/me").send().await.is(200);
    assert_eq!(sessions.json["two_factor_enabled"], true);
}

#[tokio::test]
async fn the_last_backup_code_leaves_zero_and_the_field_is_there() {
    let server = Server::start().await;
    let mut anna = with_app(&server).await;
    anna.session = anna.key().await;
    for (used, code) in anna.recovery_codes.iter().enumerate() {
        let answer = login(&anna, json!({"backup_code": code})).await.is(200);
        assert_eq!(answer.json["backup_codes_remaining"], 9 - used);
    }
    login(&anna, json!({"backup_code": anna.recovery_codes[0]})).await.fails(401, "invalid_backup_code");
}

#[tokio::test]
async fn wrong_codes_lock_and_a_lock_says_when_it_ends() {
    let server = Server::start().await;
    let anna = with_app(&server).await;
    let wrong = json!({"tfa_method": "totp", "code": another(&anna.fresh_totp())});
    for count in 1..=4 {
        let answer = login(&anna, wrong.clone()).await.fails(400, "2fa_verification_failed");
        assert_eq!((&answer.json["fail_count"], &answer.json["locked_until"]), (&json!(count), &json!(null)));
    }
    let fifth = login(&anna, wrong.clone()).await.fails(400, "2fa_verification_failed");
    let until = fifth.json["locked_until"].as_i64().unwrap();
    assert_eq!(until, server.now().as_millis() / 1_000 + 900);
    let locked = login(&anna, wrong.clone()).await.fails(429, "tfa_locked");
    assert_eq!((&locked.json["fail_count"], &locked.json["locked_until"]), (&json!(5), &json!(until)));
    assert_eq!(locked.header("retry-after"), "900");
    server.fixture.clock.advance(Seconds(880));
    let soon = login(&anna, wrong.clone()).await.fails(429, "tfa_locked");
    assert_eq!(soon.header("retry-after"), "61", "or the client would try again by itself");
    anna.tfa("GET", "status/", json!({})).await.is(200);
    login(&anna, json!({"backup_code": anna.recovery_codes[0]})).await.is(200);
}

#[tokio::test]
async fn a_method_is_deleted_with_a_check_in_the_body() {
    let server = Server::start().await;
    let anna = with_app(&server).await.with_phone().await;
    let remove = |body: Value| anna.tfa("DELETE", "", body);
    remove(json!({"target_id": 9, "tfa_method": "totp", "code": anna.fresh_totp()})).await.fails(404, "not_found");
    remove(json!({"backup_code": anna.recovery_codes[0]})).await.fails(400, "missing_params");
    remove(json!({"target_id": 2, "tfa_method": "sms", "code": "123456"})).await.fails(400, "missing_params");
    let removed = remove(json!({"target_id": 2, "backup_code": anna.recovery_codes[0]})).await.is(200);
    assert_eq!(removed.json["remaining_methods"], 1);
    // Without a target it is the method that checks.
    let last = remove(json!({"tfa_method": "totp", "code": anna.fresh_totp()})).await.says("2FA Successfully Disabled");
    assert!(last.json.get("remaining_methods").is_none(), "absent when none remain");
    assert_eq!(anna.tfa("GET", "status/", json!({})).await.json["tfa_enabled"], false);
    remove(json!({"tfa_method": "totp", "code": "123456"})).await.fails(400, "tfa_method_not_configured");
}

#[tokio::test]
async fn a_code_by_email_logs_in_and_does_nothing_else() {
    let server = Server::start().await;
    let mut anna = with_app(&server).await;
    anna.session = anna.key().await;
    let secret = anna.tfa("POST", "email/", json!({})).await.is(200).secret();
    let code = anna.sent(Channel::Email).await;
    for code in [code.clone(), another(&code)] {
        let body = json!({"tfa_method": "email", "code": code, "secret": secret, "target_id": 1});
        for (method, path) in [("DELETE", ""), ("PUT", "regen-backup-codes/"), ("PUT", "authorize-new-method/")] {
            let refused = anna.tfa(method, path, body.clone()).await.fails(400, "invalid_tfa_method");
            assert!(refused.json.get("fail_count").is_none(), "nothing is counted");
            assert!(refused.json["msg"].as_str().unwrap().contains("vastai tfa login"), "{}", refused.text);
        }
    }
    // The check itself is refused, and no mail is sent.
    server.fixture.clock.advance(Seconds(60));
    let before = server.fixture.engine.load(anna.account.parse().unwrap()).await.unwrap().version;
    let refused = anna.tfa("POST", "authorize-new-method/", json!({"tfa_method": "email"})).await;
    let refused = refused.fails(400, "invalid_tfa_method");
    assert!(refused.json["msg"].as_str().unwrap().contains("backup code"), "{}", refused.text);
    assert_eq!(server.fixture.engine.load(anna.account.parse().unwrap()).await.unwrap().version, before);
    // The secret stays good for the login.
    let body = json!({"tfa_method": "email", "code": code, "secret": secret});
    let session = login(&anna, body).await.is(200).text_at("/session_key");
    assert!(session.starts_with("cs_session_"));
}

#[tokio::test]
async fn a_session_that_a_factor_began_lately_adds_a_method_by_email() {
    let server = Server::start().await;
    let mut anna = with_app(&server).await;
    anna.session = anna.key().await;
    let logged_in = login(&anna, json!({"tfa_method": "totp", "code": anna.fresh_totp()})).await.is(200);
    anna.session = logged_in.text_at("/session_key");
    let start = || anna.tfa("POST", "authorize-new-method/", json!({"tfa_method": "email"}));
    let secret = start().await.is(200).secret();
    let body = json!({"secret": secret, "code": anna.sent(Channel::Email).await});
    anna.tfa("PUT", "authorize-new-method/", body).await.says("Authorization successful.");
    // For a day, and for nothing else.
    server.fixture.clock.advance(Seconds::hours(23));
    start().await.is(200);
    server.fixture.clock.advance(Seconds::hours(1));
    start().await.fails(400, "invalid_tfa_method");
}

#[tokio::test]
async fn with_the_originals_policy_email_authorizes_everything() {
    let mut options = engine::testing::FixtureOptions::default();
    options.policy.email_for_changes = domain::policy::EmailForChanges::Always;
    let server = Server::with(options, api::ApiConfig::default()).await;
    let anna = with_app(&server).await;
    let secret = anna.tfa("POST", "authorize-new-method/", json!({"tfa_method": "email"})).await.is(200).secret();
    let body = json!({"secret": secret, "code": anna.sent(Channel::Email).await});
    anna.tfa("PUT", "authorize-new-method/", body).await.says("Authorization successful.");
    server.fixture.clock.advance(Seconds::minutes(29));
    assert_eq!(anna.tfa("GET", "status/", json!({})).await.json["new_method_authorized"], true);
    let secret = anna.tfa("POST", "email/", json!({})).await.is(200).secret();
    let code = anna.sent(Channel::Email).await;
    let body = |target: Value| json!({"tfa_method": "email", "code": code, "secret": secret, "target_id": target});
    anna.tfa("DELETE", "", body(json!(null))).await.fails(400, "missing_params");
    anna.tfa("DELETE", "", body(json!(1))).await.says("2FA Successfully Disabled");
}

#[tokio::test]
async fn backup_codes_are_regenerated() {
    let server = Server::start().await;
    let anna = with_app(&server).await;
    let regen = |body: Value| anna.tfa("PUT", "regen-backup-codes/", body);
    let fresh = regen(json!({"tfa_method": "totp", "code": anna.fresh_totp()})).await.says("success");
    let codes = fresh.json["backup_codes"].as_array().unwrap().clone();
    assert_eq!(codes.len(), 10);
    assert_eq!(codes[0].as_str().unwrap().split('-').count(), 4);
    regen(json!({"backup_code": anna.recovery_codes[0]})).await.fails(401, "invalid_backup_code");
    regen(json!({"backup_code": codes[0]})).await.says("success");
    let bert = server.person("bert@example.com").await;
    let secret = bert.tfa("POST", "email/", json!({})).await.is(200).secret();
    let body = json!({"tfa_method": "email", "code": bert.sent(Channel::Email).await, "secret": secret});
    bert.tfa("PUT", "regen-backup-codes/", body).await.fails(400, "tfa_method_not_configured");
}

#[tokio::test]
async fn a_later_method_is_authorized_by_each_kind() {
    let server = Server::start().await;
    let anna = with_app(&server).await.with_phone().await;
    let start = |body: Value| anna.tfa("POST", "authorize-new-method/", body);
    let finish = |body: Value| anna.tfa("PUT", "authorize-new-method/", body);
    let by_text = start(json!({"tfa_method": "sms"})).await.is(200).secret();
    start(json!({"tfa_method": "sms"})).await.fails(400, "tfa_challenge_exists");
    let code = anna.sent(Channel::Sms).await;
    finish(json!({"secret": by_text, "code": code})).await.says("Authorization successful.");
    let by_mail = start(json!({"tfa_method": "email"})).await.is(200).secret();
    let code = anna.sent(Channel::Email).await;
    finish(json!({"secret": by_mail, "code": code})).await.says("Authorization successful.");
    let by_number = start(json!({"tfa_method_id": "1"})).await.is(200).secret();
    finish(json!({"secret": by_number, "code": anna.fresh_totp()})).await.says("Authorization successful.");
    let done = start(json!({"backup_code": anna.recovery_codes[0]})).await.says("Authorization successful.");
    assert!(done.json.get("secret").is_none());
    start(json!({"backup_code": anna.recovery_codes[0]})).await.fails(401, "invalid_backup_code");
    start(json!({})).await.fails(400, "missing_params");
    start(json!({"tfa_method": "carrier pigeon"})).await.fails(400, "invalid_tfa_method");
    start(json!({"tfa_method_id": 9})).await.fails(400, "tfa_method_not_configured");
    // The check that any code was asked for without a purpose authorizes too.
    server.fixture.clock.advance(Seconds(60));
    let open = anna.tfa("POST", "sms/", json!({})).await.is(200).secret();
    finish(json!({"secret": open, "code": anna.sent(Channel::Sms).await})).await.is(200);
    finish(json!({"code": "123456"})).await.fails(400, "missing_params");
    finish(json!({"secret": open})).await.fails(400, "missing_auth_value");
    finish(json!({"secret": "nonsense", "code": "123456"})).await.fails(400, "no_pending_authorization");
}

#[tokio::test]
async fn secrets_that_expired_or_are_of_something_else() {
    let server = Server::start().await;
    let anna = with_app(&server).await.with_phone().await;
    let secret = anna.tfa("POST", "sms/", json!({})).await.says("2FA Sent").secret();
    let code = anna.sent(Channel::Sms).await;
    let body = json!({"tfa_method": "sms", "code": code, "secret": secret});
    let other_kind = json!({"tfa_method": "email", "code": code, "secret": secret});
    login(&anna, other_kind).await.fails(400, "no_challenge_found");
    let unsent = anna.tfa("POST", "authorize-new-method/", json!({"tfa_method": "totp"})).await.secret();
    anna.tfa("POST", "sms/resend/", json!({"secret": unsent})).await.fails(400, "no_challenge_found");
    login(&anna, json!({"tfa_method": "totp", "code": anna.fresh_totp(), "secret": unsent}))
        .await
        .fails(400, "challenge_not_found");
    server.fixture.clock.advance(Seconds::minutes(15));
    login(&anna, body).await.fails(400, "2fa_expired");
    for unknown in ["x", "cs_verify_"] {
        let body = json!({"tfa_method": "sms", "code": "123456", "secret": unknown});
        login(&anna, body).await.fails(400, "challenge_not_found");
    }
    let bert = server.person("bert@example.com").await;
    let his = bert.tfa("POST", "email/", json!({})).await.secret();
    let body = json!({"tfa_method": "email", "code": bert.sent(Channel::Email).await, "secret": his});
    login(&anna, body).await.fails(400, "challenge_not_found");
}
