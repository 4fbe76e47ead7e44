//! An HTTP client that remembers how far its commands brought the log, and reads nothing older.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU64, Ordering},
};

use reqwest::{Method, StatusCode, header::HeaderMap};
use serde_json::Value;

use super::{
    MailCatcher, eventually,
    leaks::{self, Secrets},
};

/// What the clients call themselves; personal like an address, so no file may hold it.
pub const USER_AGENT: &str = "CountersignJourney/7.3 (Testbrowser)";

/// A client with at most one credential.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    base: Arc<Mutex<String>>,
    token: Option<String>,
    headers: Vec<(String, String)>,
    position: Arc<AtomicU64>,
    secrets: Arc<Secrets>,
    mail: Option<MailCatcher>,
}

/// What came back.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Status.
    pub status: StatusCode,
    /// Headers.
    pub headers: HeaderMap,
    /// Body; `null` when it is no JSON.
    pub body: Value,
}

impl Answer {
    /// Asserts the status and hands the body on.
    #[track_caller]
    pub fn expect(self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", self.body);
        self.body
    }
    /// Asserts a refusal: its status, its code, and that it is a problem document.
    #[track_caller]
    pub fn refused(self, status: u16, code: &str) -> Value {
        assert_eq!((self.status.as_u16(), self.body["code"].as_str()), (status, Some(code)), "{}", self.body);
        assert_eq!(self.header("content-type"), Some("application/problem+json"));
        assert_eq!(self.body["status"], status);
        assert!(self.body["title"].is_string(), "{}", self.body);
        self.body
    }
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

impl Client {
    pub(super) fn new(
        base: Arc<Mutex<String>>,
        position: Arc<AtomicU64>,
        secrets: Arc<Secrets>,
        mail: Option<MailCatcher>,
    ) -> Self {
        let http = reqwest::Client::builder().user_agent(USER_AGENT).build().expect("a client");
        Self { http, base, token: None, headers: Vec::new(), position, secrets, mail }
    }
    /// The same client with a bearer token.
    #[must_use]
    pub fn with(&self, token: &str) -> Self {
        self.secrets.remember(token);
        Self { token: Some(token.to_owned()), ..self.clone() }
    }
    /// The same client with one more header.
    #[must_use]
    pub fn header(&self, name: &str, value: &str) -> Self {
        let mut client = self.clone();
        client.headers.push((name.to_owned(), value.to_owned()));
        client
    }
    /// Its bearer token.
    pub fn token(&self) -> &str {
        self.token.as_deref().unwrap_or_default()
    }

    /// Sends a request as it is.
    pub async fn send(&self, method: Method, path: &str, body: Option<Vec<u8>>, content_type: &str) -> Answer {
        self.try_send(method, path, body, content_type).await.expect("the server answers")
    }

    /// Sends a request that may find nobody there.
    pub async fn try_send(
        &self,
        method: Method,
        path: &str,
        body: Option<Vec<u8>>,
        content_type: &str,
    ) -> Result<Answer, reqwest::Error> {
        let is_query = method == Method::GET;
        let url = self.base.lock().unwrap().clone() + path;
        let mut request = self.http.request(method, url);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let position = self.position.load(Ordering::SeqCst);
        if is_query && position > 0 {
            request = request.header("Countersign-Min-Position", position.to_string());
        }
        if let Some(body) = body {
            if let Ok(document) = serde_json::from_slice(&body) {
                self.secrets.remember_fields(&document, &leaks::ASKED);
            }
            request = request.header("content-type", content_type).body(body);
        }
        let response = request.send().await?;
        let (status, headers) = (response.status(), response.headers().clone());
        let text = response.bytes().await?;
        let body = serde_json::from_slice(&text).unwrap_or(Value::Null);
        // A problem document's code is a stable word.
        if status.is_success() {
            self.secrets.remember_fields(&body, &leaks::ANSWERED);
        }
        let answer = Answer { status, headers, body };
        if let Some(reached) = answer.header("countersign-position").and_then(|text| text.parse().ok())
            && !is_query
        {
            self.position.fetch_max(reached, Ordering::SeqCst);
        }
        Ok(answer)
    }

    /// GET.
    pub async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, None, "").await
    }
    /// POST of a JSON body.
    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.json(Method::POST, path, &body).await
    }
    /// PUT of a JSON body.
    pub async fn put(&self, path: &str, body: Value) -> Answer {
        self.json(Method::PUT, path, &body).await
    }
    /// PATCH of a JSON body.
    pub async fn patch(&self, path: &str, body: Value) -> Answer {
        self.json(Method::PATCH, path, &body).await
    }
    /// DELETE.
    pub async fn delete(&self, path: &str) -> Answer {
        self.send(Method::DELETE, path, None, "").await
    }
    async fn json(&self, method: Method, path: &str, body: &Value) -> Answer {
        self.send(method, path, Some(body.to_string().into_bytes()), "application/json").await
    }

    /// All messages to an address or number, newest first.
    pub async fn inbox(&self, to: &str) -> Vec<Value> {
        if let Some(mail) = self.mail.as_ref().filter(|_| to.contains('@')) {
            let mails = mail.inbox(to);
            for mail in &mails {
                self.secrets.remember_fields(mail, &leaks::ANSWERED);
            }
            return mails;
        }
        let answer = self.get(&format!("/dev/inbox.json?to={}", to.replace('+', "%2B"))).await;
        answer.expect(200)["items"].as_array().expect("a list").clone()
    }

    /// Waits until there are at least this many messages; the newest first.
    pub async fn messages(&self, to: &str, count: usize) -> Vec<Value> {
        let what = format!("message {count} to {to}");
        eventually(&what, || async {
            let messages = self.inbox(to).await;
            (messages.len() >= count).then_some(messages)
        })
        .await
    }

    /// Waits for the code of the `count`th message with a code to an address or number.
    pub async fn code(&self, to: &str, count: usize) -> String {
        let what = format!("code {count} to {to}");
        eventually(&what, || async {
            let codes: Vec<String> =
                self.inbox(to).await.iter().filter_map(|message| message["code"].as_str().map(str::to_owned)).collect();
            // Newest first.
            (codes.len() >= count).then(|| codes[codes.len() - count].clone())
        })
        .await
    }
}
