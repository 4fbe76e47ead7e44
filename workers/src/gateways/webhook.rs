//! Text messages by an HTTP endpoint of one's own: any provider, behind a few lines of code.
//!
//! Messages and receipts are signed as Standard Webhooks has it, with the same secret. The message's id is that of
//! the send, so an endpoint that remembers ids sends no second copy when an unknown outcome is repeated.
//! `docs/webhook-gateway.md` is the contract.

mod signature;

use std::{fmt, path::PathBuf, time::Duration};

use async_trait::async_trait;
use domain::{
    delivery::{CallBack, Receipt, ReceiptRefused, ReceiptState, ReceiptVerifier},
    ids::EventId,
    secret::SecretText,
    time::Timestamp,
};
use reqwest::{Client, Url, header};
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use zeroize::Zeroizing;

use self::signature::SigningKey;
use super::{InvalidOption, checked_name, http, receipts_url};
use crate::gateway::{Accepted, GatewayError, SmsGateway, SmsMessage};

/// How texts leave by a webhook.
#[derive(Debug, Clone)]
pub struct WebhookOptions {
    /// What events, views and metrics call it; stands in the path of its receipts.
    pub name: String,
    /// Where messages are posted.
    pub url: String,
    /// Whether that may be plain HTTP to another machine (within a network of one's own).
    pub allow_http: bool,
    /// The secrets, the current one first. Messages are signed with all, receipts may be with any.
    pub secrets: Vec<SecretText>,
    /// Where the endpoint reaches this server. Left out, it is not told where receipts go.
    pub public_url: Option<String>,
    /// Certificates (PEM) of those who may vouch for the endpoint; left out, those that the system trusts.
    pub ca_file: Option<PathBuf>,
    /// A request that took this long is over, and may have arrived. At most 20 s.
    pub timeout: Duration,
}

impl WebhookOptions {
    /// Options for this endpoint and secret, everything else as it is by default.
    pub fn new(url: impl Into<String>, secret: SecretText) -> Self {
        Self {
            name: "webhook".to_owned(),
            url: url.into(),
            allow_http: false,
            secrets: vec![secret],
            public_url: None,
            ca_file: None,
            timeout: Duration::from_secs(10),
        }
    }

    fn keys(&self) -> Result<Vec<SigningKey>, InvalidOption> {
        if self.secrets.is_empty() {
            return Err(InvalidOption::new("secret", "is missing", "give the secret that signs messages"));
        }
        self.secrets.iter().map(SigningKey::parse).collect()
    }
}

/// A message, as it is posted.
#[derive(Serialize)]
struct Posted<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    timestamp: Timestamp,
    data: PostedMessage<'a>,
}

#[derive(Serialize)]
struct PostedMessage<'a> {
    reference: Uuid,
    attempt: u32,
    to: &'a str,
    body: &'a str,
    expires_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    receipt_url: Option<&'a str>,
}

/// The gateway.
pub struct WebhookGateway {
    name: String,
    client: Client,
    url: Url,
    keys: Vec<SigningKey>,
    receipts: Option<String>,
}

impl WebhookGateway {
    /// A gateway by these options.
    pub fn new(options: &WebhookOptions) -> Result<Self, InvalidOption> {
        checked_name(&options.name)?;
        let receipts = options.public_url.as_deref();
        Ok(Self {
            name: options.name.clone(),
            client: http::client(options.timeout, options.ca_file.as_deref())?,
            url: http::address("url", &options.url, options.allow_http)?,
            keys: options.keys()?,
            receipts: receipts.map(|url| receipts_url(url, &options.name)),
        })
    }
}

#[async_trait]
impl SmsGateway for WebhookGateway {
    fn name(&self) -> &str {
        &self.name
    }

    async fn send(&self, message: &SmsMessage) -> Result<Accepted, GatewayError> {
        #[derive(Deserialize)]
        struct Taken {
            id: Option<String>,
            #[serde(default)]
            delivered: bool,
        }
        let posted = Posted {
            kind: "sms.send",
            timestamp: message.at,
            data: PostedMessage {
                reference: message.reference,
                attempt: message.attempt,
                to: &message.to,
                body: message.body.expose(),
                expires_at: message.expires_at,
                receipt_url: self.receipts.as_deref(),
            },
        };
        let body = serde_json::to_vec(&posted).map(Zeroizing::new).map_err(|_| GatewayError::hard("unsendable"))?;
        let id = format!("msg_{}", message.reference.simple());
        let timestamp = message.at.as_seconds().to_string();
        let request = self
            .client
            .post(self.url.clone())
            .header(header::CONTENT_TYPE, "application/json")
            .header("webhook-signature", signature::sign(&self.keys, &id, &timestamp, &body))
            .header("webhook-id", id)
            .header("webhook-timestamp", timestamp)
            .body(body.to_vec());
        let reply = http::send(request).await?;
        if !reply.is_success() {
            return Err(http::failure(reply.status));
        }
        let taken = serde_json::from_slice::<Taken>(&reply.body).ok();
        let is_delivered = taken.as_ref().is_some_and(|taken| taken.delivered);
        let id = taken.and_then(|taken| taken.id).and_then(|id| http::provider_id(&id, &message.to));
        Ok(Accepted { provider_message_id: id, is_delivered })
    }
}

impl fmt::Debug for WebhookGateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WebhookGateway({})", self.name)
    }
}

/// Reads the receipts of a webhook.
pub struct WebhookReceipts {
    name: String,
    keys: Vec<SigningKey>,
}

impl WebhookReceipts {
    /// A verifier by the same options as the gateway's.
    pub fn new(options: &WebhookOptions) -> Result<Self, InvalidOption> {
        checked_name(&options.name)?;
        Ok(Self { name: options.name.clone(), keys: options.keys()? })
    }
}

impl ReceiptVerifier for WebhookReceipts {
    fn gateway(&self) -> &str {
        &self.name
    }

    fn read(&self, call_back: &CallBack<'_>) -> Result<Receipt, ReceiptRefused> {
        #[derive(Deserialize)]
        struct Posted {
            data: Told,
        }
        #[derive(Deserialize)]
        struct Told {
            reference: Uuid,
            attempt: u32,
            state: String,
            reason: Option<String>,
        }
        let header = |name| (call_back.header)(name).unwrap_or_default();
        let signed = (header("webhook-id"), header("webhook-timestamp"), header("webhook-signature"));
        if !signature::is_genuine(&self.keys, signed, call_back.body, call_back.now) {
            return Err(ReceiptRefused::Forged);
        }
        let posted: Posted = serde_json::from_slice(call_back.body).map_err(|_| ReceiptRefused::Unreadable)?;
        let Told { reference, attempt, state, reason } = posted.data;
        let state = match state.as_str() {
            "delivered" => ReceiptState::Delivered,
            "failed" => ReceiptState::Failed { reason: undelivered(reason.as_deref().unwrap_or_default()) },
            "pending" => ReceiptState::Pending,
            _ => return Err(ReceiptRefused::Unreadable),
        };
        Ok(Receipt { order_id: EventId(reference), attempt, state })
    }
}

impl fmt::Debug for WebhookReceipts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WebhookReceipts({})", self.name)
    }
}

/// The words that are kept; any other is the endpoint's own, and may quote the number.
fn undelivered(reason: &str) -> &'static str {
    match reason {
        "unreachable" => "hard.unreachable",
        "blocked" => "hard.blocked",
        "invalid_number" => "hard.invalid_number",
        "not_mobile" => "hard.not_mobile",
        "filtered" => "hard.filtered",
        "too_late" => "hard.too_late",
        _ => "hard.undelivered",
    }
}

#[cfg(test)]
mod tests;
