//! The security team and the auditor, who see what a test did.

use serde_json::Value;

use super::{Client, Server};

/// Events about an account that are on other streams: what became of sends, and who read its history.
const ON_OTHER_STREAMS: [&str; 7] = [
    "SendStarted",
    "CodeDispatched",
    "CodeDelivered",
    "CodeDeliveryFailed",
    "SendOutcomeUnknown",
    "HistoryAccessed",
    "FarewellOrdered",
];

/// Looks at read models and histories.
#[derive(Debug, Clone)]
pub struct Watcher {
    /// Its client, with the scopes `security:read` and `audit:read`.
    pub client: Client,
}

impl Watcher {
    /// With a key of its own.
    pub fn new(server: &Server) -> Self {
        Self { client: server.client_with("security:read,audit:read") }
    }

    /// An account's whole history, oldest first.
    pub async fn history(&self, account: &str) -> Vec<Value> {
        let mut events = Vec::new();
        let mut cursor = String::new();
        loop {
            let path = format!("/v1/audit/accounts/{account}/history?limit=100{cursor}");
            let page = self.client.get(&path).await.expect(200);
            events.extend(page["events"].as_array().expect("events").iter().cloned());
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return events,
            }
        }
    }

    /// Where an account's history stands now.
    pub async fn mark(&self, account: &str) -> usize {
        self.own_history(account).await.len()
    }

    /// The types of the events on the account's own stream since a mark. What is on other streams comes when
    /// it comes.
    pub async fn since(&self, account: &str, mark: usize) -> Vec<String> {
        let history = self.own_history(account).await;
        history[mark..].iter().map(|event| event["type"].as_str().expect("a type").to_owned()).collect()
    }

    /// The history of the account's own stream.
    pub async fn own_history(&self, account: &str) -> Vec<Value> {
        let mut history = self.history(account).await;
        history.retain(|event| !ON_OTHER_STREAMS.contains(&event["type"].as_str().unwrap_or_default()));
        history
    }

    /// What the security team sees of an account.
    pub async fn account(&self, account: &str) -> Value {
        self.client.get(&format!("/v1/security/accounts/{account}")).await.expect(200)
    }
}
