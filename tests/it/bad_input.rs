//! What nobody should send: each gets its problem document, nothing is lost, nothing panics.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{PASSWORD, Person, Server, Watcher, id};

const JSON: &str = "application/json";

async fn post_raw(server: &Server, path: &str, body: &[u8], content_type: &str) -> crate::support::Answer {
    server.client().send(Method::POST, path, Some(body.to_vec()), content_type).await
}

#[tokio::test]
async fn malformed_bodies_are_told_apart() {
    let server = Server::start();
    let post = async |body: &[u8]| post_raw(&server, "/v1/accounts", body, JSON).await;
    for body in [&b"{"[..], b"", b"nonsense", b"{\"email\": \"a@example.com\",}", b"\xff\xfe\x00"] {
        post(body).await.refused(400, "malformed_request");
    }
    let nested = [b"[".repeat(20_000), b"]".repeat(20_000)].concat();
    assert!([400, 422].contains(&post(&nested).await.status.as_u16()));

    // JSON, but not what the endpoint asks for.
    for body in [
        json!({"email": 7, "password": PASSWORD}),
        json!({"email": ["a@example.com"], "password": PASSWORD}),
        json!({"email": "a@example.com", "password": PASSWORD, "is_admin": true}),
        json!({"password": PASSWORD}),
        json!({"email": null, "password": PASSWORD}),
        json!([]),
        json!("text"),
    ] {
        let answer = post(body.to_string().as_bytes()).await;
        answer.refused(422, "invalid_request");
    }
    let duplicate = br#"{"email": "a@example.com", "email": "b@example.com", "password": "korrekt-Pferd-9"}"#;
    assert!(post(duplicate).await.status.is_client_error());

    let answer = post_raw(&server, "/v1/accounts", b"email=a@example.com", "application/x-www-form-urlencoded").await;
    answer.refused(415, "unsupported_media_type");
    let large = json!({"email": "a@example.com", "password": "x".repeat(2_000_000)}).to_string();
    post(large.as_bytes()).await.refused(413, "payload_too_large");
    server.client().send(Method::DELETE, "/v1/accounts", None, JSON).await.refused(405, "method_not_allowed");
    server.client().get("/v1/nothing-here").await.refused(404, "not_found");

    // Nothing of all this is history.
    let watcher = Watcher::new(&server);
    let events = watcher.client.get("/v1/audit/events?limit=100").await.expect(200);
    let accounts = |event: &&Value| event["type"] == "AccountRegistered";
    assert_eq!(events["events"].as_array().unwrap().iter().filter(accounts).count(), 0);
}

#[tokio::test]
async fn absurd_values_are_refused_with_their_field() {
    let server = Server::start();
    let person = Person::with_totp(&server, "alan").await;
    let client = server.client();
    for email in [
        "",
        "a",
        "a@b",
        "@example.com",
        "a b@example.com",
        "a@example.com\r\nBcc: b@example.com",
        "\u{202e}a@example.com",
        "a@exa\u{0}mple.com",
    ] {
        let answer = client.post("/v1/accounts", json!({"email": email, "password": PASSWORD})).await;
        assert_eq!(answer.refused(422, "invalid_request")["field"], "email", "{email:?}");
    }
    for password in ["", "short1!", "password", "12345678", &"x".repeat(129), &"🦀".repeat(200)] {
        let answer = client.post("/v1/accounts", json!({"email": "new@example.com", "password": password})).await;
        assert_eq!(answer.refused(422, "invalid_request")["field"], "password");
    }
    let started = person.start("add_method").await;
    let right = server.fresh_totp(person.totp.as_deref().unwrap());
    for code in
        ["", "12345", "1234567", "12a456", "¹²³⁴⁵⁶", "١٢٣٤٥٦", "123456\u{0}", "🦀🦀🦀🦀🦀🦀", &"9".repeat(10_000)]
    {
        let answer = person.attempt(id(&started), "totp", code).await;
        assert!([422, 429].contains(&answer.status.as_u16()), "{code:?}: {}", answer.body);
    }
    let unlock = server.client_with("support:write");
    let path = format!("/v1/security/accounts/{}/unlock", person.account);
    unlock.post(&path, json!({"reason": "test"})).await;
    person.attempt(id(&started), "totp", &right).await.expect(200);
    for label in ["", " ", &"x".repeat(31), "a\u{0}b", "\u{202e}gnp.exe", "zero\u{200b}width", "a\nb"] {
        let answer = person.client.patch("/v1/accounts/me/methods/1", json!({"label": label})).await;
        assert_eq!(answer.refused(422, "invalid_request")["field"], "label", "{label:?}");
    }
    let answer =
        person.client.patch("/v1/accounts/me/methods/1", json!({"label": "Žluťoučký kůň 📱"})).await.expect(200);
    assert!(answer.to_string().contains("Žluťoučký kůň 📱"));
    for path in [
        "/v1/accounts/not-an-id/methods",
        "/v1/accounts/%00/methods",
        "/v1/verifications/1",
        "/v1/accounts/me/methods/-1",
        "/v1/accounts/me/methods/99999999999999999999",
    ] {
        let answer = person.client.get(path).await;
        assert!((400..500).contains(&answer.status.as_u16()), "{path}: {}", answer.body);
        assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{path}");
    }
    let reader = server.client_with("security:read,audit:read");
    for path in [
        "/v1/security/accounts?cursor=%F0%9F%A6%80",
        "/v1/security/accounts?limit=-1",
        "/v1/security/accounts?limit=1000000",
        "/v1/audit/events?cursor=xyz",
        "/v1/security/accounts?no_such=1",
        "/v1/security/adoption?from=yesterday",
    ] {
        let answer = reader.get(path).await;
        assert!((400..500).contains(&answer.status.as_u16()), "{path}: {} {}", answer.status, answer.body);
    }
    let answer = reader.header("Countersign-Min-Position", "soon").get("/v1/security/accounts").await;
    assert!((400..500).contains(&answer.status.as_u16()), "{}", answer.body);
}

#[tokio::test]
async fn ids_and_tokens_of_others_open_nothing() {
    let server = Server::start();
    let alice = Person::with_totp(&server, "alice").await;
    let mallory = Person::with_totp(&server, "mallory").await;

    for path in [
        format!("/v1/accounts/{}", alice.account),
        format!("/v1/accounts/{}/methods", alice.account),
        format!("/v1/accounts/{}/recovery-codes", alice.account),
        format!("/v1/accounts/{}/sessions", alice.account),
    ] {
        let answer = mallory.client.get(&path).await;
        assert!([403, 404].contains(&answer.status.as_u16()), "{path}: {}", answer.body);
        // As for an account that does not exist: nobody learns which do.
        let nobody = path.replace(&alice.account, "00000000-0000-7000-8000-000000000000");
        let unknown = mallory.client.get(&nobody).await;
        assert_eq!((answer.status, &answer.body["code"]), (unknown.status, &unknown.body["code"]), "{path}");
    }

    // Another's verification: neither driven nor seen nor used.
    let started = alice.start("disable_method").await;
    let code = server.fresh_totp(alice.totp.as_deref().unwrap());
    let answer = mallory.attempt(id(&started), "totp", &code).await;
    assert!([403, 404].contains(&answer.status.as_u16()), "{}", answer.body);
    let answer = mallory.client.get(&format!("/v1/verifications/{}", id(&started))).await;
    assert!([403, 404].contains(&answer.status.as_u16()), "{}", answer.body);
    alice.attempt(id(&started), "totp", &code).await.expect(200);
    let stolen = mallory.client.header("Countersign-Verification", id(&started));
    stolen.delete("/v1/accounts/me/methods/1").await.refused(403, "verification_required");

    // Tokens: none, nonsense, altered, of another kind, ended.
    let session = alice.client.token().to_owned();
    let mut altered = session.clone();
    let last = altered.pop().unwrap();
    altered.push(if last == 'a' { 'b' } else { 'a' });
    let verification = started["token"].as_str().or(started["verification"]["token"].as_str()).unwrap().to_owned();
    let key = server.api_key("introspect");
    for token in
        ["x", "cs_session_", &altered, &"a".repeat(5_000), &session.replace("session", "access"), "cs_session_🦀"]
    {
        let answer = server.client().with(token).get("/v1/accounts/me/methods").await;
        answer.refused(401, "unauthenticated");
    }
    server.client().get("/v1/accounts/me/methods").await.refused(401, "unauthenticated");
    for token in [&verification, &key] {
        let answer = server.client().with(token).get("/v1/accounts/me/methods").await;
        assert!([401, 403, 404, 422].contains(&answer.status.as_u16()), "{}", answer.body);
    }
    for (client, path) in [
        (server.client().with(&session), "/v1/security/accounts"),
        (server.client().with(&key), "/v1/security/accounts"),
        (server.client().with(&key), "/v1/audit/events"),
        (server.client().with(&key), "/v1/api-keys"),
    ] {
        let answer = client.get(path).await;
        assert!([401, 403].contains(&answer.status.as_u16()), "{path}: {}", answer.body);
    }

    // A session ends by time: 24 hours without use.
    server.advance(25 * 3600);
    alice.client.get("/v1/accounts/me/methods").await.refused(401, "unauthenticated");
}

#[tokio::test]
async fn an_idempotency_key_answers_again_and_serves_one_body() {
    let server = Server::start();
    let watcher = Watcher::new(&server);
    let person = Person::sign_up(&server, "barbara").await;
    person.authorize_first().await;
    let mark = watcher.mark(&person.account).await;

    let keyed = person.client.header("Idempotency-Key", "first-try");
    let first = keyed.post("/v1/accounts/me/methods/totp", json!({})).await.expect(201);
    let again = keyed.post("/v1/accounts/me/methods/totp", json!({})).await.expect(201);
    assert_eq!(first, again, "the secret too: the first answer may have been lost on its way");
    assert_eq!(watcher.since(&person.account, mark).await, ["TotpEnrollmentStarted"]);

    let other = keyed.post("/v1/accounts/me/methods/sms", json!({"phone_number": "+436601234567"})).await;
    other.refused(409, "idempotency_conflict");
    // Another credential's key of the same name is another key.
    let stranger = Person::sign_up(&server, "grace").await.client.header("Idempotency-Key", "first-try");
    let theirs = stranger.post("/v1/accounts/me/methods/totp", json!({})).await.expect(201);
    assert_ne!(theirs["secret"], first["secret"]);
    // A refusal is answered again as well, and judged once.
    let enable = format!("/v1/accounts/me/methods/{}/enable", first["method_id"]);
    let mark = watcher.mark(&person.account).await;
    let keyed = person.client.header("Idempotency-Key", "wrong-code");
    let wrong = keyed.post(&enable, json!({"code": "000000"})).await.refused(422, "wrong_code");
    assert_eq!(keyed.post(&enable, json!({"code": "000000"})).await.refused(422, "wrong_code"), wrong);
    assert_eq!(watcher.since(&person.account, mark).await, ["CodeRejected"]);
    let absurd = person.client.header("Idempotency-Key", &"k".repeat(5_000));
    let answer = absurd.post("/v1/accounts/me/methods/totp", json!({})).await;
    assert!((400..500).contains(&answer.status.as_u16()), "{}", answer.body);
}
