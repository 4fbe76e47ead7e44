//! Who has the mailbox, an old session or an access token, and not what section 2a of the design asks for.

use serde_json::json;

use crate::support::{PASSWORD, Person, Setup, id, over_both_logs};

over_both_logs![
    a_mailbox_and_a_session_remove_no_factor_and_issue_no_token,
    a_mailbox_raises_no_session,
    a_session_alone_issues_no_access_token_and_changes_no_address,
    a_stolen_session_and_the_mailbox_do_nothing_to_an_account_without_methods,
    a_token_that_was_copied_before_the_rise_is_dead_after_it,
    a_session_does_not_outlive_the_access_token_that_began_it,
    a_throw_away_app_opens_no_more_numbers,
];

const CHANGES: [&str; 5] =
    ["disable_method", "regenerate_recovery_codes", "change_email", "issue_access_token", "erase_account"];

/// Signs in with the password and a code by email: all that who holds the mailbox and the password has.
async fn by_mail(server: &crate::support::Server, person: &Person) -> Person {
    let (verification, holder) = person.begin_sign_in(server).await;
    let mails = person.codes_mailed_to(&holder).await;
    let path = |rest: &str| format!("/v1/verifications/{}/{rest}", id(&verification));
    holder.post(&path("codes"), json!({"channel": "email"})).await.expect(202);
    let code = holder.code(&person.email, mails + 1).await;
    let answer = holder.post(&path("attempts"), json!({"method": "email", "code": code})).await.expect(200);
    assert_eq!(answer["aal"], "aal1");
    Person { client: holder.with(answer["session_token"].as_str().unwrap()), ..person.clone() }
}

async fn a_mailbox_and_a_session_remove_no_factor_and_issue_no_token(setup: Setup) {
    let server = setup.server().await;
    let mut owner = Person::with_totp(&server, "ada").await;
    let thief = by_mail(&server, &owner).await;
    for purpose in CHANGES.into_iter().chain(["add_method"]) {
        let started = thief.start(purpose).await;
        let codes = format!("/v1/verifications/{}/codes", id(&started));
        thief.client.post(&codes, json!({"channel": "email"})).await.refused(422, "invalid_request");
        thief.attempt(id(&started), "email", "123456").await.refused(422, "invalid_request");
    }
    owner.sign_in_by_totp(&server).await;
    for purpose in CHANGES {
        owner.verify_by_totp(&server, purpose).await;
    }
}

async fn a_mailbox_raises_no_session(setup: Setup) {
    let server = setup.server().await;
    let owner = Person::with_totp(&server, "bert").await;
    let thief = by_mail(&server, &owner).await;
    let started = thief.start("sign_in").await;
    let mails = thief.codes_mailed().await;
    let codes = format!("/v1/verifications/{}/codes", id(&started));
    thief.client.post(&codes, json!({"channel": "email"})).await.expect(202);
    let code = thief.client.code(&owner.email, mails + 1).await;
    let answer = thief.attempt(id(&started), "email", &code).await.expect(200);
    assert!(answer["session_token"].is_null() && answer["aal"].is_null(), "{answer}");
    let items = thief.client.get("/v1/accounts/me/sessions").await.expect(200)["items"].clone();
    let current = items.as_array().unwrap().iter().find(|session| session["is_current"] == true).unwrap().clone();
    assert_eq!(current["aal"], "aal1");
    // The owner's weak session rises by the owner's app.
    let weak = by_mail(&server, &owner).await;
    let started = weak.start("sign_in").await;
    let code = server.fresh_totp(owner.totp.as_deref().unwrap());
    let risen = weak.attempt(id(&started), "totp", &code).await.expect(200);
    assert_eq!(risen["aal"], "aal2");
}

async fn a_session_alone_issues_no_access_token_and_changes_no_address(setup: Setup) {
    let server = setup.server().await;
    let owner = Person::with_totp(&server, "cleo").await;
    let thief = &owner.client;
    thief.post("/v1/accounts/me/access-tokens", json!({"name": "x"})).await.refused(403, "verification_required");
    let body = json!({"email": "thief@example.com", "password": PASSWORD});
    thief.put("/v1/accounts/me/email", body).await.refused(403, "verification_required");
    let verification = owner.verify_by_totp(&server, "issue_access_token").await;
    owner.access_token("laptop", &verification).await;
    let acting = owner.client.header("Countersign-Verification", &verification);
    let again = acting.post("/v1/accounts/me/access-tokens", json!({"name": "again"})).await;
    again.refused(403, "verification_required");
}

async fn a_stolen_session_and_the_mailbox_do_nothing_to_an_account_without_methods(setup: Setup) {
    let server = setup.server().await;
    let owner = Person::sign_up(&server, "dora").await;
    server.advance(601);
    for purpose in ["add_method", "change_email", "issue_access_token", "erase_account"] {
        let refused = owner.client.post("/v1/verifications", json!({"purpose": purpose})).await;
        assert_eq!(refused.refused(422, "invalid_request")["field"], "password");
        let guess = json!({"purpose": purpose, "password": "not-the-password-1"});
        owner.client.post("/v1/verifications", guess).await.refused(401, "wrong_credentials");
    }
    let drop_in = owner.client.post("/api/v0/tfa/authorize-new-method/", json!({})).await;
    assert_eq!((drop_in.status.as_u16(), &drop_in.body["error"]), (403, &json!("authorization_required")));
    owner.verify_by_mail("erase_account").await;
}

async fn a_token_that_was_copied_before_the_rise_is_dead_after_it(setup: Setup) {
    let server = setup.server().await;
    let mut owner = Person::sign_up(&server, "emil").await;
    let copied = owner.client.clone();
    owner.authorize_first().await;
    owner.add_totp(&server).await;
    copied.get("/v1/accounts/me").await.refused(401, "unauthenticated");
    let copied = owner.client.clone();
    let body = json!({"current_password": PASSWORD, "new_password": "ein-anderes-Pferd-23"});
    let changed = owner.client.put("/v1/accounts/me/password", body).await.expect(200);
    copied.get("/v1/accounts/me").await.refused(401, "unauthenticated");
    owner.go_on_with(&changed);
    owner.client.get("/v1/accounts/me").await.expect(200);
}

async fn a_session_does_not_outlive_the_access_token_that_began_it(setup: Setup) {
    let server = setup.server().await;
    let owner = Person::with_totp(&server, "finn").await;
    let verification = owner.verify_by_totp(&server, "issue_access_token").await;
    let issued = owner.access_token("laptop", &verification).await;
    let thief = server.client().with(issued["token"].as_str().unwrap());
    let code = server.fresh_totp(owner.totp.as_deref().unwrap());
    let login = thief.post("/api/v0/tfa/", json!({"tfa_method": "totp", "code": code})).await.expect(200);
    let session = server.client().with(login["session_key"].as_str().unwrap());
    session.get("/v1/accounts/me").await.expect(200);
    let path = format!("/v1/accounts/me/access-tokens/{}", issued["access_token_id"].as_str().unwrap());
    owner.client.delete(&path).await.expect(204);
    session.get("/v1/accounts/me").await.refused(401, "unauthenticated");
    owner.client.get("/v1/accounts/me").await.expect(200);
}

async fn a_throw_away_app_opens_no_more_numbers(setup: Setup) {
    let server = setup.server().await;
    let mut person = Person::with_totp(&server, "gwen").await;
    let numbers = ["+436601234567", "+447400123456", "+4915112345678"];
    for (nth, number) in numbers.into_iter().enumerate() {
        person.verify_by_totp(&server, "add_method").await;
        if nth < 2 {
            person.add_sms(number).await;
        } else {
            let third = person.client.post("/v1/accounts/me/methods/sms", json!({"phone_number": number})).await;
            third.refused(429, "rate_limited");
        }
    }
}
