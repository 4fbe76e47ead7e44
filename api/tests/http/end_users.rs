//! Whom an API client asks for: its word, on record, and nobody else's.

use std::net::IpAddr;

use domain::{
    ids::{AccountId, StreamId},
    personal::Personal,
    values::Scope,
};
use schemas::envelope::Version;
use serde_json::json;

use crate::server::{Answer, Person, Server};

const HEADER: &str = "countersign-end-user-ip";

/// The addresses on record of the account's last event: whose request it was, and whom it was for.
async fn on_record(server: &Server, anna: &Person<'_>) -> (Option<IpAddr>, Option<IpAddr>) {
    let account: AccountId = anna.account.parse().unwrap();
    let engine = &server.fixture.engine;
    let history = engine.history(&StreamId::Account(account), Version::NONE, 1_000).await.unwrap();
    let metadata = &history.last().unwrap().metadata;
    let known = |ip: &Option<Personal<IpAddr>>| ip.as_ref().map(|ip| *ip.known().unwrap());
    (known(&metadata.ip), known(&metadata.end_user_ip))
}

#[tokio::test]
async fn a_client_names_the_address_of_its_user() {
    let server = Server::start().await;
    let anna = server.person_with_totp("anna@example.com").await;
    let key = server.api_key(&[Scope::AccountsWrite, Scope::AuditRead, Scope::AuditPii]).await;
    let body = json!({"purpose": "step_up", "action": "pay", "account_id": anna.account});
    let start = async |bearer: &str, said: &str| -> Answer {
        let body = if bearer == key { body.clone() } else { json!({"purpose": "disable_method"}) };
        server.post("/v1/verifications").bearer(bearer).header(HEADER, said).json(&body).send().await
    };
    let started = start(&key, "198.51.100.9").await.is(201);
    let (peer, user) = on_record(&server, &anna).await;
    assert_eq!(user, Some([198, 51, 100, 9].into()));
    assert_ne!(peer, user, "the client's own address stays on record");
    let path = format!("/v1/audit/accounts/{}/history?pii=true&limit=500", anna.account);
    let at = started.header("countersign-position");
    let history = server.get(&path).bearer(&key).header("countersign-min-position", at).send().await;
    let history = history.is(200).json.to_string();
    assert!(history.contains("198.51.100.9"), "the auditor sees it");

    start(&key, "::ffff:198.51.100.10").await.is(201);
    assert_eq!(on_record(&server, &anna).await.1, Some([198, 51, 100, 10].into()));
    for wrong in ["", "198.51.100.9, 198.51.100.10", "somewhere", "198.51.100.9:80"] {
        start(&key, wrong).await.refuses(422, "invalid_request");
    }
    // What anybody else says is not looked at: nobody moves their own guesses to another source.
    start(&anna.session, "198.51.100.9").await.is(201);
    assert_eq!(on_record(&server, &anna).await.1, None);
    start(&anna.session, "somewhere").await.is(201);
}
