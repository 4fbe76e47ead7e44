//! Journey 9: support reset.

use serde_json::json;

use crate::support::{PASSWORD, Person, Setup, Watcher, id, over_every_setup};

over_every_setup![support_resets_an_account_with_a_reason_that_the_auditor_sees,];

const REASON: &str = "lost phone and codes, identity shown in the shop";

async fn support_resets_an_account_with_a_reason_that_the_auditor_sees(setup: Setup) {
    let server = setup.server().await;
    let watcher = Watcher::new(&server);
    let person = Person::with_totp(&server, "chien").await;
    let messages = person.client.inbox(&person.email).await.len();
    let mark = watcher.mark(&person.account).await;
    let path = format!("/v1/security/accounts/{}/reset", person.account);

    watcher.client.post(&path, json!({"reason": REASON})).await.refused(403, "forbidden");
    let support = server.client_with("support:write");
    let answer = support.post(&path, json!({"reason": REASON})).await;
    let reset = answer.expect(200);
    let recovery_code = reset["recovery_code"].as_str().unwrap().to_owned();
    server.remember(&recovery_code);

    let history = watcher.history(&person.account).await;
    let events = watcher.since(&person.account, mark).await;
    assert!(events.contains(&"TwoFactorReset".to_owned()), "{events:?}");
    assert!(events.contains(&"SessionRevoked".to_owned()), "{events:?}");
    let reset = history.iter().find(|event| event["type"] == "TwoFactorReset").unwrap();
    assert!(reset.to_string().contains("api_client"), "the history names who did it: {reset}");
    assert!(reset["data"].to_string().contains(REASON), "the auditor reads why: {reset}");

    // The account is told, and every session has ended.
    let mails = server.client().messages(&person.email, messages + 1).await;
    assert!(mails[0]["code"].is_null());
    person.client.get("/v1/accounts/me/methods").await.refused(401, "unauthenticated");
    assert_eq!(watcher.account(&person.account).await["two_factor_enabled"], false);

    // Until a method is enabled again: the password and the code that support handed over. The mailbox is no help.
    let client = server.client();
    let body = json!({"email": person.email, "password": PASSWORD});
    let answer = client.post("/v1/sign-in", body).await.expect(202);
    let verification = &answer["verification"];
    let kinds: Vec<&str> =
        verification["methods"].as_array().unwrap().iter().map(|method| method["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["recovery_code"]);
    let holder = client.with(verification["token"].as_str().unwrap());
    let path = format!("/v1/verifications/{}/codes", id(verification));
    holder.post(&path, json!({"channel": "email"})).await.refused(422, "invalid_request");
    let path = format!("/v1/verifications/{}/attempts", id(verification));
    let answer = holder.post(&path, json!({"method": "recovery_code", "code": recovery_code})).await.expect(200);
    assert_eq!(answer["aal"], "aal1");

    // And 2FA can be turned on again, without a mail.
    let mut person = Person { client: client.with(answer["session_token"].as_str().unwrap()), ..person };
    let enabled = person.add_totp(&server).await;
    assert_eq!(enabled["recovery_codes"].as_array().unwrap().len(), 10);
    person.sign_in_by_totp(&server).await;
    server.leaves_nothing_behind().await;
}
