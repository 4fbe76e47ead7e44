//! Journey 2: turn 2FA on with SMS.

use serde_json::json;

use crate::support::{Person, Setup, Watcher, another, over_every_setup};

over_every_setup![two_factor_is_turned_on_with_a_phone_number,];

const NUMBER: &str = "+436601234567";

async fn two_factor_is_turned_on_with_a_phone_number(setup: Setup) {
    let server = setup.server().await;
    let watcher = Watcher::new(&server);
    let mut person = Person::sign_up(&server, "grace").await;

    // A number that is not on file is texted only with the authorization.
    let number = json!({"phone_number": NUMBER});
    person.client.post("/v1/accounts/me/methods/sms", number.clone()).await.refused(403, "verification_required");
    person.authorize_first().await;
    for wrong in ["0660 1234567", "+43", "+4314000", "+436601234567 ext 9"] {
        let body = json!({"phone_number": wrong});
        let refused = person.client.post("/v1/accounts/me/methods/sms", body).await.refused(422, "invalid_request");
        assert_eq!(refused["field"], "phone_number");
    }

    let mark = watcher.mark(&person.account).await;
    let started = person.client.post("/v1/accounts/me/methods/sms", number).await.expect(201);
    let sent_to = started["sent_to"].as_str().unwrap();
    assert!(sent_to.ends_with("4567") && !sent_to.contains("660123"), "{sent_to}");
    let first = person.client.code(NUMBER, 1).await;
    assert!(first.len() == 6 && first.bytes().all(|digit| digit.is_ascii_digit()));
    let text = person.client.inbox(NUMBER).await[0]["body"].as_str().unwrap().to_owned();
    assert!(text.contains(&first), "{text}");

    // Thirty seconds between sends; a resend repeats the code.
    let resend = format!("/v1/accounts/me/methods/{}/codes/resend", started["method_id"]);
    let refused = person.client.post(&resend, json!({})).await;
    let seconds: u32 = refused.header("retry-after").expect("Retry-After").parse().unwrap();
    assert!((1..=30).contains(&seconds));
    refused.refused(429, "resend_too_soon");
    server.advance(30);
    person.client.post(&resend, json!({})).await.expect(202);
    assert_eq!(person.client.code(NUMBER, 2).await, first);

    // After ten minutes the code is no more, and a resend makes another one.
    let enable = format!("/v1/accounts/me/methods/{}/enable", started["method_id"]);
    server.advance(600);
    person.client.post(&enable, json!({"code": first})).await.refused(410, "code_expired");
    person.client.post(&resend, json!({})).await.expect(202);
    let second = person.client.code(NUMBER, 3).await;

    person.client.post(&enable, json!({"code": another(&second)})).await.refused(422, "wrong_code");
    let enabled = person.client.post(&enable, json!({"code": second})).await.expect(200);
    assert_eq!(enabled["method"]["kind"], "sms");
    assert_eq!(enabled["recovery_codes"].as_array().unwrap().len(), 10);
    assert_eq!(
        watcher.since(&person.account, mark).await,
        [
            "SmsEnrollmentStarted",
            "CodeIssued",
            "CodeResent",
            "CodeIssued",
            "CodeRejected",
            "MethodEnabled",
            "TwoFactorEnabled",
            "RecoveryCodesGenerated",
            "SessionRenewed",
        ]
    );

    person.go_on_with(&enabled);
    let methods = person.client.get("/v1/accounts/me/methods").await.expect(200);
    let method = &methods["methods"][0];
    assert_eq!(method["kind"], "sms");
    assert!(!methods.to_string().contains(NUMBER), "the number is masked");
    assert_eq!(watcher.account(&person.account).await["two_factor_enabled"], true);
    server.leaves_nothing_behind().await;
}
