//! What happens to an account beside its factors: passwords, addresses, tokens, erasure, and a product that uses
//! Countersign for the second factor alone.

use serde_json::json;

use crate::support::{PASSWORD, Person, Settings, Setup, Watcher, id, over_every_setup, totp_at};

over_every_setup![
    a_changed_password_ends_other_sessions_and_tokens,
    a_forgotten_password_needs_the_mail_and_the_second_factor,
    an_address_changes_when_its_code_is_confirmed,
    an_account_is_erased_with_a_verification_and_leaves_nothing_to_read,
    a_product_with_its_own_passwords_uses_the_second_factor_alone,
    source_addresses_and_user_agents_are_sealed_and_limits_count_the_forwarded_source,
];

const NEW_PASSWORD: &str = "ein-anderes-Pferd-23";

async fn a_changed_password_ends_other_sessions_and_tokens(setup: Setup) {
    let server = setup.server().await;
    let mut person = Person::with_totp(&server, "karen").await;
    let issued =
        person.client.post("/v1/accounts/me/access-tokens", json!({"name": "laptop script"})).await.expect(201);
    let token = server.client().with(issued["token"].as_str().unwrap());
    token.get("/v1/accounts/me/methods").await.expect(200);
    let other = person.client.clone();
    person.sign_in_by_totp(&server).await;

    let wrong = json!({"current_password": "not-it-at-all-1", "new_password": NEW_PASSWORD});
    person.client.put("/v1/accounts/me/password", wrong).await.refused(401, "wrong_credentials");
    let body = json!({"current_password": PASSWORD, "new_password": NEW_PASSWORD});
    let answer = person.client.put("/v1/accounts/me/password", body).await;
    assert!(answer.status.is_success(), "{}", answer.body);
    other.get("/v1/accounts/me/methods").await.refused(401, "unauthenticated");
    token.get("/v1/accounts/me/methods").await.refused(401, "unauthenticated");
    person.client.get("/v1/accounts/me/methods").await.expect(200);
    let old = json!({"email": person.email, "password": PASSWORD});
    server.client().post("/v1/sign-in", old).await.refused(401, "wrong_credentials");
    let new = json!({"email": person.email, "password": NEW_PASSWORD});
    server.client().post("/v1/sign-in", new).await.expect(202);
    server.leaves_nothing_behind().await;
}

async fn a_forgotten_password_needs_the_mail_and_the_second_factor(setup: Setup) {
    let server = setup.server().await;
    let person = Person::with_totp(&server, "shafi").await;
    let client = server.client();
    let mails = person.codes_mailed().await;
    let asked = client.post("/v1/password-resets", json!({"email": person.email})).await;
    let unknown = client.post("/v1/password-resets", json!({"email": "nobody@example.com"})).await;
    assert_eq!(asked.status, unknown.status);
    let fields = |answer: &crate::support::Answer| answer.body.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(fields(&asked), fields(&unknown));
    let path = format!("/v1/password-resets/{}", id(&asked.body));
    let holder = client.with(asked.body["token"].as_str().unwrap());
    let code = client.code(&person.email, mails + 1).await;
    let refused = holder.post(&path, json!({"code": code, "new_password": NEW_PASSWORD})).await;
    assert!(refused.status.is_client_error(), "{}", refused.body);
    let second = json!({"method": "totp", "code": server.fresh_totp(person.totp.as_deref().unwrap())});
    let answer = holder.post(&path, json!({"second_factor": second, "new_password": NEW_PASSWORD})).await;
    assert!(answer.status.is_success(), "{}", answer.body);
    person.client.get("/v1/accounts/me/methods").await.refused(401, "unauthenticated");
    client.post("/v1/sign-in", json!({"email": person.email, "password": NEW_PASSWORD})).await.expect(202);
    server.leaves_nothing_behind().await;
}

async fn an_address_changes_when_its_code_is_confirmed(setup: Setup) {
    let server = setup.server().await;
    let mut person = Person::with_totp(&server, "jean").await;
    person.sign_in_by_totp(&server).await;
    let held = Person::sign_up(&server, "holder").await;
    let body = json!({"email": "jean.b@example.org", "password": PASSWORD});
    person.client.put("/v1/accounts/me/email", body.clone()).await.refused(403, "verification_required");
    let verification = person.verify_by_totp(&server, "change_email").await;
    let answer =
        person.client.header("Countersign-Verification", &verification).put("/v1/accounts/me/email", body).await;
    let answer = answer.expect(202);
    assert!(!answer.to_string().contains("jean.b@"), "masked");
    let code = person.client.code("jean.b@example.org", 1).await;
    person.client.post("/v1/accounts/me/email/verify", json!({"code": code})).await.expect(200);
    let account = person.client.get("/v1/accounts/me").await.expect(200);
    assert_eq!(account["email"], "jean.b@example.org");
    let body = json!({"email": "jean.b@example.org", "password": PASSWORD});
    server.client().post("/v1/sign-in", body).await.expect(202);
    let body = json!({"email": person.email, "password": PASSWORD});
    server.client().post("/v1/sign-in", body).await.refused(401, "wrong_credentials");
    // An address that someone holds: the answer looks the same, and no code comes.
    let verification = person.verify_by_totp(&server, "change_email").await;
    let changing = person.client.header("Countersign-Verification", &verification);
    changing.put("/v1/accounts/me/email", json!({"email": held.email, "password": PASSWORD})).await.expect(202);
    let mails = held.client.messages(&held.email, 2).await;
    assert!(mails[0]["code"].is_null(), "its holder is told instead");
    server.leaves_nothing_behind().await;
}

async fn an_account_is_erased_with_a_verification_and_leaves_nothing_to_read(setup: Setup) {
    let server = setup.server().await;
    let watcher = Watcher::new(&server);
    let person = Person::with_totp(&server, "evelyn").await;
    person.client.delete("/v1/accounts/me").await.refused(403, "verification_required");
    let verification = person.verify_by_totp(&server, "erase_account").await;
    let erasing = person.client.header("Countersign-Verification", &verification);
    let answer = erasing.delete("/v1/accounts/me").await;
    assert!(answer.status.is_success(), "{}", answer.body);
    person.client.get("/v1/accounts/me").await.refused(401, "unauthenticated");
    let history = watcher.own_history(&person.account).await;
    assert_eq!(history.last().unwrap()["type"], "AccountErased");
    assert_eq!(history[0]["type"], "AccountRegistered");
    let body = json!({"email": person.email, "password": PASSWORD});
    server.client().post("/v1/sign-in", body).await.refused(401, "wrong_credentials");
    server.leaves_nothing_behind().await;
}

async fn a_product_with_its_own_passwords_uses_the_second_factor_alone(setup: Setup) {
    let server = setup.server().await;
    let product = server.client_with("accounts:write,sessions:issue,introspect");
    let body = json!({"email": "customer@example.com", "email_verified": true});
    let account = product.post("/v1/accounts", body).await.expect(201);
    assert_eq!(account["email_verified"], true);
    let account = account["account_id"].as_str().unwrap().to_owned();
    let path = |rest: &str| format!("/v1/accounts/{account}{rest}");

    // Every change needs the account's own code.
    let purpose = |purpose: &str| json!({"purpose": purpose, "account_id": account});
    let check = product.post("/v1/verifications", purpose("add_method")).await.expect(201);
    let code = product.code("customer@example.com", 1).await;
    let attempts = format!("/v1/verifications/{}/attempts", id(&check));
    product.post(&attempts, json!({"method": "email", "code": code})).await.expect(200);
    let app = product.post(&path("/methods/totp"), json!({})).await.expect(201);
    let secret = app["secret"].as_str().unwrap().to_owned();
    let code = totp_at(&secret, server.now());
    let enable = path(&format!("/methods/{}/enable", app["method_id"]));
    product.post(&enable, json!({"code": code})).await.expect(200);

    // A named action, confirmed by the app.
    let mut body = purpose("step_up");
    body["action"] = json!("transfer 500 EUR to AT61 1904");
    let check = product.post("/v1/verifications", body).await.expect(201);
    let attempts = format!("/v1/verifications/{}/attempts", id(&check));
    let answer =
        product.post(&attempts, json!({"method": "totp", "code": server.fresh_totp(&secret)})).await.expect(200);
    assert_eq!(answer["status"], "verified");

    // The first factor vouched for, a session for the second.
    let check = product.post("/v1/verifications", purpose("sign_in")).await.expect(201);
    let attempts = format!("/v1/verifications/{}/attempts", id(&check));
    let answer =
        product.post(&attempts, json!({"method": "totp", "code": server.fresh_totp(&secret)})).await.expect(200);
    let token = answer["session_token"].as_str().expect("a session");
    let told = product.post("/v1/introspect", json!({"token": token})).await.expect(200);
    assert_eq!((told["active"].as_bool(), told["account_id"].as_str()), (Some(true), Some(account.as_str())));

    // What it cannot do: set passwords, see another client's verification, act without a scope.
    let answer = product.put(&path("/password"), json!({"new_password": NEW_PASSWORD})).await;
    answer.refused(403, "forbidden");
    let other = server.client_with("accounts:write");
    let answer = other.get(&format!("/v1/verifications/{}", id(&check))).await;
    assert!([403, 404].contains(&answer.status.as_u16()), "{}", answer.body);
    let poor = server.client_with("security:read");
    poor.post("/v1/accounts", json!({"email": "x@example.com", "email_verified": true}))
        .await
        .refused(403, "forbidden");
    poor.post("/v1/introspect", json!({"token": token})).await.refused(403, "forbidden");
    server.leaves_nothing_behind().await;
}

async fn source_addresses_and_user_agents_are_sealed_and_limits_count_the_forwarded_source(setup: Setup) {
    let limits = "{ count = 3, window = 3600 }";
    let settings = Settings::default()
        .with("trusted_proxies", "127.0.0.1/32")
        .with("policy.limits.registrations_per_source", limits);
    let server = setup.server_with(settings).await;
    let from = |address: &str| server.client().header("X-Forwarded-For", address);
    server.remember("203.0.113.77");
    let register = async |address: &str, name: &str| {
        let body = json!({"email": format!("{name}@example.com"), "password": PASSWORD});
        from(address).post("/v1/accounts", body).await
    };
    for name in ["one", "two", "three"] {
        register("203.0.113.77", name).await.expect(201);
    }
    let refused = register("203.0.113.77", "four").await;
    assert!(refused.header("retry-after").is_some());
    refused.refused(429, "rate_limited");
    register("203.0.113.78", "five").await.expect(201);
    server.leaves_nothing_behind().await;
}
