//! What security teams ask, and what support may do.

use domain::{time::Seconds, values::Scope};
use serde_json::json;

use crate::server::{PASSWORD, Server};

#[tokio::test]
async fn a_security_team_finds_accounts_and_locks() {
    let server = Server::start().await;
    let anna = server.person_with_totp("anna@example.com").await;
    let berta = server.person("berta@example.com").await;
    let id = anna.verification("disable_method").await;
    let path = format!("/v1/verifications/{id}/attempts");
    let mut last = None;
    for _ in 0..5 {
        last = Some(anna.post(&path).json(&json!({"method": "totp", "code": "000000"})).send().await);
    }
    let last = last.unwrap().refuses(422, "wrong_code");
    assert_eq!(last.json["fail_count"], 5);
    assert!(last.json["locked_until"].is_string());
    let position = last.header("countersign-position").to_owned();
    let locked = anna.post(&path).json(&json!({"method": "totp", "code": "000000"})).send().await;
    assert!(locked.refuses(429, "method_locked").json["locked_until"].is_string());

    let key = server.api_key(&[Scope::SecurityRead]).await;
    let ask = |path: String| {
        let (server, key, position) = (&server, &key, &position);
        async move {
            let call = server.get(&path).bearer(key).header("countersign-min-position", position);
            call.send().await.is(200).json
        }
    };
    let all = ask("/v1/security/accounts".to_owned()).await;
    assert_eq!(all["items"].as_array().unwrap().len(), 2);
    let first = ask("/v1/security/accounts?limit=1".to_owned()).await;
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = ask(format!("/v1/security/accounts?limit=1&cursor={cursor}")).await;
    assert_ne!(first["items"][0]["account_id"], second["items"][0]["account_id"]);
    assert!(second["next_cursor"].is_null());
    let with = ask("/v1/security/accounts?two_factor_enabled=true&method=totp".to_owned()).await;
    assert_eq!(with["items"].as_array().unwrap().len(), 1);
    assert_eq!(with["items"][0]["email"], "a•••@example.com");
    let by_address = ask("/v1/security/accounts?email=berta@example.com".to_owned()).await;
    assert_eq!(by_address["items"][0]["account_id"], berta.account.as_str());
    let lockouts = ask("/v1/security/lockouts".to_owned()).await;
    assert_eq!(lockouts["items"][0]["account_id"], anna.account.as_str());
    assert_eq!(lockouts["items"][0]["alerts"][0]["alert"], "kind_locked");
    let one = ask(format!("/v1/security/accounts/{}", anna.account)).await;
    assert_eq!(one["methods"][0]["kind"], "totp");
    let deliveries = ask("/v1/security/deliveries?channel=email".to_owned()).await;
    assert!(deliveries["items"].as_array().unwrap().len() >= 3);
    let adoption = ask("/v1/security/adoption".to_owned()).await;
    assert_eq!((&adoption["totals"]["accounts"], &adoption["totals"]["two_factor_enabled"]), (&json!(2), &json!(1)));
    let nobody = "/v1/security/accounts/0192d3a0-0000-7000-8000-000000000001";
    server.get(nobody).bearer(&key).send().await.refuses(404, "not_found");
}

#[tokio::test]
async fn support_unlocks_and_resets_with_a_reason() {
    let server = Server::start().await;
    let anna = server.person_with_totp("anna@example.com").await;
    let id = anna.verification("disable_method").await;
    let path = format!("/v1/verifications/{id}/attempts");
    for _ in 0..5 {
        anna.post(&path).json(&json!({"method": "totp", "code": "000000"})).send().await.is(422);
    }
    let support = server.api_key(&[Scope::SupportWrite]).await;
    let unlock = format!("/v1/security/accounts/{}/unlock", anna.account);
    server.post(&unlock).bearer(&support).json(&json!({})).send().await.refuses(422, "invalid_request");
    let reason = json!({"reason": "called in, known by voice"});
    server.post(&unlock).bearer(&support).json(&reason).send().await.is(204);
    server.fixture.clock.advance(Seconds(60));
    let body = json!({"method": "totp", "code": server.totp(&anna.totp)});
    anna.post(&path).json(&body).send().await.is(200);

    let reset = format!("/v1/security/accounts/{}/reset", anna.account);
    anna.post(&reset).json(&reason).send().await.refuses(403, "forbidden");
    let done = server.post(&reset).bearer(&support).json(&reason).send().await.is(200);
    assert_eq!(done.json["needs_approval"], false);
    anna.get("/v1/accounts/me").send().await.refuses(401, "unauthenticated");
    let body = json!({"email": anna.email, "password": PASSWORD});
    let second = server.post("/v1/sign-in").json(&body).send().await.is(202);
    let methods = second.json["verification"]["methods"].as_array().unwrap();
    assert_eq!(methods.iter().map(|method| method["kind"].clone()).collect::<Vec<_>>(), ["recovery_code"]);
    let path = format!("/v1/verifications/{}/attempts", second.text_at("/verification/id"));
    let attempt = json!({"method": "recovery_code", "code": done.text_at("/recovery_code")});
    let token = second.text_at("/verification/token");
    let signed_in = server.post(&path).bearer(&token).json(&attempt).send().await.is(200);
    assert_eq!(signed_in.json["aal"], "aal1");
    // The session enrolls, and is nothing to anybody else.
    let session = signed_in.text_at("/session_token");
    server.post("/v1/accounts/me/methods/totp").bearer(&session).json(&json!({})).send().await.is(201);
    let check = json!({"purpose": "change_email"});
    server.post("/v1/verifications").bearer(&session).json(&check).send().await.refuses(403, "forbidden");
    let client = server.api_key(&[Scope::Introspect]).await;
    let asked = server.post("/v1/introspect").bearer(&client).json(&json!({"token": session})).send().await.is(200);
    assert_eq!(asked.json["active"], false);
    let nobody = "/v1/security/accounts/0192d3a0-0000-7000-8000-000000000001/reset";
    server.post(nobody).bearer(&support).json(&reason).send().await.refuses(404, "not_found");
}

#[tokio::test]
async fn an_account_is_erased_with_a_verification() {
    let server = Server::start().await;
    let anna = server.person_with_totp("anna@example.com").await;
    anna.call("DELETE", "/v1/accounts/me").send().await.refuses(403, "verification_required");
    let id = anna.verified("erase_account").await;
    anna.call("DELETE", "/v1/accounts/me").header("countersign-verification", &id).send().await.is(204);
    anna.get("/v1/accounts/me").send().await.refuses(401, "unauthenticated");
    let body = json!({"email": anna.email, "password": PASSWORD});
    server.post("/v1/sign-in").json(&body).send().await.refuses(401, "wrong_credentials");
    let key = server.api_key(&[Scope::AuditRead]).await;
    let history = format!("/v1/audit/accounts/{}/history?limit=500", anna.account);
    let history = server.get(&history).bearer(&key).send().await.is(200);
    assert!(!history.text.contains("anna") && !history.text.contains("a•••"), "{}", history.text);
}

#[tokio::test]
async fn the_first_page_of_deliveries_tells_how_texts_to_each_prefix_convert() {
    let server = Server::start().await;
    let key = server.api_key(&[Scope::SecurityRead]).await;
    for (number, is_confirmed) in [("+436601234567", true), ("+436601234568", false), ("+4915112345678", false)] {
        let person = server.person(&format!("{}@example.com", server.fixture.uuid())).await;
        let id = person.verification("add_method").await;
        let code = server.code(&person.account, domain::values::Channel::Email).await;
        let path = format!("/v1/verifications/{id}/attempts");
        person.post(&path).json(&json!({"method": "email", "code": code})).send().await.is(200);
        let body = json!({"phone_number": number});
        let started = person.post("/v1/accounts/me/methods/sms").json(&body).send().await.is(201);
        if is_confirmed {
            let code = server.code(&person.account, domain::values::Channel::Sms).await;
            let path = format!("/v1/accounts/me/methods/{}/enable", started.json["method_id"]);
            person.post(&path).json(&json!({"code": code})).send().await.is(200);
        }
    }
    let head = server.fixture.engine.log().last_position().await.unwrap().0.to_string();
    let ask = async |query: &str| {
        let path = format!("/v1/security/deliveries{query}");
        let call = server.get(&path).bearer(&key).header("countersign-min-position", &head);
        call.send().await.is(200).json
    };
    let first = ask("?channel=sms&limit=2").await;
    let prefix = |country: &str, prefix: &str, ordered: u32, verified: u32, rate: f64| {
        json!({"country": country, "prefix": prefix, "ordered": ordered, "delivered": 0, "given_up": 0,
               "verified": verified, "conversion_rate": rate})
    };
    let (german, austrian) = (prefix("DE", "+49151", 1, 0, 0.0), prefix("AT", "+43660", 2, 1, 0.5));
    assert_eq!(first["prefixes"], json!([austrian, german]));
    let next = ask(&format!("?channel=sms&limit=2&cursor={}", first["next_cursor"].as_str().unwrap())).await;
    assert!(next.get("prefixes").is_none() && next["items"].as_array().unwrap().len() == 1, "{next}");
    assert_eq!(ask("?country=DE").await["prefixes"], json!([german]));
    assert_eq!(ask("?prefix=%2B43660").await["prefixes"], json!([austrian]));
    assert_eq!(ask("?from=2020-01-01T00:00:00Z&before=2020-01-02T00:00:00Z").await["prefixes"], json!([]));
}
