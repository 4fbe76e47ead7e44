//! Who has only the password: what their guesses cost, and whom.

use serde_json::{Value, json};

use crate::support::{Client, Person, Server, Settings, another, id};

async fn guess(person: &Person, server: &Server, from: &Client) -> (u16, Value) {
    let (verification, holder) = person.begin_sign_in(server).await;
    let holder = from.with(holder.token());
    let wrong = another(&server.fresh_totp(person.totp.as_deref().unwrap()));
    let path = format!("/v1/verifications/{}/attempts", id(&verification));
    let answer = holder.post(&path, json!({"method": "totp", "code": wrong})).await;
    (answer.status.as_u16(), answer.body)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thief_of_the_password_uses_up_no_tries_of_a_known_device() {
    let few = Settings::default().with("policy.account_cap", "4");
    let server = Server::start_with(few);
    let mut owner = Person::with_totp(&server, "grace").await;
    let session = owner.sign_in_by_totp(&server).await;
    let device = session["device_token"].as_str().expect("a device").to_owned();
    assert!(device.starts_with("cs_device_"), "it says what it is");

    for _ in 0..4 {
        assert_eq!(guess(&owner, &server, &server.client()).await.0, 422);
    }
    let (status, refused) = guess(&owner, &server, &server.client()).await;
    assert_eq!((status, refused["code"].as_str()), (403, Some("account_locked")));
    // Signing in by email clears no cap: another attempt is refused as before.
    let (verification, holder) = owner.begin_sign_in(&server).await;
    let codes = format!("/v1/verifications/{}/codes", id(&verification));
    holder.post(&codes, json!({"channel": "email"})).await.refused(403, "account_locked");

    // A device's token opens nothing.
    server.client().with(&device).get("/v1/accounts/me/devices").await.refused(401, "unauthenticated");

    // The owner's own ways: the session, the known device, and on a new device a recovery code.
    let code = server.fresh_totp(owner.totp.as_deref().unwrap());
    let check = owner.start("regenerate_recovery_codes").await;
    owner.attempt(id(&check), "totp", &code).await.expect(200);
    let (verification, holder) = owner.begin_sign_in(&server).await;
    let known = holder.header("countersign-device", &device);
    let path = format!("/v1/verifications/{}/attempts", id(&verification));
    let code = server.fresh_totp(owner.totp.as_deref().unwrap());
    let answer = known.post(&path, json!({"method": "totp", "code": code})).await.expect(200);
    assert!(answer["device_token"].is_null(), "it is known already: {answer}");
    let (verification, holder) = owner.begin_sign_in(&server).await;
    let path = format!("/v1/verifications/{}/attempts", id(&verification));
    let code = json!({"method": "recovery_code", "code": owner.recovery_codes[0]});
    assert_eq!(holder.post(&path, code).await.expect(200)["aal"], "aal2");

    // A device that its owner removed is a stranger's.
    let devices = owner.client.get("/v1/accounts/me/devices").await.expect(200);
    let listed = devices["devices"].as_array().unwrap();
    assert_eq!(listed.len(), 2, "{devices}");
    for device in listed {
        owner.client.delete(&format!("/v1/accounts/me/devices/{}", id(device))).await.expect(204);
    }
    let devices = owner.client.get("/v1/accounts/me/devices").await.expect(200);
    assert_eq!(devices["devices"], json!([]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_that_guesses_over_many_accounts_is_stopped() {
    let few = Settings::default().with("policy.limits.second_factors_per_source", "{ count = 3, window = 3600 }");
    let server = Server::start_with(few);
    let mut people = Vec::new();
    for name in ["ada", "barbara", "radia", "frances", "joan", "hedy"] {
        people.push(Person::with_totp(&server, name).await);
    }
    // The count is full with the third; the fourth finds that out, and whoever asks then is not looked at.
    for person in &people[..4] {
        assert_eq!(guess(person, &server, &server.client()).await.0, 422);
    }
    for person in &people[4..] {
        let (status, refused) = guess(person, &server, &server.client()).await;
        assert_eq!((status, refused["code"].as_str()), (429, Some("rate_limited")));
    }
    // In an hour it is over, and no account is any the worse.
    server.advance(3_600);
    let owner = people.last_mut().unwrap();
    assert_eq!(owner.sign_in_by_totp(&server).await["aal"], "aal2");
}
