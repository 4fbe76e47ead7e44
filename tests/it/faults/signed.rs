//! Receipts as providers sign them: written once more, from their documentation.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use reqwest::Method;
use serde_json::json;
use sha1::Sha1;
use sha2::Sha256;

use super::fake_gateway::{SECRET, Text};
use crate::support::{Answer, Client};

/// What a provider posts.
#[derive(Debug, Clone)]
pub struct Receipt {
    path: String,
    content_type: &'static str,
    headers: Vec<(&'static str, String)>,
    body: String,
}

impl Receipt {
    /// Standard Webhooks: HMAC-SHA-256 over `<id>.<timestamp>.<body>`.
    pub fn by_webhook(text: &Text, state: &str, now: u64) -> Self {
        let data = json!({"reference": text.reference, "attempt": text.attempt, "state": state});
        let body = json!({"type": "sms.receipt", "data": data}).to_string();
        let (id, timestamp) = (format!("receipt-{}-{state}", text.attempt), now.to_string());
        let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
        mac.update(format!("{id}.{timestamp}.{body}").as_bytes());
        let signature = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
        let headers = vec![("webhook-id", id), ("webhook-timestamp", timestamp), ("webhook-signature", signature)];
        Self { path: below(text), content_type: "application/json", headers, body }
    }

    /// Twilio: HMAC-SHA-1 over the address, then each parameter in the order of its name.
    pub fn by_twilio(text: &Text, state: &str) -> Self {
        let parameters = [
            ("AccountSid", "AC0123456789abcdef0123456789abcdef"),
            ("From", "+15005550006"),
            ("MessageSid", "SM00000000000000000000000000000001"),
            ("MessageStatus", state),
            ("To", &text.to),
        ];
        let mut mac = Hmac::<Sha1>::new_from_slice(SECRET.as_bytes()).unwrap();
        mac.update(text.receipts.as_deref().expect("an address for receipts").as_bytes());
        for (name, value) in parameters {
            mac.update(format!("{name}{value}").as_bytes());
        }
        let headers = vec![("x-twilio-signature", STANDARD.encode(mac.finalize().into_bytes()))];
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();
        Self { path: below(text), content_type: "application/x-www-form-urlencoded", headers, body }
    }

    /// With the signature of another one.
    #[must_use]
    pub fn signed_as(mut self, other: &Self) -> Self {
        self.headers.clone_from(&other.headers);
        self
    }

    /// Without any.
    #[must_use]
    pub fn unsigned(mut self) -> Self {
        self.headers.clear();
        self
    }

    /// Posts it.
    pub async fn post(&self, client: &Client) -> Answer {
        let client = self.headers.iter().fold(client.clone(), |client, (name, value)| client.header(name, value));
        client.send(Method::POST, &self.path, Some(self.body.clone().into_bytes()), self.content_type).await
    }
}

/// The path and query of the address that the text came with.
fn below(text: &Text) -> String {
    let url: reqwest::Url = text.receipts.as_deref().expect("an address for receipts").parse().unwrap();
    url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()))
}
