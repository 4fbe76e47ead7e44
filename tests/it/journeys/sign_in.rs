//! Journey 4: sign in.

use serde_json::json;

use crate::support::{PASSWORD, Person, Setup, Watcher, another, id, over_every_setup};

over_every_setup![
    signing_in_asks_for_the_second_factor_and_emails_nothing_by_itself,
    an_unconfirmed_account_cannot_sign_in,
];

async fn signing_in_asks_for_the_second_factor_and_emails_nothing_by_itself(setup: Setup) {
    let server = setup.server().await;
    let watcher = Watcher::new(&server);
    let mut person = Person::with_totp(&server, "edith").await;
    person.verify_by_totp(&server, "add_method").await;
    person.add_sms("+436601234567").await;
    let mails = person.codes_mailed().await;

    // A wrong password and an unknown address look the same.
    let anyone = server.client();
    let wrong = json!({"email": person.email, "password": "not-the-password-1"});
    let wrong = anyone.post("/v1/sign-in", wrong).await.refused(401, "wrong_credentials");
    let unknown = json!({"email": "nobody@example.com", "password": "not-the-password-1"});
    let unknown = anyone.post("/v1/sign-in", unknown).await.refused(401, "wrong_credentials");
    assert_eq!(wrong, unknown);

    let mark = watcher.mark(&person.account).await;
    let (verification, holder) = person.begin_sign_in(&server).await;
    let offered = verification["methods"].as_array().unwrap();
    let kinds: Vec<&str> = offered.iter().map(|method| method["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["totp", "sms", "email", "recovery_code"]);
    assert_eq!(offered.iter().filter(|method| method["default"] == true).count(), 1);
    assert_eq!(person.codes_mailed().await, mails);

    // The token drives this verification and nothing else.
    holder.get(&format!("/v1/verifications/{}", id(&verification))).await.expect(200);
    holder.get("/v1/accounts/me/methods").await.refused(403, "forbidden");

    let attempts = format!("/v1/verifications/{}/attempts", id(&verification));
    let code = server.fresh_totp(person.totp.as_deref().unwrap());
    let refused = holder.post(&attempts, json!({"method": "totp", "code": another(&code)})).await;
    assert_eq!(refused.refused(422, "wrong_code")["fail_count"], 1);
    let answer = holder.post(&attempts, json!({"method": "totp", "code": code})).await.expect(200);
    assert_eq!((answer["status"].as_str(), answer["aal"].as_str()), (Some("verified"), Some("aal2")));
    assert_eq!(
        watcher.since(&person.account, mark).await,
        ["VerificationStarted", "CodeRejected", "VerificationSucceeded", "SignedIn", "DeviceRemembered"]
    );
    let session = server.client().with(answer["session_token"].as_str().unwrap());
    assert_eq!(session.get("/v1/accounts/me/methods").await.expect(200)["methods"].as_array().unwrap().len(), 2);
    let sessions = session.get("/v1/accounts/me/sessions").await.expect(200);
    assert!(sessions["items"].as_array().unwrap().len() >= 2, "{sessions}");

    // The same code again is a replay, answered as any wrong code.
    let (verification, holder) = person.begin_sign_in(&server).await;
    let attempts = format!("/v1/verifications/{}/attempts", id(&verification));
    holder.post(&attempts, json!({"method": "totp", "code": code})).await.refused(422, "wrong_code");

    // Email is an explicit choice, and gives less assurance.
    let codes = format!("/v1/verifications/{}/codes", id(&verification));
    let sent = holder.post(&codes, json!({"channel": "email"})).await.expect(202);
    assert!(!sent["sent_to"].as_str().unwrap().contains(&person.email));
    let code = holder.code(&person.email, mails + 1).await;
    let answer = holder.post(&attempts, json!({"method": "email", "code": code})).await.expect(200);
    assert_eq!(answer["aal"], "aal1");

    // SMS: the code is sent when asked for.
    let (verification, holder) = person.begin_sign_in(&server).await;
    let codes = format!("/v1/verifications/{}/codes", id(&verification));
    holder.post(&codes, json!({"channel": "sms"})).await.expect(202);
    let code = holder.code("+436601234567", 2).await;
    let attempts = format!("/v1/verifications/{}/attempts", id(&verification));
    let answer = holder.post(&attempts, json!({"method": "sms", "code": code})).await.expect(200);
    assert_eq!(answer["aal"], "aal2");

    // Signing out ends the session.
    let session = server.client().with(answer["session_token"].as_str().unwrap());
    let out = session.post("/v1/sign-out", json!({})).await;
    assert!(out.status.is_success(), "{}", out.body);
    session.get("/v1/accounts/me/methods").await.refused(401, "unauthenticated");
    server.leaves_nothing_behind().await;
}

async fn an_unconfirmed_account_cannot_sign_in(setup: Setup) {
    let server = setup.server().await;
    let client = server.client();
    let body = json!({"email": "eve@example.com", "password": PASSWORD});
    client.post("/v1/accounts", body.clone()).await.expect(201);
    let answer = client.post("/v1/sign-in", body).await;
    assert!(matches!(answer.status.as_u16(), 401 | 403), "{}", answer.body);
    server.leaves_nothing_behind().await;
}
