//! Who has only the password: what their guesses cost, and whom.

use serde_json::{Value, json};

use crate::support::{Client, PASSWORD, Person, Server, Settings, another, id};

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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn codes_of_another_system_are_not_guessed_by_who_has_the_password() {
    const APP: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
    // SHA-256 of ABCD-EFGH-IJKL and of MNOP-QRST-UVWX: what they are of does not matter to who guesses.
    const HASHES: [&str; 2] =
        ["$sha256$u0lH6zZgObHAe8q4NdrH6Nlz33mVK/IWuSppXv8sjg0", "$sha256$Btpszh1Hod4ZDkOQoFTwBt2A7umdCvepDX3pkV/H0Eo"];
    let server = Server::start();
    let path = server.path().join("accounts.jsonl");
    let row =
        json!({"email": "ada@example.com", "methods": [{"kind": "totp", "secret": APP}], "recovery_codes": HASHES});
    std::fs::write(&path, row.to_string()).unwrap();
    server.command(&["import", path.to_str().unwrap()]);
    let client = server.client();
    // The owner sets a password with one of the codes, and signs in with the app: their browser is known from then on.
    let asked = client.post("/v1/password-resets", json!({"email": "ada@example.com"})).await;
    let holder = client.with(asked.body["token"].as_str().unwrap());
    let second = json!({"method": "recovery_code", "code": "ABCD-EFGH-IJKL"});
    let body =
        json!({"code": client.code("ada@example.com", 1).await, "second_factor": second, "new_password": PASSWORD});
    let reset = holder.post(&format!("/v1/password-resets/{}", id(&asked.body)), body).await;
    assert!(reset.status.is_success(), "{}", reset.body);
    let sign_in = async || {
        let body = json!({"email": "ada@example.com", "password": PASSWORD});
        let verification = client.post("/v1/sign-in", body).await.expect(202)["verification"].clone();
        (
            format!("/v1/verifications/{}/attempts", id(&verification)),
            client.with(verification["token"].as_str().unwrap()),
        )
    };
    let (attempts, holder) = sign_in().await;
    let by_app = json!({"method": "totp", "code": server.fresh_totp(APP)});
    let device = holder.post(&attempts, by_app).await.expect(200)["device_token"].as_str().unwrap().to_owned();

    // A thief of the password begins sign-in after sign-in: five guesses an hour, whatever they do.
    let mut judged = 0;
    for nth in 0..40 {
        let (attempts, holder) = sign_in().await;
        let guess = json!({"method": "recovery_code", "code": format!("AAAA-AAAA-AA{nth:02}")});
        let answer = holder.post(&attempts, guess).await;
        match answer.status.as_u16() {
            422 => judged += 1,
            429 => assert_eq!(answer.body["code"], "method_locked"),
            other => panic!("{other}: {}", answer.body),
        }
    }
    assert_eq!(judged, 5);
    // The owner's own code still works where the owner is known.
    let (attempts, holder) = sign_in().await;
    let own = json!({"method": "recovery_code", "code": "MNOP-QRST-UVWX"});
    holder.post(&attempts, own.clone()).await.refused(429, "method_locked");
    let known = holder.header("countersign-device", &device);
    assert_eq!(known.post(&attempts, own).await.expect(200)["aal"], "aal2");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn support_lifts_locks_once_a_day_so_nobody_is_talked_into_new_guesses() {
    let few = Settings::default().with("policy.account_cap", "2");
    let server = Server::start_with(few);
    let owner = Person::with_totp(&server, "hedwig").await;
    let unlock = format!("/v1/security/accounts/{}/unlock", owner.account);
    let reason = json!({"reason": "called us"});
    let (support, another_one) = (server.client_with("support:write"), server.client_with("support:write"));
    let fill = async || {
        for _ in 0..2 {
            assert_eq!(guess(&owner, &server, &server.client()).await.0, 422);
        }
        assert_eq!(guess(&owner, &server, &server.client()).await.0, 403);
    };
    fill().await;
    support.post(&unlock, reason.clone()).await.expect(204);
    fill().await;
    support.post(&unlock, reason.clone()).await.refused(429, "rate_limited");
    another_one.post(&unlock, reason.clone()).await.expect(204);
    fill().await;
    another_one.post(&unlock, reason.clone()).await.refused(429, "rate_limited");
    server.client_with("support:write").post(&unlock, reason).await.refused(429, "rate_limited");
    // The owner's recovery code needs nobody.
    let (verification, holder) = owner.begin_sign_in(&server).await;
    let path = format!("/v1/verifications/{}/attempts", id(&verification));
    let code = json!({"method": "recovery_code", "code": owner.recovery_codes[0]});
    assert_eq!(holder.post(&path, code).await.expect(200)["aal"], "aal2");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_grows_their_own_history_without_end() {
    let few =
        Settings::default().with("policy.changes_per_account_hour", "3").with("policy.checks_per_account_hour", "4");
    let server = Server::start_with(few);
    let owner = Person::with_totp(&server, "irene").await;
    let mut answers = Vec::new();
    for nth in 0..6 {
        let label = json!({"label": format!("App {nth}")});
        answers.push(owner.client.patch("/v1/accounts/me/methods/1", label).await.status.as_u16());
    }
    // Enrolling named the app already.
    assert_eq!(answers, [200, 200, 429, 429, 429, 429]);
    answers.clear();
    for _ in 0..6 {
        let check = owner.client.post("/v1/verifications", json!({"purpose": "disable_method"})).await;
        answers.push(check.status.as_u16());
    }
    assert_eq!(answers.iter().filter(|status| **status == 429).count(), answers.len() - 3, "{answers:?}");
    // An hour is counted by twelfths, so what began in one may last that much longer.
    server.advance(3_900);
    owner.client.patch("/v1/accounts/me/methods/1", json!({"label": "Mine"})).await.expect(200);
}
