//! A change of address and its undo.

use domain::{
    ids::{AccountId, StreamId},
    time::Seconds,
    values::{Channel, Scope},
};
use serde_json::json;
use vault::{Token, TokenKind};

use crate::server::{PASSWORD, Person, Server};

/// The address is changed; the token of the link that the mail to the old one has.
async fn changed(server: &Server, anna: &Person<'_>, to: &str) -> String {
    let id = anna.verified("change_email").await;
    let change = anna.call("PUT", "/v1/accounts/me/email").header("countersign-verification", &id);
    change.json(&json!({"email": to, "password": PASSWORD})).send().await.is(202);
    let code = server.code(&anna.account, Channel::Email).await;
    anna.post("/v1/accounts/me/email/verify").json(&json!({"code": code})).send().await.is(200);
    let account: AccountId = anna.account.parse().unwrap();
    let state = server.fixture.engine.load(account).await.unwrap().state;
    let change = state.address_changes.last().unwrap().id;
    let key = server.fixture.keys.key(&StreamId::Account(account)).await.unwrap().unwrap();
    let secret = key.email_undo_secret(change);
    Token { kind: TokenKind::EmailUndo, stream: account.0, id: change.0, secret }.encode().expose().clone()
}

#[tokio::test]
async fn whoever_could_sign_in_before_takes_the_change_back() {
    let server = Server::start().await;
    let anna = server.person_with_totp("anna@example.com").await;
    let token = changed(&server, &anna, "thief@example.com").await;
    let sign_in = json!({"email": "anna@example.com", "password": PASSWORD});
    server.post("/v1/sign-in").json(&sign_in).send().await.refuses(401, "wrong_credentials");
    server.fixture.clock.advance(Seconds(60));

    let undo = |token: &str, password: &str, code: &str| {
        json!({"token": token, "confirmation": "anna@example.com", "password": password, "method": "totp",
            "code": code})
    };
    let code = server.totp(&anna.totp);
    let other = server.person_with_totp("other@example.com").await;
    let of_another = changed(&server, &other, "third@example.com").await;
    let path = "/v1/email-undos";
    server.post(path).json(&undo("cs_undo_x", PASSWORD, &code)).send().await.refuses(401, "unauthenticated");
    server.post(path).json(&undo(&anna.session, PASSWORD, &code)).send().await.refuses(401, "unauthenticated");
    server.post(path).json(&undo(&of_another, PASSWORD, &code)).send().await.refuses(422, "invalid_request");
    server.post(path).json(&undo(&token, "not the password", &code)).send().await.refuses(401, "wrong_credentials");
    let no_factor = json!({"token": token, "confirmation": "anna@example.com", "password": PASSWORD});
    server.post(path).json(&no_factor).send().await.refuses(403, "verification_required");
    server.get("/v1/accounts/me").bearer(&token).send().await.refuses(401, "unauthenticated");

    server.fixture.clock.advance(Seconds(60));
    let code = server.totp(&anna.totp);
    server.post(path).json(&undo(&token, PASSWORD, &code)).send().await.is(204);
    anna.get("/v1/accounts/me").send().await.refuses(401, "unauthenticated");
    server.post("/v1/sign-in").json(&sign_in).send().await.is(202);
    let gone = json!({"email": "thief@example.com", "password": PASSWORD});
    server.post("/v1/sign-in").json(&gone).send().await.refuses(401, "wrong_credentials");
    server.post(path).json(&undo(&token, PASSWORD, &code)).send().await.refuses(410, "verification_expired");
}

#[tokio::test]
async fn the_link_alone_stops_changes() {
    let server = Server::start().await;
    let anna = server.person_with_totp("anna@example.com").await;
    let token = changed(&server, &anna, "thief@example.com").await;
    let link = json!({"token": token});
    server.post("/v1/email-undos/codes").json(&link).send().await.refuses(422, "invalid_request");
    server.post("/v1/email-undos/freeze").json(&link).send().await.is(200);
    server.post("/v1/email-undos/freeze").json(&link).send().await.refuses(409, "conflict");
    let id = anna.verified("disable_method").await;
    let remove = anna.call("DELETE", "/v1/accounts/me/methods/1").header("countersign-verification", &id);
    remove.send().await.refuses(429, "rate_limited");

    // The owner of all three goes on: the password and the app a moment ago, and the mailbox.
    let lift = async |anna: &Person<'_>, id: &str| {
        anna.post("/v1/accounts/me/email/unfreeze").header("countersign-verification", id).send().await
    };
    lift(&anna, &id).await.refuses(403, "verification_required");
    server.fixture.clock.advance(Seconds(60));
    let session = server.sign_in_by_totp(&anna, "thief@example.com").await;
    let anna = Person { session, ..anna };
    lift(&anna, &id).await.refuses(403, "verification_required");
    let checked = anna.mailed_without_password("unfreeze_changes").await;
    lift(&anna, &checked).await.is(204);
    lift(&anna, &checked).await.refuses(409, "conflict");
    let id = anna.verified("disable_method").await;
    let remove = anna.call("DELETE", "/v1/accounts/me/methods/1").header("countersign-verification", &id);
    remove.send().await.is(200);
}

#[tokio::test]
async fn in_the_week_of_an_undo_support_alone_erases() {
    let server = Server::start().await;
    let anna = server.person_with_totp("anna@example.com").await;
    let support = server.api_key(&[Scope::SupportWrite]).await;
    let path = format!("/v1/security/accounts/{}/erase", anna.account);
    server.post(&path).bearer(&support).send().await.refuses(403, "forbidden");
    changed(&server, &anna, "thief@example.com").await;
    let id = anna.verified("erase_account").await;
    let erase = anna.call("DELETE", "/v1/accounts/me").header("countersign-verification", &id);
    erase.send().await.refuses(429, "rate_limited");
    server.post(&path).bearer(&anna.session).send().await.refuses(403, "forbidden");
    server.post(&path).bearer(&support).send().await.is(204);
    anna.get("/v1/accounts/me").send().await.refuses(401, "unauthenticated");
}
