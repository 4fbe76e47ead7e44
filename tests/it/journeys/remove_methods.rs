//! Journey 6: remove a method; remove the last one.

use serde_json::json;

use crate::support::{PASSWORD, Person, Setup, Watcher, id, over_every_setup};

over_every_setup![removing_the_last_method_turns_two_factor_off,];

async fn removing_the_last_method_turns_two_factor_off(setup: Setup) {
    let server = setup.server().await;
    let watcher = Watcher::new(&server);
    let mut person = Person::with_totp(&server, "lise").await;
    person.verify_by_totp(&server, "add_method").await;
    person.add_sms("+447400123456").await;
    let methods = person.client.get("/v1/accounts/me/methods").await.expect(200);
    let (totp, sms) = (methods["methods"][0]["id"].clone(), methods["methods"][1]["id"].clone());

    // Another session, which a change of factors ends.
    let other = person.client.clone();
    person.sign_in_by_totp(&server).await;
    other.get("/v1/accounts/me/methods").await.expect(200);

    let path = format!("/v1/accounts/me/methods/{sms}");
    person.client.delete(&path).await.refused(403, "verification_required");
    let mark = watcher.mark(&person.account).await;
    let verification = person.verify_by_totp(&server, "disable_method").await;
    let acting = person.client.header("Countersign-Verification", &verification);
    let answer = acting.delete(&path).await.expect(200);
    assert_eq!((answer["two_factor_enabled"].as_bool(), answer["remaining_methods"].as_u64()), (Some(true), Some(1)));
    other.get("/v1/accounts/me/methods").await.refused(401, "unauthenticated");
    assert_eq!(
        watcher.since(&person.account, mark).await,
        ["VerificationStarted", "VerificationSucceeded", "MethodDisabled", "SessionRevoked"]
    );

    // One verification, one removal.
    let path = format!("/v1/accounts/me/methods/{totp}");
    acting.delete(&path).await.refused(403, "verification_required");

    // The last one: 2FA is off, the recovery codes are dead, other sessions have ended.
    let other = person.client.clone();
    person.sign_in_by_totp(&server).await;
    let mark = watcher.mark(&person.account).await;
    let verification = person.verify_by_totp(&server, "disable_method").await;
    let acting = person.client.header("Countersign-Verification", &verification);
    let answer = acting.delete(&path).await.expect(200);
    assert_eq!((answer["two_factor_enabled"].as_bool(), answer["remaining_methods"].as_u64()), (Some(false), Some(0)));
    assert_eq!(
        watcher.since(&person.account, mark).await,
        [
            "VerificationStarted",
            "VerificationSucceeded",
            "MethodDisabled",
            "TwoFactorDisabled",
            "RecoveryCodesRevoked",
            "SessionRevoked",
            "DeviceForgotten"
        ]
    );
    other.get("/v1/accounts/me/methods").await.refused(401, "unauthenticated");
    assert_eq!(person.client.get("/v1/accounts/me/methods").await.expect(200)["methods"], json!([]));
    assert_eq!(person.client.get("/v1/accounts/me/recovery-codes").await.expect(200)["remaining"], 0);
    assert_eq!(watcher.account(&person.account).await["two_factor_enabled"], false);

    let body = json!({"email": person.email, "password": PASSWORD});
    let answer = server.client().post("/v1/sign-in", body).await.expect(200);
    assert_eq!(answer["aal"], "aal1");

    // The recovery codes are dead: they complete nothing any more.
    let started = person.start("add_method").await;
    let dead = person.attempt(id(&started), "recovery_code", &person.recovery_codes[0]).await;
    assert!(dead.status.is_client_error(), "{}", dead.body);
    server.leaves_nothing_behind().await;
}
