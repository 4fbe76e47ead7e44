//! Signing in, by each kind; sessions that end.

use serde_json::json;

use super::client::{newcomer, with_app};
use crate::support::{PASSWORD, Setup, over_both_logs};

over_both_logs![
    by_each_kind_and_by_backup_codes_until_none_is_left,
    a_session_that_ended_is_dropped_and_the_key_is_tried,
    a_sign_in_that_began_with_the_password_is_finished_with_a_cookie,
];

const NUMBER: &str = "+436601234567";

async fn by_each_kind_and_by_backup_codes_until_none_is_left(setup: Setup) {
    let server = setup.server().await;
    let (person, vastai, app, codes) = with_app(&server, "eva").await;
    let client = server.client();
    vastai.tfa(&["auth-new", "-bc", &codes[0]]).says("Successfully authorized");
    let secret = vastai.tfa(&["send-sms", "--phone-number", NUMBER]).after("Secret token: ");
    let code = client.code(NUMBER, 1).await;
    vastai.tfa(&["activate", "-t", "sms", "--secret", &secret, "--phone-number", NUMBER, &code]).says("activated");
    vastai
        .tfa(&["login", "-t", "totp", "-c", &server.fresh_totp(&app)])
        .says("2FA login successful! Session key saved");
    let secret = vastai.tfa(&["send-sms"]).after("Secret token: ");
    let code = client.code(NUMBER, 2).await;
    vastai.tfa(&["login", "-t", "sms", "-s", &secret, "-c", &code]).says("2FA login successful!");
    vastai.tfa(&["login", "-t", "sms", "-s", &secret, "-c", &code]).says("This secret was used already.");
    let mails = person.codes_mailed_to(&client).await;
    let secret = vastai.tfa(&["send-email"]).after("Secret token: ");
    let code = client.code(&person.email, mails + 1).await;
    vastai.tfa(&["login", "-t", "email", "-s", &secret, "-c", &code]).says("2FA login successful!");
    vastai.tfa(&["login", "-bc", &codes[1]]).says("Backup codes remaining: 8");
    for code in &codes[2..6] {
        vastai.tfa(&["login", "-bc", code]).says("2FA login successful!");
    }
    vastai.tfa(&["login", "-bc", &codes[6]]).says("You only have 3 backup codes remaining");
    vastai.tfa(&["login", "-bc", &codes[6]]).says("Invalid backup code.");
    for code in &codes[7..9] {
        vastai.tfa(&["login", "-bc", code]).says("2FA login successful!");
    }
    vastai.tfa(&["login", "-bc", &codes[9]]).says("You have no backup codes remaining!");
}

async fn a_session_that_ended_is_dropped_and_the_key_is_tried(setup: Setup) {
    let server = setup.server().await;
    let (_, vastai, app, _) = with_app(&server, "finn").await;
    let (_, other, key) = newcomer(&server, "gwen").await;
    drop(other);
    vastai.tfa(&["login", "-t", "totp", "-c", &server.fresh_totp(&app)]).says("Session key saved");
    assert!(vastai.has_session());
    vastai.save_key(&key);
    let vastai = vastai.without_key();
    vastai.tfa(&["status"]).says("2FA Status: Enabled");
    vastai.tfa(&["login", "-t", "totp", "-c", &server.fresh_totp(&app)]).says("Session key saved");
    server.advance(31 * 24 * 3_600);
    // The saved key is another account's, so that the answer shows which one was used.
    let recovered = vastai.tfa(&["status"]).says("Your 2FA session has expired.");
    recovered.says("Trying again with your normal API Key").says("No active 2FA methods found");
    assert!(!vastai.has_session());
}

async fn a_sign_in_that_began_with_the_password_is_finished_with_a_cookie(setup: Setup) {
    let server = setup.server().await;
    let (person, _, app, _) = with_app(&server, "hugo").await;
    let client = server.client();
    let body = json!({"email": person.email, "password": PASSWORD});
    let started = client.post("/v1/sign-in", body).await.expect(202);
    let secret = started["verification"]["token"].as_str().unwrap();
    server.remember(secret);
    let body = json!({"tfa_method": "totp", "code": server.fresh_totp(&app), "secret": secret});
    let done = client.post("/api/v0/tfa/", body).await;
    let cookie = done.header("set-cookie").expect("a cookie").to_owned();
    assert!(done.expect(200).get("session_key").is_none());
    let token = cookie.split(['=', ';']).nth(1).unwrap();
    assert_eq!(client.with(token).get("/v1/accounts/me").await.expect(200)["two_factor_enabled"], true);
    server.leaves_nothing_behind().await;
}
