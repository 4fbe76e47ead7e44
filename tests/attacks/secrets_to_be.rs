//! Who learns or chooses the secret that the owner will use.

use serde_json::{Value, json};

use crate::support::{Client, Person, Server, Settings, Setup, over_both_logs, totp_at};

over_both_logs![
    a_key_that_was_asked_for_before_is_not_the_owners,
    a_thief_with_the_owners_token_confirms_no_key_elsewhere,
];

/// An account with an access token: the client that holds it.
async fn with_key(server: &Server, name: &str) -> (Person, Client) {
    let person = Person::sign_up(server, name).await;
    let verification = person.verify_by_mail("issue_access_token").await;
    let issued = person.access_token("cli", &verification).await;
    let client = server.client().with(issued["token"].as_str().unwrap());
    (person, client)
}
async fn key(client: &Client) -> String {
    let offer = client.post("/api/v0/tfa/totp-setup/", json!({})).await.expect(200);
    offer["secret"].as_str().unwrap().to_owned()
}
fn confirm(server: &Server, key: &str) -> Value {
    json!({"tfa_method": "totp", "code": totp_at(key, server.now()), "secret": key})
}

async fn a_key_that_was_asked_for_before_is_not_the_owners(setup: Setup) {
    let server = setup.server().await;
    let (owner, client) = with_key(&server, "ada").await;
    // Whoever holds any credential of the account asked first.
    let learned = key(&owner.client).await;
    let same_credential = key(&client).await;
    let mails = owner.codes_mailed().await;
    let started = client.post("/api/v0/tfa/authorize-new-method/", json!({})).await.expect(200);
    let code = client.code(&owner.email, mails + 1).await;
    let body = json!({"secret": started["secret"], "code": code});
    client.put("/api/v0/tfa/authorize-new-method/", body).await.expect(200);
    let own = key(&client).await;
    assert!(own != learned && own != same_credential && own[..24] != same_credential[..24]);
    // Another credential's key is not taken, nor one of somebody's own choosing.
    for foreign in [learned.as_str(), "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"] {
        let refused = client.post("/api/v0/tfa/confirm-new/", confirm(&server, foreign)).await;
        assert_eq!(refused.body["error"], "challenge_not_found");
    }
    client.post("/api/v0/tfa/confirm-new/", confirm(&server, &own)).await.expect(200);
}

async fn a_thief_with_the_owners_token_confirms_no_key_elsewhere(setup: Setup) {
    let settings = Settings::default().with("trusted_proxies", "127.0.0.0/8").with("dev_inbox", "exposed");
    let server = setup.server_with(settings).await;
    let (owner, client) = with_key(&server, "bert").await;
    let (here, elsewhere) =
        (client.header("X-Forwarded-For", "198.51.100.1"), client.header("X-Forwarded-For", "203.0.113.9"));
    let mails = owner.codes_mailed().await;
    let started = here.post("/api/v0/tfa/authorize-new-method/", json!({})).await.expect(200);
    let code = client.code(&owner.email, mails + 1).await;
    let body = json!({"secret": started["secret"], "code": code});
    here.put("/api/v0/tfa/authorize-new-method/", body).await.expect(200);
    assert_eq!(elsewhere.get("/api/v0/tfa/status/").await.expect(200)["new_method_authorized"], false);
    let thiefs = key(&elsewhere).await;
    let refused = elsewhere.post("/api/v0/tfa/confirm-new/", confirm(&server, &thiefs)).await;
    assert_eq!((refused.status.as_u16(), &refused.body["error"]), (403, &json!("authorization_required")));
    assert_eq!(here.get("/api/v0/tfa/status/").await.expect(200)["new_method_authorized"], true);
    let own = key(&here).await;
    here.post("/api/v0/tfa/confirm-new/", confirm(&server, &own)).await.expect(200);
}
