//! What outlives the credential that began it, and what a code opens that was meant for something else.

use serde_json::{Value, json};

use crate::support::{Client, PASSWORD, Person, Setup, eventually, id, over_both_logs};

over_both_logs![
    a_mailed_secret_of_a_session_makes_no_other_session,
    a_check_begun_with_a_copied_token_ends_with_it,
    a_session_by_supports_code_enrolls_once,
    supports_code_opens_the_way_back_and_nothing_else,
    a_credential_alone_becomes_no_password,
    what_a_revoked_key_began_has_ended,
    an_owner_with_a_number_alone_resets_the_password,
    a_token_that_asks_for_all_there_is_keeps_its_owner_from_nothing,
    who_takes_the_account_by_its_session_loses_it_to_the_old_mailbox,
];

fn attempts(verification: &Value) -> String {
    format!("/v1/verifications/{}/attempts", id(verification))
}

async fn a_mailed_secret_of_a_session_makes_no_other_session(setup: Setup) {
    let server = setup.server().await;
    let owner = Person::with_totp(&server, "ada").await;
    let mails = owner.codes_mailed().await;
    let sent = owner.client.post("/api/v0/tfa/email/", json!({})).await.expect(200);
    let code = owner.client.code(&owner.email, mails + 1).await;
    let secret = sent["secret"].as_str().unwrap();
    let login = json!({"tfa_method": "email", "code": code, "secret": secret});
    let answer = server.client().post("/api/v0/tfa/", login.clone()).await;
    assert!(answer.header("set-cookie").is_none(), "no session: {}", answer.body);
    assert!(answer.body["session_key"].is_null(), "{}", answer.body);
    let sessions = owner.client.get("/v1/accounts/me/sessions").await.expect(200);
    assert_eq!(sessions["items"].as_array().unwrap().len(), 1, "{sessions}");
    // The owner's access token signs in that way.
    let verification = owner.verify_by_totp(&server, "issue_access_token").await;
    let key = server.client().with(owner.access_token("cli", &verification).await["token"].as_str().unwrap());
    let mails = owner.codes_mailed().await;
    server.advance(31);
    let sent = key.post("/api/v0/tfa/email/", json!({})).await.expect(200);
    let code = owner.client.code(&owner.email, mails + 1).await;
    let login = json!({"tfa_method": "email", "code": code, "secret": sent["secret"]});
    assert!(key.post("/api/v0/tfa/", login).await.expect(200)["session_key"].is_string());
}

async fn a_check_begun_with_a_copied_token_ends_with_it(setup: Setup) {
    let server = setup.server().await;
    let owner = Person::with_totp(&server, "bert").await;
    let (verification, holder) = owner.begin_sign_in(&server).await;
    let mails = owner.codes_mailed_to(&holder).await;
    holder
        .post(&format!("/v1/verifications/{}/codes", id(&verification)), json!({"channel": "email"}))
        .await
        .expect(202);
    let code = holder.code(&owner.email, mails + 1).await;
    let weak = holder.post(&attempts(&verification), json!({"method": "email", "code": code})).await.expect(200);
    let mut own = Person { client: holder.with(weak["session_token"].as_str().unwrap()), ..owner.clone() };
    // A thief copies the token and begins a check; the owner raises the session.
    let begun =
        own.client.post("/v1/verifications", json!({"purpose": "sign_in"})).await.expect(201)["verification"].clone();
    let thief = server.client().with(begun["token"].as_str().unwrap());
    let check = own.start("sign_in").await;
    let code = server.fresh_totp(owner.totp.as_deref().unwrap());
    let risen = own.attempt(id(&check), "totp", &code).await.expect(200);
    own.go_on_with(&risen);
    let recovery = json!({"method": "recovery_code", "code": owner.recovery_codes[0]});
    thief.post(&attempts(&begun), recovery).await.refused(410, "verification_expired");
    own.client.get("/v1/accounts/me").await.expect(200);
}

/// Support resets the account; the code.
async fn reset(server: &crate::support::Server, person: &Person) -> String {
    let path = format!("/v1/security/accounts/{}/reset", person.account);
    let answer = server.client_with("support:write").post(&path, json!({"reason": "lost phone"})).await.expect(200);
    let code = answer["recovery_code"].as_str().unwrap().to_owned();
    server.remember(&code);
    code
}

/// Signs in with the password and support's code.
async fn comes_back(server: &crate::support::Server, person: &Person, code: &str) -> Client {
    let (verification, holder) = person.begin_sign_in(server).await;
    let body = json!({"method": "recovery_code", "code": code});
    let signed_in = holder.post(&attempts(&verification), body).await.expect(200);
    server.client().with(signed_in["session_token"].as_str().unwrap())
}

async fn a_session_by_supports_code_enrolls_once(setup: Setup) {
    let server = setup.server().await;
    let owner = Person::with_totp(&server, "cleo").await;
    let code = reset(&server, &owner).await;
    let limited = comes_back(&server, &owner, &code).await;
    let key = async || limited.post("/api/v0/tfa/totp-setup/", json!({})).await;
    let offered = key().await.expect(200)["secret"].as_str().unwrap().to_owned();
    let confirm =
        |key: &str| json!({"tfa_method": "totp", "code": crate::support::totp_at(key, server.now()), "secret": key});
    limited.post("/api/v0/tfa/confirm-new/", confirm(&offered)).await.expect(200);
    // The same token, in a thief's hands, adds no second app.
    let again = key().await;
    if again.status.as_u16() == 200 {
        let second = again.body["secret"].as_str().unwrap().to_owned();
        let refused = limited.post("/api/v0/tfa/confirm-new/", confirm(&second)).await;
        assert_eq!(refused.status.as_u16(), 403, "{}", refused.body);
    }
    limited
        .post("/v1/accounts/me/methods/sms", json!({"phone_number": "+436601234567"}))
        .await
        .refused(403, "verification_required");
}

async fn supports_code_opens_the_way_back_and_nothing_else(setup: Setup) {
    let server = setup.server().await;
    let owner = Person::with_totp(&server, "dora").await;
    let code = reset(&server, &owner).await;
    let product = server.client_with("accounts:write");
    let support_code = json!({"method": "recovery_code", "code": code});
    for body in [
        json!({"purpose": "step_up", "action": "pay", "account_id": owner.account}),
        json!({"purpose": "erase_account", "password": PASSWORD, "account_id": owner.account}),
    ] {
        let begun = product.post("/v1/verifications", body).await.expect(201)["verification"].clone();
        product.post(&attempts(&begun), support_code.clone()).await.refused(422, "invalid_request");
    }
    // A product with its own passwords brings its user back by it.
    let body = json!({"purpose": "add_method", "account_id": owner.account});
    let begun = product.post("/v1/verifications", body).await.expect(201)["verification"].clone();
    product.post(&attempts(&begun), support_code).await.expect(200);
    let path = format!("/v1/accounts/{}/methods/totp", owner.account);
    let started = product.post(&path, json!({})).await.expect(201);
    let now = crate::support::totp_at(started["secret"].as_str().unwrap(), server.now());
    let path = format!("/v1/accounts/{}/methods/{}/enable", owner.account, started["method_id"]);
    product.post(&path, json!({"code": now, "label": "New phone"})).await.expect(200);
}

async fn a_credential_alone_becomes_no_password(setup: Setup) {
    let server = setup.server().await;
    let product = server.client_with("accounts:write,sessions:issue");
    let email = "emil@example.com";
    let made = product.post("/v1/accounts", json!({"email": email})).await.expect(201);
    let account = made["account_id"].as_str().unwrap().to_owned();
    let code = product.code(email, 1).await;
    product.post(&format!("/v1/accounts/{account}/email/verify"), json!({"code": code})).await.expect(200);
    let signed_in = product.post("/v1/sign-in", json!({"email": email})).await;
    if signed_in.status.as_u16() == 200 {
        let session = server.client().with(signed_in.body["session_token"].as_str().unwrap());
        let first = json!({"new_password": "ein-ganz-neues-Pferd-23"});
        session.put("/v1/accounts/me/password", first).await.refused(403, "verification_required");
    }
    // The mailbox sets it.
    let client = server.client();
    let asked = client.post("/v1/password-resets", json!({"email": email})).await.expect(202);
    let holder = client.with(asked["token"].as_str().unwrap());
    let body = json!({"code": client.code(email, 2).await, "new_password": "ein-ganz-neues-Pferd-23"});
    holder.post(&format!("/v1/password-resets/{}", id(&asked)), body).await.expect(204);
}

async fn what_a_revoked_key_began_has_ended(setup: Setup) {
    let server = setup.server().await;
    let owner = Person::with_totp(&server, "finn").await;
    let key = server.api_key("accounts:write,sessions:issue");
    let product = server.client().with(&key);
    let body = json!({"purpose": "sign_in", "account_id": owner.account});
    let begun = product.post("/v1/verifications", body).await.expect(201)["verification"].clone();
    let holder = server.client().with(begun["token"].as_str().unwrap());
    holder.get(&format!("/v1/verifications/{}", id(&begun))).await.expect(200);
    let admin = server.client_with("admin");
    let keys = admin.get("/v1/api-keys").await.expect(200);
    for known in keys["items"].as_array().unwrap() {
        if known["scopes"].as_array().unwrap().contains(&json!("sessions:issue")) {
            admin.delete(&format!("/v1/api-keys/{}", id(known))).await.expect(204);
        }
    }
    eventually("the key to be gone", || async {
        (product.get("/v1/accounts/me").await.status.as_u16() == 401).then_some(())
    })
    .await;
    let recovery = json!({"method": "recovery_code", "code": owner.recovery_codes[0]});
    holder.post(&attempts(&begun), recovery).await.refused(401, "unauthenticated");
}

async fn an_owner_with_a_number_alone_resets_the_password(setup: Setup) {
    let server = setup.server().await;
    let number = "+436601234567";
    let owner = Person::with_sms(&server, "gwen", number).await;
    let client = server.client();
    server.advance(31);
    let mails = owner.codes_mailed_to(&client).await;
    let asked = client.post("/v1/password-resets", json!({"email": owner.email})).await.expect(202);
    let holder = client.with(asked["token"].as_str().unwrap());
    let path = format!("/v1/password-resets/{}", id(&asked));
    // Before the mailbox is proved the ticket says nothing, of this address or of any.
    let codes = format!("{path}/codes");
    holder.post(&codes, json!({})).await.refused(403, "verification_required");
    let nobody = client.post("/v1/password-resets", json!({"email": "nobody@example.com"})).await.expect(202);
    let of_nobody = client.with(nobody["token"].as_str().unwrap());
    let path_of_nobody = format!("/v1/password-resets/{}/codes", id(&nobody));
    of_nobody.post(&path_of_nobody, json!({})).await.refused(403, "verification_required");

    let new = "ein-ganz-neues-Pferd-23";
    let code = client.code(&owner.email, mails + 1).await;
    holder.post(&path, json!({"code": code, "new_password": new})).await.refused(403, "verification_required");
    let texts = client.inbox(number).await.len();
    holder.post(&codes, json!({})).await.expect(202);
    let text = client.messages(number, texts + 1).await[0]["code"].as_str().unwrap().to_owned();
    let second = json!({"method": "sms", "code": text});
    holder.post(&path, json!({"second_factor": second, "new_password": new})).await.expect(204);
    client.post("/v1/sign-in", json!({"email": owner.email, "password": new})).await.expect(202);
}

async fn a_token_that_asks_for_all_there_is_keeps_its_owner_from_nothing(setup: Setup) {
    let server = setup.server().await;
    let mut owner = Person::with_totp(&server, "hugo").await;
    let verification = owner.verify_by_totp(&server, "issue_access_token").await;
    let thief = server.client().with(owner.access_token("cli", &verification).await["token"].as_str().unwrap());
    for _ in 0..60 {
        thief.post("/v1/verifications", json!({"purpose": "disable_method"})).await.expect(201);
    }
    assert_eq!(owner.sign_in_by_totp(&server).await["aal"], "aal2");
}

async fn who_takes_the_account_by_its_session_loses_it_to_the_old_mailbox(setup: Setup) {
    let server = setup.server().await;
    let owner = Person::with_totp(&server, "ines").await;
    let recovery = owner.recovery_codes[0].clone();
    // A thief has the session and one of the factors, and takes everything.
    let thief = owner.clone();
    let verification = thief.verify_by_totp(&server, "change_email").await;
    let acting = thief.client.header("Countersign-Verification", &verification);
    acting.put("/v1/accounts/me/email", json!({"email": "thief@example.com", "password": PASSWORD})).await.expect(202);
    let code = thief.client.code("thief@example.com", 1).await;
    thief.client.post("/v1/accounts/me/email/verify", json!({"code": code})).await.expect(200);
    let body = json!({"current_password": PASSWORD, "new_password": "ein-ganz-neues-Pferd-23"});
    let changed = thief.client.put("/v1/accounts/me/password", body).await.expect(200);
    let thief = server.client().with(changed["session_token"].as_str().unwrap());

    // The new mailbox proves a sign-in and nothing else.
    let asked = server.client().post("/v1/password-resets", json!({"email": "thief@example.com"})).await.expect(202);
    assert!(asked["token"].is_string(), "answered like any address");
    // The mail to the old address takes it all back, with the password and a factor of then.
    let link = eventually("the mail to the old address", || async {
        let mails = server.client().inbox(&owner.email).await;
        let words: Vec<String> = mails
            .iter()
            .flat_map(|mail| mail["body"].as_str().unwrap().split_whitespace().map(str::to_owned))
            .collect();
        words.into_iter().find(|word| word.starts_with("cs_undo_"))
    })
    .await;
    let undo = |password: &str, code: &str| json!({"token": link, "confirmation": owner.email, "password": password, "method": "recovery_code", "code": code});
    let client = server.client();
    let wrong_factor = undo(PASSWORD, "AAAA-AAAA-AAAA-AAAA");
    client.post("/v1/email-undos", wrong_factor).await.refused(422, "wrong_code");
    client.post("/v1/email-undos", undo("not the password", &recovery)).await.refused(401, "wrong_credentials");
    client.post("/v1/email-undos", undo(PASSWORD, &recovery)).await.expect(204);
    thief.get("/v1/accounts/me").await.refused(401, "unauthenticated");
    client
        .post("/v1/sign-in", json!({"email": "thief@example.com", "password": PASSWORD}))
        .await
        .refused(401, "wrong_credentials");
    let mut owner = owner;
    assert_eq!(owner.sign_in_by_totp(&server).await["aal"], "aal2");
}
