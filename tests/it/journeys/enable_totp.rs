//! Journey 1: turn 2FA on with an authenticator app.

use serde_json::json;

use crate::support::{Person, Setup, Watcher, another, id, over_every_setup, totp_at};

over_every_setup![two_factor_is_turned_on_with_an_authenticator_app,];

async fn two_factor_is_turned_on_with_an_authenticator_app(setup: Setup) {
    let server = setup.server().await;
    let watcher = Watcher::new(&server);
    let mut person = Person::sign_up(&server, "ada").await;
    assert_eq!(
        watcher.since(&person.account, 0).await,
        ["AccountRegistered", "VerificationStarted", "CodeIssued", "EmailVerified", "SignedIn"]
    );

    // The identity check: its code comes by email by itself, and nothing else does.
    let mark = watcher.mark(&person.account).await;
    let mails = person.codes_mailed().await;
    let started = person.start("add_method").await;
    let code = person.client.code(&person.email, mails + 1).await;
    person.attempt(id(&started), "email", &another(&code)).await.refused(422, "wrong_code");
    let verified = person.attempt(id(&started), "email", &code).await.expect(200);
    assert_eq!(verified["status"], "verified");
    assert_eq!(
        watcher.since(&person.account, mark).await,
        ["VerificationStarted", "CodeIssued", "CodeRejected", "VerificationSucceeded"]
    );

    // The app can be set up by picture or by typing.
    let mark = watcher.mark(&person.account).await;
    let app = person.client.post("/v1/accounts/me/methods/totp", json!({})).await.expect(201);
    let secret = app["secret"].as_str().unwrap();
    assert_eq!(secret.len(), 32, "160 bits in base32");
    let uri = app["otpauth_uri"].as_str().unwrap();
    assert!(uri.starts_with("otpauth://totp/Countersign") && uri.contains(secret), "{uri}");
    assert!(app["qr_svg"].as_str().unwrap().contains("<svg"));

    // A wrong code does not count toward any lock; the right one turns 2FA on and shows ten recovery codes.
    let path = format!("/v1/accounts/me/methods/{}/enable", app["method_id"]);
    let code = totp_at(secret, server.now());
    person.client.post(&path, json!({"code": another(&code)})).await.refused(422, "wrong_code");
    let enabled = person.client.post(&path, json!({"code": code, "label": "my phone"})).await.expect(200);
    assert_eq!(enabled["method"]["kind"], "totp");
    assert_eq!(enabled["method"]["is_primary"], true);
    assert_eq!(enabled["method"]["label"], "my phone");
    let codes: Vec<&str> = enabled["recovery_codes"].as_array().unwrap().iter().map(|c| c.as_str().unwrap()).collect();
    assert_eq!(codes.len(), 10);
    for code in &codes {
        let groups: Vec<&str> = code.split('-').collect();
        assert!(groups.len() == 4 && groups.iter().all(|group| group.len() == 4), "{code}");
    }
    assert_eq!(
        watcher.since(&person.account, mark).await,
        [
            "TotpEnrollmentStarted",
            "CodeRejected",
            "MethodEnabled",
            "TwoFactorEnabled",
            "RecoveryCodesGenerated",
            "SessionRenewed"
        ]
    );
    // The session has risen, and has another token from then on.
    assert_eq!(enabled["aal"], "aal2");
    person.client.get("/v1/accounts/me/methods").await.refused(401, "unauthenticated");
    person.go_on_with(&enabled);

    // Read models: the owner's, and the security team's.
    let methods = person.client.get("/v1/accounts/me/methods").await.expect(200);
    assert_eq!(methods["methods"].as_array().unwrap().len(), 1);
    assert_eq!(methods["methods"][0]["fail_count"], 0);
    let codes = person.client.get("/v1/accounts/me/recovery-codes").await.expect(200);
    assert_eq!(codes["remaining"], 10);
    let seen = watcher.account(&person.account).await;
    assert_eq!(seen["two_factor_enabled"], true);
    assert!(!seen.to_string().contains(&person.email), "the security team sees addresses masked");

    // The owner is told.
    let mails = person.client.messages(&person.email, 3).await;
    assert!(mails[0]["code"].is_null(), "a notice, no code");

    // The enrollment is done: its code and the authorization are used up.
    person.client.post(&path, json!({"code": server.fresh_totp(secret)})).await.refused(409, "already_enabled");
    let second = person.client.post("/v1/accounts/me/methods/totp", json!({})).await.expect(201);
    let code = totp_at(second["secret"].as_str().unwrap(), server.now());
    let path = format!("/v1/accounts/me/methods/{}/enable", second["method_id"]);
    person.client.post(&path, json!({"code": code})).await.refused(403, "verification_required");
    server.leaves_nothing_behind().await;
}
