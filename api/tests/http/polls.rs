//! Nothing that a request brings keeps a thread of the runtime busy: what takes long is done elsewhere. A poll is timed
//! by a future around the router, and of three runs of one request the best one counts, so that a busy machine is not
//! taken for a slow program.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::server::Server;

/// The longest that a poll may take. Without optimization everything takes about ten times as long.
const LONGEST: Duration = if cfg!(debug_assertions) { Duration::from_millis(50) } else { Duration::from_millis(5) };

/// A future that knows how long its longest poll took.
pub struct Polls<F> {
    future: Pin<Box<F>>,
    longest: Duration,
}

impl<F: Future> Polls<F> {
    pub fn of(future: F) -> Self {
        Self { future: Box::pin(future), longest: Duration::ZERO }
    }
}

impl<F: Future> Future for Polls<F> {
    type Output = (F::Output, Duration);

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let began = Instant::now();
        let polled = self.future.as_mut().poll(context);
        self.longest = self.longest.max(began.elapsed());
        polled.map(|output| (output, self.longest))
    }
}

/// Bodies as large as are taken, each of another kind.
fn hostile() -> Vec<(&'static str, Vec<u8>)> {
    let most = 60_000;
    let text = |length: usize| "aB3$".chars().cycle().take(length).collect::<String>();
    let fields = [
        ("email", json!(format!("{}@{}", "a".repeat(60), "b.".repeat(29_000)))),
        ("email", json!(text(most))),
        ("password", json!(text(128))),
        ("password", json!("aaaa0000".repeat(16))),
        ("new_password", json!("qwertzuiopasdfghjklyxcvbnm".repeat(5)[..128].to_owned())),
        ("code", json!("-".repeat(most))),
        ("code", json!(text(64))),
        ("opening_code", json!(text(most))),
        ("phone_number", json!(format!("+{}", "4366".repeat(most / 4)))),
        ("phone_number", json!(format!("+49{}", " (0) -".repeat(most / 6)))),
        ("label", json!("\u{301}".repeat(most / 2))),
        ("name", json!("\u{202e}x".repeat(most / 4))),
        ("reason", json!(text(most))),
        ("purpose", json!(text(most))),
    ];
    let mut bodies: Vec<(&str, Vec<u8>)> =
        fields.into_iter().map(|(name, value)| (name, json!({ name: value }).to_string().into_bytes())).collect();
    bodies.push(("nested arrays", "[".repeat(most).into_bytes()));
    bodies.push(("nested objects", "{\"a\":".repeat(most / 5).into_bytes()));
    let fields: serde_json::Map<String, Value> = (0..5_000).map(|n| (format!("f{n}"), json!(0))).collect();
    bodies.push(("many fields", Value::Object(fields).to_string().into_bytes()));
    bodies.push(("many numbers", format!("[{}0]", "1e308,".repeat(most / 6)).into_bytes()));
    bodies.push(("escapes", format!("{{\"email\":\"{}\"}}", "\\u00e4".repeat(most / 6)).into_bytes()));
    bodies.push(("no text", vec![0xff; most]));
    bodies.push(("too large", vec![b' '; 70_000]));
    bodies
}

/// Every path that takes a body, with its method.
fn takers(document: &Value) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            if operation["requestBody"].is_object() {
                let path = path.replace("{account}", "me").replace("{gateway}", "sms");
                let path = if path.contains("/methods/") { path.replace("{id}", "1") } else { path };
                found.push((method.to_uppercase(), path.replace("{id}", "0192d3a0-0000-7000-8000-000000000001")));
            }
        }
    }
    assert!(found.len() > 20, "the document names them: {found:?}");
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_body_however_hostile_keeps_a_thread_of_the_runtime_busy() {
    let server = Server::start().await;
    let anna = server.person("anna@example.com").await;
    let document = server.get("/openapi.json").send().await.is(200).json;
    let mut worst = (Duration::ZERO, String::new());
    for (method, path) in takers(&document) {
        for (kind, body) in hostile() {
            let mut best = Duration::MAX;
            for _ in 0..3 {
                let call = server.call(&method, &path).bearer(&anna.session).raw("application/json", body.clone());
                let (answer, longest) = Polls::of(call.send_unread()).await;
                assert!(answer < 500 || answer == 503, "{method} {path} {kind}: {answer}");
                best = best.min(longest);
                if best < LONGEST / 4 {
                    break;
                }
            }
            if best > worst.0 {
                worst = (best, format!("{method} {path} {kind}"));
            }
        }
    }
    assert!(worst.0 < LONGEST, "{worst:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_step_of_signing_up_in_and_resetting_keeps_a_thread_of_the_runtime_busy() {
    let server = Server::start().await;
    let anna = server.person("anna@example.com").await;
    let hostile = "aaaa0000bbbb1111".repeat(8);
    let calls = [
        ("/v1/accounts", json!({"email": "eve@example.com", "password": hostile})),
        ("/v1/sign-in", json!({"email": anna.email, "password": hostile})),
        ("/v1/sign-in", json!({"email": "nobody@example.com", "password": hostile})),
        ("/v1/sign-in", json!({"email": anna.email, "password": hostile, "opening_code": "0000-0000-0000"})),
        ("/v1/password-resets", json!({"email": anna.email})),
        ("/v1/accounts/me/methods/totp", json!({})),
    ];
    for (path, body) in calls {
        let mut best = Duration::MAX;
        for _ in 0..3 {
            let call = server.post(path).bearer(&anna.session).json(&body);
            let (answer, longest) = Polls::of(call.send_unread()).await;
            assert!(answer < 500, "{path}: {answer}");
            best = best.min(longest);
        }
        assert!(best < LONGEST, "{path}: {best:?}");
    }
}
