//! What is proved and what it is good for, as `/v1` answers it.

use domain::{time::Seconds, values::Channel};
use serde_json::json;

use crate::server::{PASSWORD, Server};

#[tokio::test]
async fn a_code_by_email_removes_nothing_and_issues_nothing_where_there_are_methods() {
    let server = Server::start().await;
    let anna = server.person_with_totp("anna@example.com").await;
    for purpose in
        ["disable_method", "regenerate_recovery_codes", "change_email", "issue_access_token", "erase_account"]
    {
        let body = json!({"purpose": purpose});
        let started = anna.post("/v1/verifications").json(&body).send().await.is(201);
        let kinds: Vec<&str> = started.json["verification"]["methods"]
            .as_array()
            .unwrap()
            .iter()
            .map(|method| method["kind"].as_str().unwrap())
            .collect();
        assert_eq!(kinds, ["totp", "recovery_code"], "{purpose}");
        let path = format!("/v1/verifications/{}/codes", started.text_at("/verification/id"));
        let refused = anna.post(&path).json(&json!({"channel": "email"})).send().await.refuses(422, "invalid_request");
        assert_eq!(refused.json["field"], "channel");
        // The owner's own way.
        anna.verified(purpose).await;
    }
}

#[tokio::test]
async fn without_methods_a_change_takes_the_password_again_after_ten_minutes() {
    let server = Server::start().await;
    let anna = server.person("anna@example.com").await;
    server.fixture.clock.advance(Seconds::minutes(10));
    let start = |body| anna.post("/v1/verifications").json(&body).send();
    let refused = start(json!({"purpose": "erase_account"})).await.refuses(422, "invalid_request");
    assert_eq!(refused.json["field"], "password");
    let wrong = json!({"purpose": "erase_account", "password": "not the password"});
    start(wrong).await.refuses(401, "wrong_credentials");
    let id = anna.mailed("erase_account").await;
    anna.call("DELETE", "/v1/accounts/me").header("countersign-verification", &id).send().await.is(204);
}

#[tokio::test]
async fn a_token_is_another_one_whenever_the_session_rises() {
    let server = Server::start().await;
    let mut anna = server.person("anna@example.com").await;
    let before = anna.session.clone();
    anna.add_totp().await;
    assert_ne!(anna.session, before);
    server.get("/v1/accounts/me").bearer(&before).send().await.refuses(401, "unauthenticated");
    anna.get("/v1/accounts/me").send().await.is(200);

    // Signed in by email a session is weak; by a factor of its own it rises.
    let body = json!({"email": anna.email, "password": PASSWORD});
    let second = server.post("/v1/sign-in").json(&body).send().await.is(202);
    let (id, token) = (second.text_at("/verification/id"), second.text_at("/verification/token"));
    let path = |rest: &str| format!("/v1/verifications/{id}/{rest}");
    server.post(&path("codes")).bearer(&token).json(&json!({"channel": "email"})).send().await.is(202);
    let code = server.code(&anna.account, Channel::Email).await;
    let body = json!({"method": "email", "code": code});
    let weak = server.post(&path("attempts")).bearer(&token).json(&body).send().await.is(200);
    assert_eq!(weak.json["aal"], "aal1");
    let weak = weak.text_at("/session_token");
    let started = server.post("/v1/verifications").bearer(&weak).json(&json!({"purpose": "sign_in"})).send().await;
    let path = format!("/v1/verifications/{}/attempts", started.is(201).text_at("/verification/id"));
    server.fixture.clock.advance(Seconds(60));
    let body = json!({"method": "totp", "code": server.totp(&anna.totp)});
    let risen = server.post(&path).bearer(&weak).json(&body).send().await.is(200);
    assert_eq!(risen.json["aal"], "aal2");
    server.get("/v1/accounts/me").bearer(&weak).send().await.refuses(401, "unauthenticated");
    let risen = risen.text_at("/session_token");
    let body = json!({"purpose": "sign_in"});
    server.post("/v1/verifications").bearer(&risen).json(&body).send().await.refuses(422, "invalid_request");
}

#[tokio::test]
async fn a_session_ends_with_the_access_token_that_began_it() {
    let server = Server::start().await;
    let anna = server.person("anna@example.com").await;
    let issued = anna.access_token("laptop").await.is(201);
    let token = issued.text_at("/token");
    let begun = server.post("/v1/sign-in").bearer(&token).json(&json!({})).send().await.is(200);
    let session = begun.text_at("/session_token");
    server.get("/v1/accounts/me").bearer(&session).send().await.is(200);
    let path = format!("/v1/accounts/me/access-tokens/{}", issued.text_at("/access_token_id"));
    anna.call("DELETE", &path).send().await.is(204);
    server.get("/v1/accounts/me").bearer(&session).send().await.refuses(401, "unauthenticated");
    anna.get("/v1/accounts/me").send().await.is(200);
}
