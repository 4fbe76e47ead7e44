//! Who has nothing but an address: what they use up, and what they learn.

use serde_json::{Value, json};

use crate::support::{Client, PASSWORD, Person, Server, Settings, id};

/// A server that believes who its peers say they are, so that a test has many sources.
fn open_to_the_world() -> Settings {
    Settings::default()
        .with("trusted_proxies", "127.0.0.1/32")
        .with("dev_inbox", "exposed")
        .with("policy.limits.passwords_per_address", "{ count = 6, window = 86400 }")
}

fn from(server: &Server, source: usize) -> Client {
    server.client().header("X-Forwarded-For", &format!("198.51.{}.{}", source / 250, source % 250 + 1))
}

async fn tries(client: &Client, email: &str, password: &str) -> (u16, Value) {
    let answer = client.post("/v1/sign-in", json!({"email": email, "password": password})).await;
    (answer.status.as_u16(), answer.body["code"].clone())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_who_know_an_address_keep_its_owner_from_nothing() {
    let server = Server::start_with(open_to_the_world());
    let owner = Person::with_totp(&server, "ada").await;
    let mails = owner.codes_mailed().await;

    // Many sources guess at the address, and at one that nobody has: they are told the same.
    for source in 0..12 {
        let stranger = from(&server, source);
        let (known, unknown) = (
            tries(&stranger, &owner.email, "not the password").await,
            tries(&stranger, "eve@example.com", "either").await,
        );
        assert_eq!(known, unknown, "{source}");
        assert_eq!(known.0, if source < 6 { 401 } else { 429 }, "{source}");
    }
    // They ask for resets, and use their tickets up; they sign up with the address, too.
    for source in 0..12 {
        let stranger = from(&server, source);
        let asked = stranger.post("/v1/password-resets", json!({"email": owner.email})).await.expect(202);
        let ticket = stranger.with(asked["token"].as_str().unwrap());
        let path = format!("/v1/password-resets/{}", id(&asked));
        for _ in 0..2 {
            let guess = json!({"code": "0000-0000-0000", "new_password": "a strangers new password"});
            ticket.post(&path, guess).await.refused(422, "wrong_code");
        }
        let sign_up = json!({"email": owner.email, "password": "a strangers own password"});
        stranger.post("/v1/accounts", sign_up).await.expect(201);
    }

    // The owner is somewhere new. The password is refused like anybody's, and the mailbox opens the way.
    let elsewhere = from(&server, 1_000);
    assert_eq!(tries(&elsewhere, &owner.email, PASSWORD).await, (429, json!("rate_limited")));
    let codes = elsewhere.inbox(&owner.email).await;
    let opening = codes.iter().find(|mail| mail["subject"].as_str().unwrap().contains("sign in from where you are"));
    let opening = opening.expect("a mail that opens the sign-in")["code"].as_str().unwrap().to_owned();
    let body = json!({"email": owner.email, "password": PASSWORD, "opening_code": opening.to_lowercase()});
    let started = elsewhere.post("/v1/sign-in", body).await.expect(202);
    let holder = elsewhere.with(started["verification"]["token"].as_str().unwrap());
    let path = format!("/v1/verifications/{}/attempts", id(&started));
    let code = server.fresh_totp(owner.totp.as_deref().unwrap());
    assert_eq!(holder.post(&path, json!({"method": "totp", "code": code})).await.expect(200)["aal"], "aal2");

    // The reset's mail is there already: whoever asked for it, its code is good with the owner's ticket.
    let asked = elsewhere.post("/v1/password-resets", json!({"email": owner.email})).await.expect(202);
    let reset = codes.iter().filter(|mail| mail["subject"].as_str().unwrap().contains("reset your password"));
    let reset: Vec<&Value> = reset.collect();
    assert_eq!(reset.len(), 1, "one mail in ten minutes");
    let ticket = elsewhere.with(asked["token"].as_str().unwrap());
    let path = format!("/v1/password-resets/{}", id(&asked));
    server.advance(60);
    let second = json!({"method": "totp", "code": server.fresh_totp(owner.totp.as_deref().unwrap())});
    let body = json!({"code": reset[0]["code"], "second_factor": second, "new_password": "ein ganz neues Passwort"});
    assert_eq!(ticket.post(&path, body).await.status.as_u16(), 204);
    // In all: a reset and an opening. The sign-ups were told to the holder, without a code.
    assert_eq!(owner.codes_mailed().await, mails + 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_opening_is_good_for_ten_tries_and_opens_nothing_by_itself() {
    let server = Server::start_with(open_to_the_world());
    let owner = Person::sign_up(&server, "ada").await;
    for source in 0..7 {
        tries(&from(&server, source), &owner.email, "not the password").await;
    }
    let elsewhere = from(&server, 1_000);
    assert_eq!(tries(&elsewhere, &owner.email, PASSWORD).await.0, 429);
    let code = elsewhere.inbox(&owner.email).await[0]["code"].as_str().unwrap().to_owned();
    let with = |password: &str, code: &str| json!({"email": owner.email, "password": password, "opening_code": code});
    elsewhere.post("/v1/sign-in", with(PASSWORD, "0000-0000-0000")).await.refused(429, "rate_limited");
    for _ in 0..10 {
        elsewhere.post("/v1/sign-in", with("not the password", &code)).await.refused(401, "wrong_credentials");
    }
    elsewhere.post("/v1/sign-in", with(PASSWORD, &code)).await.refused(429, "rate_limited");
    server.advance(15 * 60);
    let again = tries(&elsewhere, &owner.email, PASSWORD).await;
    assert_eq!(again.0, 429, "strangers' guesses count for a day");
    let code = elsewhere.code(&owner.email, 3).await;
    elsewhere.post("/v1/sign-in", with(PASSWORD, &code)).await.expect(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_strangers_sign_up_never_becomes_the_account_of_the_address() {
    const STRANGERS: &str = "a password that the stranger chose";
    let server = Server::start_with(open_to_the_world());
    let (stranger, owner) = (from(&server, 1), from(&server, 2));
    let address = "grace@example.com";
    let sign_up = async |client: &Client, password: &str| {
        let created = client.post("/v1/accounts", json!({"email": address, "password": password})).await.expect(201);
        format!("/v1/accounts/{}/email/verify", created["account_id"].as_str().unwrap())
    };
    let strangers = sign_up(&stranger, STRANGERS).await;
    let code = owner.code(address, 1).await;
    let owners = sign_up(&owner, PASSWORD).await;
    stranger.post(&strangers, json!({"code": "0000-0000-0000"})).await.refused(422, "wrong_code");
    // The mail that the stranger's sign-up sent is good where the owner's began, and makes that one the account.
    owner.post(&owners, json!({"code": code})).await.expect(200);
    assert_eq!(owner.inbox(address).await.len(), 1);
    owner.post("/v1/sign-in", json!({"email": address, "password": PASSWORD})).await.expect(200);
    stranger
        .post("/v1/sign-in", json!({"email": address, "password": STRANGERS}))
        .await
        .refused(401, "wrong_credentials");
    stranger.post(&strangers, json!({"code": code})).await.refused(422, "wrong_code");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idempotency_key_tells_nothing_after_a_restart() {
    let server = Server::start_with(open_to_the_world());
    let owner = Person::sign_up(&server, "ada").await;
    let ask = async |server: &Server, email: &str, key: &str| {
        let client = server.client().header("Idempotency-Key", key);
        let answer = client.post("/v1/password-resets", json!({"email": email})).await;
        let replayed = answer.header("idempotency-replayed").map(str::to_owned);
        (answer.expect(202), replayed)
    };
    let addresses = [owner.email.as_str(), "nobody@example.com"];
    let first = [ask(&server, addresses[0], "a").await, ask(&server, addresses[1], "b").await];
    let server = server.kill_and_restart();
    let again = [ask(&server, addresses[0], "a").await, ask(&server, addresses[1], "b").await];
    for (first, again) in first.iter().zip(&again) {
        assert_eq!(first.0, again.0, "the answer is the first one");
        assert_eq!((first.1.as_deref(), again.1.as_deref()), (None, Some("true")));
    }
    for (address, key) in [(addresses[1], "a"), (addresses[0], "b")] {
        let client = server.client().header("Idempotency-Key", key);
        client.post("/v1/password-resets", json!({"email": address})).await.refused(409, "idempotency_conflict");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_neighbour_in_the_network_uses_up_no_tries_of_a_known_device() {
    let server = Server::start_with(open_to_the_world());
    let mut owner = Person::with_totp(&server, "ada").await;
    let session = owner.sign_in_by_totp(&server).await;
    let neighbour = server.client();
    for _ in 0..10 {
        assert_eq!(tries(&neighbour, &owner.email, "not the password").await.0, 401);
    }
    assert_eq!(tries(&neighbour, &owner.email, PASSWORD).await.0, 429, "the place has no tries left");
    let device = neighbour.header("Countersign-Device", session["device_token"].as_str().unwrap());
    assert_eq!(tries(&device, &owner.email, PASSWORD).await.0, 202);
    // A device of nobody's opens nothing.
    let other = neighbour.header("Countersign-Device", "cs_device_not_one_that_there_is");
    assert_ne!(tries(&other, &owner.email, PASSWORD).await.0, 202);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_neighbour_who_guesses_at_mails_keeps_nobody_from_the_code_in_theirs() {
    let few = open_to_the_world().with("policy.limits.long_codes_per_source", "{ count = 3, window = 3600 }");
    let server = Server::start_with(few);
    let owner = Person::sign_up(&server, "grete").await;
    let office = from(&server, 7);
    let reset = async |email: &str| {
        let asked = office.post("/v1/password-resets", json!({"email": email})).await.expect(202);
        (office.with(asked["token"].as_str().unwrap()), format!("/v1/password-resets/{}", id(&asked)))
    };
    let mails = owner.codes_mailed_to(&office).await;
    let (holder, path) = reset(&owner.email).await;
    let code = office.code(&owner.email, mails + 1).await;
    let (neighbour, of_another) = reset("nobody@example.com").await;
    let guess = json!({"code": "AAAA-BBBB-CCCC", "new_password": "ein-ganz-neues-Pferd-23"});
    let mut told = Vec::new();
    for _ in 0..5 {
        told.push(neighbour.post(&of_another, guess.clone()).await.status.as_u16());
    }
    assert_eq!(told, [422, 422, 422, 429, 429]);
    holder.post(&path, guess).await.refused(429, "rate_limited");
    holder.post(&path, json!({"code": code, "new_password": "ein-ganz-neues-Pferd-23"})).await.expect(204);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_network_of_a_product_is_no_known_place_of_its_users() {
    let server = Server::start_with(open_to_the_world());
    let owner = Person::sign_up(&server, "heidi").await;
    let product = server.client_with("accounts:write,sessions:issue");
    assert_eq!(tries(&product, &owner.email, PASSWORD).await.0, 200);
    for nth in 0..9 {
        let (status, _) = tries(&product, &owner.email, "not the password").await;
        assert_eq!(status, if nth < 6 { 401 } else { 429 }, "{nth}");
    }
}
