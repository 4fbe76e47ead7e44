//! Journey 7: wrong codes.

use serde_json::json;

use crate::support::{Client, Person, Settings, Setup, Watcher, another, id, over_every_setup};

over_every_setup![
    a_kind_is_locked_at_its_limit_and_the_others_still_work,
    the_cap_stops_all_three_kinds_and_a_recovery_code_clears_it,
    support_lifts_a_lock_without_touching_factors,
];

const NUMBER: &str = "+4915112345678";

async fn wrong(client: &Client, attempts: &str, method: &str, like: &str) -> serde_json::Value {
    client.post(attempts, json!({"method": method, "code": another(like)})).await.refused(422, "wrong_code")
}

async fn a_kind_is_locked_at_its_limit_and_the_others_still_work(setup: Setup) {
    let server = setup.server().await;
    let watcher = Watcher::new(&server);
    let mut person = Person::with_totp(&server, "rosa").await;
    person.verify_by_totp(&server, "add_method").await;
    person.add_sms(NUMBER).await;
    let mark = watcher.mark(&person.account).await;
    let (verification, holder) = person.begin_sign_in(&server).await;
    let attempts = format!("/v1/verifications/{}/attempts", id(&verification));

    let right = server.fresh_totp(person.totp.as_deref().unwrap());
    for count in 1..=4 {
        let refused = wrong(&holder, &attempts, "totp", &right).await;
        assert_eq!(refused["fail_count"], count);
        assert!(refused["locked_until"].is_null());
    }
    let last = wrong(&holder, &attempts, "totp", &right).await;
    assert_eq!(last["fail_count"], 5);
    assert!(last["locked_until"].is_string());
    let refused = holder.post(&attempts, json!({"method": "totp", "code": right})).await;
    let wait: u32 = refused.header("retry-after").expect("Retry-After").parse().unwrap();
    assert!((1..=900).contains(&wait));
    refused.refused(429, "method_locked");
    let seen = watcher.since(&person.account, mark).await;
    assert_eq!(seen.iter().filter(|name| *name == "CodeRejected").count(), 5);
    assert_eq!(seen.last().unwrap(), "MethodLocked");
    let lockouts = watcher.client.get("/v1/security/lockouts").await.expect(200);
    assert!(lockouts.to_string().contains(&person.account), "{lockouts}");

    // SMS still works; a resend resets nothing.
    let codes = format!("/v1/verifications/{}/codes", id(&verification));
    holder.post(&codes, json!({"channel": "sms"})).await.expect(202);
    let text = holder.code(NUMBER, 2).await;
    assert_eq!(wrong(&holder, &attempts, "sms", &text).await["fail_count"], 1);
    assert_eq!(wrong(&holder, &attempts, "sms", &text).await["fail_count"], 2);
    server.advance(30);
    holder.post(&format!("{codes}/resend"), json!({})).await.expect(202);
    assert_eq!(holder.code(NUMBER, 3).await, text);
    let last = wrong(&holder, &attempts, "sms", &text).await;
    assert_eq!(last["fail_count"], 3);
    assert!(last["locked_until"].is_string());
    holder.post(&attempts, json!({"method": "sms", "code": text})).await.refused(429, "method_locked");

    // After fifteen minutes both work again.
    server.advance(900);
    let (verification, holder) = person.begin_sign_in(&server).await;
    let attempts = format!("/v1/verifications/{}/attempts", id(&verification));
    let right = server.fresh_totp(person.totp.as_deref().unwrap());
    assert_eq!(wrong(&holder, &attempts, "totp", &right).await["fail_count"], 1);
    let answer = holder.post(&attempts, json!({"method": "totp", "code": right})).await.expect(200);
    assert_eq!(answer["aal"], "aal2");
    let methods = server.client().with(answer["session_token"].as_str().unwrap());
    let methods = methods.get("/v1/accounts/me/methods").await.expect(200);
    assert_eq!(methods["methods"][0]["fail_count"], 0);
    server.leaves_nothing_behind().await;
}

async fn the_cap_stops_all_three_kinds_and_a_recovery_code_clears_it(setup: Setup) {
    let server = setup.server_with(Settings::default().with("policy.account_cap", "7")).await;
    let watcher = Watcher::new(&server);
    let person = Person::with_totp(&server, "emmy").await;
    let (first, holder) = person.begin_sign_in(&server).await;
    let attempts = format!("/v1/verifications/{}/attempts", id(&first));
    let right = server.fresh_totp(person.totp.as_deref().unwrap());
    for _ in 0..5 {
        wrong(&holder, &attempts, "totp", &right).await;
    }
    // The lock ends, its count restarts; the account's does not, whatever verification it is.
    server.advance(900);
    let (second, holder) = person.begin_sign_in(&server).await;
    let attempts = format!("/v1/verifications/{}/attempts", id(&second));
    let right = server.fresh_totp(person.totp.as_deref().unwrap());
    wrong(&holder, &attempts, "totp", &right).await;
    wrong(&holder, &attempts, "totp", &right).await;
    let refused = holder.post(&attempts, json!({"method": "totp", "code": right})).await;
    assert!(refused.header("retry-after").is_none(), "waiting does not help");
    refused.refused(403, "account_locked");
    let codes = format!("/v1/verifications/{}/codes", id(&second));
    holder.post(&codes, json!({"channel": "email"})).await.refused(403, "account_locked");
    let seen = watcher.account(&person.account).await;
    assert_eq!(seen["account_locked"], true, "{seen}");

    let code = json!({"method": "recovery_code", "code": person.recovery_codes[0]});
    let answer = holder.post(&attempts, code).await.expect(200);
    assert_eq!(answer["aal"], "aal2");
    let (third, holder) = person.begin_sign_in(&server).await;
    let attempts = format!("/v1/verifications/{}/attempts", id(&third));
    let right = server.fresh_totp(person.totp.as_deref().unwrap());
    holder.post(&attempts, json!({"method": "totp", "code": right})).await.expect(200);
    server.leaves_nothing_behind().await;
}

async fn support_lifts_a_lock_without_touching_factors(setup: Setup) {
    let server = setup.server().await;
    let watcher = Watcher::new(&server);
    let person = Person::with_totp(&server, "vera").await;
    let (verification, holder) = person.begin_sign_in(&server).await;
    let attempts = format!("/v1/verifications/{}/attempts", id(&verification));
    let right = server.fresh_totp(person.totp.as_deref().unwrap());
    for _ in 0..5 {
        wrong(&holder, &attempts, "totp", &right).await;
    }
    let support = server.client_with("support:write");
    let path = format!("/v1/security/accounts/{}/unlock", person.account);
    support.post(&path, json!({})).await.refused(422, "invalid_request");
    let unlocked = support.post(&path, json!({"reason": "called, and knew the last order"})).await;
    assert!(unlocked.status.is_success(), "{}", unlocked.body);
    assert_eq!(watcher.own_history(&person.account).await.last().unwrap()["type"], "MethodUnlocked");
    holder.post(&attempts, json!({"method": "totp", "code": right})).await.expect(200);
    server.leaves_nothing_behind().await;
}
