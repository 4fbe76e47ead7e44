//! Journey 5: lost phone.

use serde_json::json;

use crate::support::{Person, Setup, Watcher, id, over_every_setup};

over_every_setup![a_recovery_code_signs_in_once_and_a_fresh_set_kills_the_rest,];

async fn a_recovery_code_signs_in_once_and_a_fresh_set_kills_the_rest(setup: Setup) {
    let server = setup.server().await;
    let watcher = Watcher::new(&server);
    let mut person = Person::with_totp(&server, "hedy").await;
    let mark = watcher.mark(&person.account).await;
    let messages = person.client.inbox(&person.email).await.len();

    let (verification, holder) = person.begin_sign_in(&server).await;
    let attempts = format!("/v1/verifications/{}/attempts", id(&verification));
    // `method` may be left out: what is shaped like a recovery code is judged as one.
    let answer = holder.post(&attempts, json!({"code": person.recovery_codes[3]})).await.expect(200);
    assert_eq!(answer["aal"], "aal2");
    assert_eq!(answer["recovery_codes_remaining"], 9);
    person.client = holder.with(answer["session_token"].as_str().unwrap());
    assert_eq!(
        watcher.since(&person.account, mark).await,
        ["VerificationStarted", "RecoveryCodeUsed", "VerificationSucceeded", "SignedIn", "DeviceRemembered"]
    );
    assert_eq!(person.client.get("/v1/accounts/me/recovery-codes").await.expect(200)["remaining"], 9);

    // The notice arrives.
    let mails = person.client.messages(&person.email, messages + 1).await;
    assert!(mails[0]["code"].is_null() && !mails[0]["body"].as_str().unwrap().contains(&person.recovery_codes[3]));

    // Once only.
    let (verification, holder) = person.begin_sign_in(&server).await;
    let attempts = format!("/v1/verifications/{}/attempts", id(&verification));
    let again = json!({"method": "recovery_code", "code": person.recovery_codes[3]});
    holder.post(&attempts, again).await.refused(422, "wrong_code");

    // A fresh set needs a fresh verification, and kills the rest.
    let refused = person.client.post("/v1/accounts/me/recovery-codes", json!({})).await;
    refused.refused(403, "verification_required");
    let started = person.start("regenerate_recovery_codes").await;
    person.attempt(id(&started), "recovery_code", &person.recovery_codes[4]).await.expect(200);
    let fresh = person
        .client
        .header("Countersign-Verification", id(&started))
        .post("/v1/accounts/me/recovery-codes", json!({}))
        .await
        .expect(201);
    let fresh: Vec<String> =
        fresh["recovery_codes"].as_array().unwrap().iter().map(|code| code.as_str().unwrap().to_owned()).collect();
    assert_eq!(fresh.len(), 10);
    assert_eq!(person.client.get("/v1/accounts/me/recovery-codes").await.expect(200)["remaining"], 10);
    let old = json!({"method": "recovery_code", "code": person.recovery_codes[5]});
    holder.post(&attempts, old).await.refused(422, "wrong_code");
    let answer = holder.post(&attempts, json!({"method": "recovery_code", "code": fresh[0]})).await.expect(200);
    assert_eq!(answer["aal"], "aal2");

    // The verification is used up.
    let client = person.client.header("Countersign-Verification", id(&started));
    client.post("/v1/accounts/me/recovery-codes", json!({})).await.refused(403, "verification_required");
    server.leaves_nothing_behind().await;
}
