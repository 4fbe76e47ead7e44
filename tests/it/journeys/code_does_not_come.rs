//! Journey 8: the code does not come. (Other gateways and receipts come with the gateways.)

use serde_json::json;

use crate::support::{Person, Settings, Setup, Watcher, eventually, id, over_every_setup};

over_every_setup![
    a_late_code_works_while_it_is_valid_and_is_refused_after,
    the_security_team_sees_a_code_that_was_not_sent,
];

const NUMBER: &str = "+436601234567";

async fn a_late_code_works_while_it_is_valid_and_is_refused_after(setup: Setup) {
    let server = setup.server().await;
    let person = Person::with_sms(&server, "anna", NUMBER).await;
    let (verification, holder) = person.begin_sign_in(&server).await;
    let codes = format!("/v1/verifications/{}/codes", id(&verification));
    let attempts = format!("/v1/verifications/{}/attempts", id(&verification));

    holder.post(&codes, json!({"channel": "sms"})).await.expect(202);
    holder.post(&codes, json!({"channel": "sms"})).await.refused(429, "resend_too_soon");
    let late = holder.code(NUMBER, 2).await;
    server.advance(31);
    holder.post(&format!("{codes}/resend"), json!({})).await.expect(202);
    assert_eq!(holder.code(NUMBER, 3).await, late, "a resend repeats the code, so that a late text still works");

    // The email instead.
    let mails = person.codes_mailed().await;
    holder.post(&codes, json!({"channel": "email"})).await.expect(202);
    holder.code(&person.email, mails + 1).await;

    server.advance(600);
    let expired = json!({"method": "sms", "code": late});
    holder.post(&attempts, expired).await.refused(410, "code_expired");
    server.advance(31);
    let (verification, holder) = person.begin_sign_in(&server).await;
    holder.post(&format!("/v1/verifications/{}/codes", id(&verification)), json!({"channel": "sms"})).await.expect(202);
    let fresh = holder.code(NUMBER, 4).await;
    let attempts = format!("/v1/verifications/{}/attempts", id(&verification));
    holder.post(&attempts, json!({"method": "sms", "code": fresh})).await.expect(200);
    server.leaves_nothing_behind().await;
}

async fn the_security_team_sees_a_code_that_was_not_sent(setup: Setup) {
    let everything = Settings::default();
    let server = setup.server_with(everything.clone()).await;
    let person = Person::with_sms(&server, "ruth", NUMBER).await;
    let sent = person.client.inbox(NUMBER).await.len();

    // Nobody sends texts now.
    let server = server.kill_and_restart_with(everything.clone().with("roles", "api,projections,email,notices"));
    let (verification, holder) = person.begin_sign_in(&server).await;
    let codes = format!("/v1/verifications/{}/codes", id(&verification));
    holder.post(&codes, json!({"channel": "sms"})).await.expect(202);

    // A code past its end is never sent, and that is on record.
    server.advance(601);
    let server = server.kill_and_restart_with(everything);
    let watcher = Watcher::new(&server);
    let failed = eventually("the failed delivery", || async {
        let deliveries = watcher.client.get("/v1/security/deliveries").await.expect(200);
        deliveries["items"].as_array().unwrap().iter().find(|item| item["state"] == "given_up").cloned()
    })
    .await;
    assert_eq!(failed["reason"], "too_late");
    assert_eq!(failed["channel"], "sms");
    assert_eq!(failed["country"], "AT");
    assert_eq!(server.client().inbox(NUMBER).await.len(), sent);
    server.leaves_nothing_behind().await;
}
