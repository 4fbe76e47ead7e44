//! `kill -9` at any moment: no acknowledged command is lost, and every view equals a fresh replay.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use serde_json::{Value, json};

use crate::support::{Client, Server, Watcher, eventually};

/// What one writer was promised.
#[derive(Debug, Clone, Default)]
struct Promised {
    /// Accounts whose registration was acknowledged.
    accounts: Vec<String>,
    /// Verifications whose start was acknowledged, with their token.
    verifications: Vec<(String, String)>,
}

fn rounds() -> u32 {
    std::env::var("COUNTERSIGN_KILL_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(8)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_again_and_again_under_load_it_loses_nothing() {
    let generous = "{ count = 1000000, window = 3600 }";
    let settings = crate::support::Settings::default()
        .with("policy.limits.registrations_per_source", generous)
        .with("policy.limits.sends_per_source", generous);
    let mut server = Server::start_with(settings);
    let key = server.api_key("accounts:write");
    let promised = Arc::new(Mutex::new(Promised::default()));
    let serial = Arc::new(AtomicU64::new(0));

    for round in 0..rounds() {
        let mut writers = tokio::task::JoinSet::new();
        for _ in 0..8 {
            writers.spawn(write(server.client().with(&key), Arc::clone(&promised), Arc::clone(&serial)));
        }
        // Not before something was written in this round, and then at another moment each time.
        let before = serial.load(Ordering::SeqCst);
        eventually("load", || async { (serial.load(Ordering::SeqCst) > before + 20).then_some(()) }).await;
        tokio::time::sleep(Duration::from_millis(u64::from(round * 37 % 113))).await;
        server = {
            let mut server = server;
            server.kill();
            writers.join_all().await;
            server.kill_and_restart()
        };
    }

    let promised = promised.lock().unwrap().clone();
    assert!(promised.accounts.len() > 50, "there was load: {}", promised.accounts.len());
    let watcher = Watcher::new(&server);
    let client = server.client().with(&key);
    for account in &promised.accounts {
        let answer = client.get(&format!("/v1/accounts/{account}")).await;
        assert_eq!(answer.status, 200, "an acknowledged account is gone: {account} {}", answer.body);
    }
    for (verification, token) in &promised.verifications {
        let answer = server.client().with(token).get(&format!("/v1/verifications/{verification}")).await;
        assert_eq!(answer.status, 200, "an acknowledged verification is gone: {}", answer.body);
    }
    // What a view says of them is what happened.
    let history = watcher.history(&promised.accounts[0]).await;
    assert_eq!(history[0]["type"], "AccountRegistered");

    let report = server.command(&["projections", "rebuild", "all", "--json"]);
    let views: Vec<Value> = report.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(views.len() >= 7, "{report}");
    for view in views {
        assert_eq!(view["live_digest"], view["rebuilt_digest"], "a view differs from a fresh replay: {view}");
    }
    let (ok, out, err) = server.try_command(&["doctor"]);
    assert!(ok, "{out}{err}");
}

/// Registers accounts and starts verifications until the server is gone. What has no answer is asked for
/// again with the same key in the next life, and may not happen twice.
async fn write(client: Client, promised: Arc<Mutex<Promised>>, serial: Arc<AtomicU64>) {
    loop {
        let number = serial.fetch_add(1, Ordering::SeqCst);
        let body = json!({"email": format!("crash-{number}@example.com"), "email_verified": true});
        let Some(answer) = ask(&client, "/v1/accounts", &body).await else { return };
        let account = answer["account_id"].as_str().unwrap().to_owned();
        promised.lock().unwrap().accounts.push(account.clone());
        let body = json!({"purpose": "step_up", "account_id": account, "action": "pay"});
        let Some(answer) = ask(&client, "/v1/verifications", &body).await else { return };
        let verification = if answer["verification"].is_object() { &answer["verification"] } else { &answer };
        let text = |field: &str| verification[field].as_str().unwrap().to_owned();
        promised.lock().unwrap().verifications.push((text("id"), text("token")));
    }
}

async fn ask(client: &Client, path: &str, body: &Value) -> Option<Value> {
    let body = Some(body.to_string().into_bytes());
    let answer = client.try_send(reqwest::Method::POST, path, body, "application/json").await.ok()?;
    // A polite refusal at the moment of the end is no promise.
    if answer.status == 503 {
        return None;
    }
    Some(answer.expect(201))
}
