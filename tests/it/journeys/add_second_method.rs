//! Journey 3: add a second method.

use serde_json::json;

use crate::support::{Person, Setup, Watcher, id, over_every_setup};

over_every_setup![
    a_second_method_is_added_by_the_first_and_no_email_is_sent,
    a_recovery_code_can_stand_for_the_identity_check,
];

const NUMBER: &str = "+436641234567";

fn kinds(verification: &serde_json::Value) -> Vec<&str> {
    verification["methods"].as_array().unwrap().iter().map(|method| method["kind"].as_str().unwrap()).collect()
}

async fn a_second_method_is_added_by_the_first_and_no_email_is_sent(setup: Setup) {
    let server = setup.server().await;
    let watcher = Watcher::new(&server);
    let mut person = Person::with_totp(&server, "mary").await;
    let mails = person.codes_mailed().await;

    let started = person.start("add_method").await;
    let verification = if started["verification"].is_object() { &started["verification"] } else { &started };
    assert_eq!(kinds(verification)[0], "totp");
    assert!(kinds(verification).contains(&"recovery_code"));
    assert_eq!(verification["methods"][0]["default"], true);

    // Email is sent when it is picked, not before.
    let codes = format!("/v1/verifications/{}/codes", id(&started));
    assert_eq!(person.codes_mailed().await, mails);
    person.client.post(&codes, json!({"channel": "email"})).await.expect(202);
    person.client.code(&person.email, mails + 1).await;

    let code = server.fresh_totp(person.totp.as_deref().unwrap());
    person.attempt(id(&started), "totp", &code).await.expect(200);
    let mark = watcher.mark(&person.account).await;
    let enabled = person.add_sms(NUMBER).await;
    assert!(enabled["recovery_codes"].is_null(), "they are shown once, with the first method");
    assert_eq!(enabled["method"]["is_primary"], false);
    assert_eq!(watcher.since(&person.account, mark).await, ["SmsEnrollmentStarted", "CodeIssued", "MethodEnabled"]);

    let methods = person.client.get("/v1/accounts/me/methods").await.expect(200);
    assert_eq!(methods["methods"].as_array().unwrap().len(), 2);

    // The same number twice is refused, and one authorization adds one method.
    let number = json!({"phone_number": NUMBER});
    person.client.post("/v1/accounts/me/methods/sms", number.clone()).await.refused(403, "verification_required");
    person.verify_by_totp(&server, "add_method").await;
    person.client.post("/v1/accounts/me/methods/sms", number).await.refused(409, "duplicate_method");
    server.leaves_nothing_behind().await;
}

async fn a_recovery_code_can_stand_for_the_identity_check(setup: Setup) {
    let server = setup.server().await;
    let mut person = Person::with_totp(&server, "joan").await;
    let started = person.start("add_method").await;
    let code = person.recovery_codes[0].to_lowercase().replace('-', " ");
    let answer = person.attempt(id(&started), "recovery_code", &code).await.expect(200);
    assert_eq!(answer["recovery_codes_remaining"], 9);
    person.add_sms(NUMBER).await;
    server.leaves_nothing_behind().await;
}
