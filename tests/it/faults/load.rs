//! Load, and what its callers were promised: accounts, identity checks by mail, and numbers added by text.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::fake_gateway::FakeGateway;
use crate::support::{Answer, Client, Server, Watcher, eventually};

/// A code that does not come in this time is not waited for: its worker is down, and others are written.
const PATIENCE: Duration = Duration::from_secs(5);
/// Histories that are read event by event in the end; of all others, that they are there.
const READ_CLOSELY: usize = 300;
/// Events that order a message.
const ORDERS: [&str; 4] = ["CodeIssued", "CodeResent", "MethodEnabled", "TwoFactorEnabled"];

/// What was acknowledged for one account.
#[derive(Debug, Clone, Default)]
pub struct Promised {
    /// The account.
    pub account: String,
    /// The verification and its token, when its start was acknowledged.
    pub verification: Option<(String, String)>,
    /// Whether its second factor was.
    pub has_method: bool,
}

/// Writers at work.
pub struct Load {
    promised: Arc<Mutex<BTreeMap<u64, Promised>>>,
    progress: Arc<AtomicU64>,
    stopping: Arc<AtomicBool>,
    writers: JoinSet<()>,
}

impl Load {
    /// Starts as many writers, each with this client's credential. What gets no answer is asked again with its
    /// key, in the next life of whoever died.
    pub fn start(client: &Client, writers: usize, texts: Option<&FakeGateway>) -> Self {
        let mut load = Self {
            promised: Arc::default(),
            progress: Arc::default(),
            stopping: Arc::default(),
            writers: JoinSet::new(),
        };
        let serial = Arc::new(AtomicU64::new(1));
        for _ in 0..writers {
            let writer = Writer {
                client: client.clone(),
                promised: Arc::clone(&load.promised),
                progress: Arc::clone(&load.progress),
                texts: texts.cloned(),
            };
            let (serial, stopping) = (Arc::clone(&serial), Arc::clone(&load.stopping));
            load.writers.spawn(async move {
                while !stopping.load(Ordering::SeqCst) {
                    writer.one(serial.fetch_add(1, Ordering::SeqCst)).await;
                }
            });
        }
        load
    }

    /// Waits until as many more commands were acknowledged.
    pub async fn until_more(&self, count: u64) {
        let before = self.progress.load(Ordering::SeqCst);
        eventually("load", || async { (self.progress.load(Ordering::SeqCst) > before + count).then_some(()) }).await;
    }

    /// Lets the writers finish what they are at; what was promised.
    pub async fn stop(self) -> Vec<Promised> {
        self.stopping.store(true, Ordering::SeqCst);
        self.writers.join_all().await;
        let promised = std::mem::take(&mut *self.promised.lock().unwrap());
        promised.into_values().collect()
    }
}

#[derive(Clone)]
struct Writer {
    client: Client,
    promised: Arc<Mutex<BTreeMap<u64, Promised>>>,
    progress: Arc<AtomicU64>,
    texts: Option<FakeGateway>,
}

impl Writer {
    /// An account, from its registration to its second factor, as far as it gets.
    async fn one(&self, number: u64) {
        let email = format!("load-{number}@example.com");
        let body = json!({"email": email, "email_verified": true});
        let account = self.ask(number, "/v1/accounts", body).await.expect(201);
        let account = account["account_id"].as_str().unwrap().to_owned();
        let keep = |change: &dyn Fn(&mut Promised)| {
            change(self.promised.lock().unwrap().entry(number).or_default());
        };
        keep(&|promised| promised.account.clone_from(&account));

        let body = json!({"purpose": "add_method", "account_id": account});
        let answer = self.ask(number, "/v1/verifications", body).await.expect(201);
        let verification = if answer["verification"].is_object() { &answer["verification"] } else { &answer };
        let text = |field: &str| verification[field].as_str().unwrap().to_owned();
        let (id, token) = (text("id"), text("token"));
        keep(&|promised| promised.verification = Some((id.clone(), token.clone())));

        let Some(code) = self.within_patience(|| self.mailed(&email)).await else { return };
        let attempts = format!("/v1/verifications/{id}/attempts");
        self.ask(number, &attempts, json!({"method": "email", "code": code})).await.expect(200);
        let phone = format!("+43660{:07}", 1_000_000 + number);
        let path = format!("/v1/accounts/{account}/methods/sms");
        let started = self.ask(number, &path, json!({"phone_number": phone})).await.expect(201);
        let Some(code) = self.within_patience(|| self.texted(&phone)).await else { return };
        let path = format!("/v1/accounts/{account}/methods/{}/enable", started["method_id"]);
        self.ask(number, &path, json!({"code": code})).await.expect(200);
        keep(&|promised| promised.has_method = true);
    }

    /// Asks until there is an answer. The key makes it one command, however often it is asked.
    async fn ask(&self, number: u64, path: &str, body: Value) -> Answer {
        let last = path.rsplit('/').next().unwrap_or_default();
        let client = self.client.header("Idempotency-Key", &format!("{number}-{last}"));
        let body = body.to_string().into_bytes();
        let answer = eventually(path, || async {
            let sent = client.try_send(reqwest::Method::POST, path, Some(body.clone()), "application/json").await;
            // A polite refusal at the moment of the end is no promise.
            sent.ok().filter(|answer| answer.status != 503)
        })
        .await;
        self.progress.fetch_add(1, Ordering::SeqCst);
        answer
    }

    async fn within_patience<F: Future<Output = Option<String>>>(&self, mut ask: impl FnMut() -> F) -> Option<String> {
        let asked = async {
            loop {
                if let Some(code) = ask().await {
                    return code;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(PATIENCE, asked).await.ok()
    }

    async fn mailed(&self, to: &str) -> Option<String> {
        let path = format!("/dev/inbox.json?to={}", to.replace('+', "%2B"));
        let answer = self.client.try_send(reqwest::Method::GET, &path, None, "").await.ok()?;
        let code = answer.body["items"].as_array()?.iter().find_map(|message| message["code"].as_str())?;
        Some(code.to_owned())
    }

    async fn texted(&self, to: &str) -> Option<String> {
        match &self.texts {
            Some(gateway) => gateway.code(to),
            None => self.mailed(to).await,
        }
    }
}

/// Looks at everything after the faults: what was lost is nothing.
pub async fn nothing_was_lost(server: &Server, promised: &[Promised], texts: Option<&FakeGateway>) {
    assert!(promised.len() > 20, "there was load: {}", promised.len());
    let client = server.client_with("accounts:write");
    let watcher = Watcher::new(server);

    // Every acknowledged command is in the log.
    for promised in promised {
        let path = format!("/v1/accounts/{}", promised.account);
        let answer = client.get(&path).await;
        assert_eq!(answer.status, 200, "an acknowledged account is gone: {}", answer.body);
        if let Some((id, token)) = &promised.verification {
            let answer = server.client().with(token).get(&format!("/v1/verifications/{id}")).await;
            assert_eq!(answer.status, 200, "an acknowledged verification is gone: {}", answer.body);
        }
    }

    // Views that lost their database or their process take their time, and then are there for good.
    let path = format!("/v1/audit/accounts/{}/history", promised[0].account);
    eventually("the views after the faults", || async {
        (watcher.client.get(&path).await.status == 200).then_some(())
    })
    .await;

    // Once, though it was asked for several times; and every message that it ordered has its outcome on record.
    // An attempt that a dead worker left is taken for unknown after 30 seconds.
    server.advance(31);
    let step = promised.len().div_ceil(READ_CLOSELY);
    for promised in promised.iter().step_by(step) {
        let history = eventually("the outcome of every message", || async {
            let history = watcher.history(&promised.account).await;
            unsettled(&history).is_none().then_some(history)
        })
        .await;
        let count = |name: &str| history.iter().filter(|event| event["type"] == name).count();
        assert_eq!(count("AccountRegistered"), 1, "{}", promised.account);
        assert_eq!(count("VerificationStarted"), usize::from(promised.verification.is_some()), "{}", promised.account);
        assert_eq!(count("MethodEnabled"), usize::from(promised.has_method), "{}", promised.account);
        let own = history.iter().filter(|event| event["stream"].as_str().unwrap().starts_with("account-"));
        assert!(own.map(|event| event["at"].as_str()).is_sorted(), "a history runs backwards: {history:?}");
        assert!(history.iter().all(|event| !is_sent_late(event)), "a code was sent after its end: {history:?}");
        if let Some(texts) = texts {
            texts.agrees_with(&history);
        }
    }
    every_view_equals_a_replay(server);
    let (ok, out, err) = server.try_command(&["doctor"]);
    assert!(ok, "{out}{err}");
}

/// Every view is what a fresh replay of the log makes.
pub fn every_view_equals_a_replay(server: &Server) {
    let report = server.command(&["projections", "rebuild", "all", "--json"]);
    let views: Vec<Value> = report.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(views.len() >= 7, "{report}");
    for view in views {
        assert_eq!(view["live_digest"], view["rebuilt_digest"], "a view differs from a fresh replay: {view}");
    }
}

/// The first order of a history whose outcome is not on record.
fn unsettled(history: &[Value]) -> Option<&Value> {
    let orders = history.iter().filter(|event| ORDERS.contains(&event["type"].as_str().unwrap_or_default()));
    orders.into_iter().find(|order| {
        let last = delivery(history, order).last().map(|event| (event["type"].as_str(), &event["data"]));
        !match last {
            Some((Some("CodeDispatched" | "CodeDelivered" | "SendOutcomeUnknown"), _)) => true,
            Some((Some("CodeDeliveryFailed"), data)) => data["is_final"] == true,
            _ => false,
        }
    })
}

/// What became of an order, in order.
pub fn delivery<'a>(history: &'a [Value], order: &Value) -> impl Iterator<Item = &'a Value> {
    let stream = format!("delivery-{}", order["id"].as_str().unwrap());
    history.iter().filter(move |event| event["stream"] == stream.as_str())
}

/// Whether a send began after the end of what it sends. RFC 3339 times of one form compare as text.
fn is_sent_late(event: &Value) -> bool {
    event["type"] == "SendStarted" && event["at"].as_str().unwrap() >= event["data"]["deadline"].as_str().unwrap()
}
