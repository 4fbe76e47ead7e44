//! Text messages by Twilio's REST API, and its status call-backs.

use std::{fmt, path::PathBuf, time::Duration};

use async_trait::async_trait;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use domain::{
    delivery::{CallBack, Receipt, ReceiptRefused, ReceiptState, ReceiptVerifier},
    ids::EventId,
    secret::SecretText,
};
use hmac::{Hmac, KeyInit, Mac};
use reqwest::{Client, Url, header};
use serde::Deserialize;
use sha1::Sha1;
use zeroize::Zeroizing;

use super::{InvalidOption, checked_name, http, receipts_url};
use crate::gateway::{Accepted, GatewayError, SmsGateway, SmsMessage};

/// Who texts are from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TwilioSender {
    /// A number (E.164), a short code, or an alphanumeric sender.
    From(String),
    /// A messaging service, which picks the number.
    MessagingService(String),
}

/// How texts leave by Twilio.
#[derive(Debug, Clone)]
pub struct TwilioOptions {
    /// What events, views and metrics call it; stands in the path of its receipts.
    pub name: String,
    /// The account's SID.
    pub account_sid: String,
    /// An API key to log in with: its SID and its secret. Left out, the account's token is used.
    pub api_key: Option<(String, SecretText)>,
    /// The account's token. Call-backs are signed with it, whatever is used to log in.
    pub auth_token: SecretText,
    /// Further tokens that call-backs may be signed with, while one is being replaced.
    pub other_auth_tokens: Vec<SecretText>,
    /// Who texts are from.
    pub sender: TwilioSender,
    /// Where Twilio reaches this server (`https://accounts.example.com`). Left out, no receipts are asked for.
    pub public_url: Option<String>,
    /// Another address of the API, for tests.
    pub base_url: Option<String>,
    /// Certificates (PEM) of those who may vouch for that address; left out, those that the system trusts.
    pub ca_file: Option<PathBuf>,
    /// A request that took this long is over, and may have arrived. At most 20 s.
    pub timeout: Duration,
}

impl TwilioOptions {
    /// Options for this account and sender, everything else as it is by default.
    pub fn new(account_sid: impl Into<String>, auth_token: SecretText, sender: TwilioSender) -> Self {
        Self {
            name: "twilio".to_owned(),
            account_sid: account_sid.into(),
            api_key: None,
            auth_token,
            other_auth_tokens: Vec::new(),
            sender,
            public_url: None,
            base_url: None,
            ca_file: None,
            timeout: Duration::from_secs(10),
        }
    }
}

/// The API of Twilio.
const API: &str = "https://api.twilio.com";

/// A message may wait this long in Twilio's queue at most, by its own rule.
const LONGEST_VALIDITY: i64 = 36_000;

/// The gateway.
pub struct TwilioGateway {
    name: String,
    client: Client,
    messages: Url,
    /// What whoever may send may read too, and nothing is changed by.
    harmless: Url,
    user: String,
    password: SecretText,
    sender: TwilioSender,
    receipts: Option<String>,
}

impl TwilioGateway {
    /// A gateway by these options.
    pub fn new(options: &TwilioOptions) -> Result<Self, InvalidOption> {
        checked_name(&options.name)?;
        checked_sid("account_sid", &options.account_sid, "AC")?;
        let sender_is_empty = match &options.sender {
            TwilioSender::From(from) => from.trim().is_empty(),
            TwilioSender::MessagingService(sid) => {
                checked_sid("messaging_service_sid", sid, "MG")?;
                false
            }
        };
        if sender_is_empty {
            return Err(InvalidOption::new("from", "is empty", "give the number that texts come from"));
        }
        let (user, password) = match &options.api_key {
            Some((sid, secret)) => {
                checked_sid("api_key_sid", sid, "SK")?;
                (sid.clone(), secret.clone())
            }
            None => (options.account_sid.clone(), options.auth_token.clone()),
        };
        if password.expose().is_empty() || options.auth_token.expose().is_empty() {
            return Err(InvalidOption::new("auth_token", "is empty", "give the account's token"));
        }
        let base = options.base_url.as_deref().unwrap_or(API);
        let base = http::address("base_url", base, false)?;
        let at = |path: &str| {
            let path = format!("/2010-04-01/Accounts/{}{path}", options.account_sid);
            let cure = "leave it out, or give one such as http://127.0.0.1:9000";
            base.join(&path).map_err(|_| InvalidOption::new("base_url", "is no web address", cure))
        };
        // An API key may not read the account itself.
        let harmless = if options.api_key.is_some() { "/IncomingPhoneNumbers.json?PageSize=1" } else { ".json" };
        Ok(Self {
            name: options.name.clone(),
            client: http::client(options.timeout, options.ca_file.as_deref())?,
            messages: at("/Messages.json")?,
            harmless: at(harmless)?,
            user,
            password,
            sender: options.sender.clone(),
            receipts: options.public_url.as_deref().map(|url| receipts_url(url, &options.name)),
        })
    }

    fn form(&self, message: &SmsMessage) -> Zeroizing<String> {
        let mut form = form_urlencoded::Serializer::new(String::with_capacity(600));
        form.append_pair("To", &message.to).append_pair("Body", message.body.expose());
        match &self.sender {
            TwilioSender::From(from) => form.append_pair("From", from),
            TwilioSender::MessagingService(sid) => form.append_pair("MessagingServiceSid", sid),
        };
        // What cannot be handed to a carrier while the code is valid is dropped there too.
        let left = (message.expires_at.as_millis() - message.at.as_millis()) / 1_000;
        form.append_pair("ValidityPeriod", &left.clamp(1, LONGEST_VALIDITY).to_string());
        if let Some(receipts) = &self.receipts {
            let (order, attempt) = (message.reference, message.attempt);
            form.append_pair("StatusCallback", &format!("{receipts}?order={order}&attempt={attempt}"));
        }
        Zeroizing::new(form.finish())
    }
}

fn checked_sid(option: &'static str, sid: &str, kind: &str) -> Result<(), InvalidOption> {
    let is_sid = sid.len() == 34 && sid.starts_with(kind) && sid[2..].bytes().all(|b| b.is_ascii_hexdigit());
    if is_sid {
        return Ok(());
    }
    let problem = format!("is no SID: it begins with {kind} and has 32 hexadecimal digits");
    Err(InvalidOption::new(option, problem, "copy it from Twilio's console"))
}

#[async_trait]
impl SmsGateway for TwilioGateway {
    fn name(&self) -> &str {
        &self.name
    }

    async fn send(&self, message: &SmsMessage) -> Result<Accepted, GatewayError> {
        #[derive(Deserialize)]
        struct Created {
            sid: Option<String>,
        }
        let form = self.form(message);
        let request = self
            .client
            .post(self.messages.clone())
            .basic_auth(&self.user, Some(self.password.expose()))
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(header::ACCEPT, "application/json")
            .body(form.as_bytes().to_vec());
        let reply = http::send(request).await?;
        if !reply.is_success() {
            return Err(failure(reply.status, &reply.body));
        }
        let sid = serde_json::from_slice::<Created>(&reply.body).ok().and_then(|created| created.sid);
        let provider_message_id = sid.and_then(|sid| http::provider_id(&sid, &message.to));
        Ok(Accepted { provider_message_id, is_delivered: false })
    }

    async fn check(&self) -> Option<Result<(), GatewayError>> {
        let request = self.client.get(self.harmless.clone()).basic_auth(&self.user, Some(self.password.expose()));
        match http::send(request).await {
            Ok(reply) if reply.is_success() => Some(Ok(())),
            // A key that may send and nothing else: it was let in.
            Ok(reply) if reply.status == 403 => None,
            Ok(reply) => Some(Err(failure(reply.status, &reply.body))),
            Err(error) => Some(Err(error)),
        }
    }
}

impl fmt::Debug for TwilioGateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TwilioGateway({})", self.name)
    }
}

/// What a refusal means. Its own code is more exact than the status.
fn failure(status: u16, body: &[u8]) -> GatewayError {
    #[derive(Deserialize)]
    struct Refusal {
        code: Option<u32>,
    }
    let code = serde_json::from_slice::<Refusal>(body).ok().and_then(|refusal| refusal.code);
    match code {
        Some(21_211 | 21_217 | 21_401 | 21_421) => GatewayError::hard("invalid_number"),
        Some(21_614 | 21_635) => GatewayError::hard("not_mobile"),
        Some(21_610) => GatewayError::hard("unsubscribed"),
        Some(21_408 | 21_612 | 21_704 | 30_450) => GatewayError::hard("no_route"),
        Some(21_212 | 21_603 | 21_606 | 21_607 | 21_659 | 21_660 | 21_661) => GatewayError::hard("sender_refused"),
        Some(21_602 | 21_605 | 21_617 | 21_619) => GatewayError::hard("content_refused"),
        Some(20_003 | 20_005 | 20_008) => GatewayError::hard("credentials_refused"),
        Some(14_107 | 20_429 | 21_611 | 30_001 | 30_022) => GatewayError::transient("busy"),
        _ => http::failure(status),
    }
}

/// Reads Twilio's status call-backs.
pub struct TwilioReceipts {
    name: String,
    urls: Vec<String>,
    tokens: Vec<SecretText>,
}

impl TwilioReceipts {
    /// A verifier by the same options as the gateway's; `None` when no receipts are asked for.
    pub fn new(options: &TwilioOptions) -> Result<Option<Self>, InvalidOption> {
        checked_name(&options.name)?;
        let Some(public_url) = options.public_url.as_deref() else { return Ok(None) };
        let cure = "give the address at which Twilio reaches this server";
        let no_address = || InvalidOption::new("public_url", "is no web address", cure);
        let url: Url = public_url.parse().map_err(|_| no_address())?;
        let host = url.host_str().ok_or_else(no_address)?;
        // Twilio signs an address with its port or without, depending on the product and the port.
        let port = url.port_or_known_default().map(|port| format!(":{port}")).unwrap_or_default();
        let written = |port: &str| format!("{}://{host}{port}{}", url.scheme(), url.path());
        let tokens: Vec<_> = std::iter::once(&options.auth_token).chain(&options.other_auth_tokens).cloned().collect();
        if tokens.iter().any(|token| token.expose().is_empty()) {
            return Err(InvalidOption::new("auth_token", "is empty", "give the account's token"));
        }
        Ok(Some(Self {
            name: options.name.clone(),
            urls: [public_url, &written(""), &written(&port)].map(|url| receipts_url(url, &options.name)).to_vec(),
            tokens,
        }))
    }

    /// <https://www.twilio.com/docs/usage/security#validating-requests>: HMAC-SHA-1 over the address as it was
    /// given to Twilio, then each parameter of the form in the order of its name, name and value without anything
    /// between.
    fn is_signed(&self, query: &str, parameters: &[(String, String)], signature: &[u8]) -> bool {
        let mut is_signed = false;
        for token in &self.tokens {
            for url in &self.urls {
                let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(token.expose().as_bytes()) else { continue };
                mac.update(url.as_bytes());
                if !query.is_empty() {
                    mac.update(b"?");
                    mac.update(query.as_bytes());
                }
                for (name, value) in parameters {
                    mac.update(name.as_bytes());
                    mac.update(value.as_bytes());
                }
                is_signed |= mac.verify_slice(signature).is_ok();
            }
        }
        is_signed
    }
}

impl ReceiptVerifier for TwilioReceipts {
    fn gateway(&self) -> &str {
        &self.name
    }

    fn read(&self, call_back: &CallBack<'_>) -> Result<Receipt, ReceiptRefused> {
        let signature = (call_back.header)("x-twilio-signature").and_then(|text| STANDARD.decode(text).ok());
        let mut parameters: Vec<(String, String)> = form_urlencoded::parse(call_back.body).into_owned().collect();
        parameters.sort();
        parameters.dedup();
        if !signature.is_some_and(|signature| self.is_signed(call_back.query, &parameters, &signature)) {
            return Err(ReceiptRefused::Forged);
        }
        let parameter = |wanted: &str| {
            parameters.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str()).unwrap_or_default()
        };
        let named: Vec<_> = form_urlencoded::parse(call_back.query.as_bytes()).collect();
        let named = |wanted: &str| named.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_ref());
        let order = named("order").and_then(|text| text.parse().ok()).ok_or(ReceiptRefused::Unreadable)?;
        let attempt = named("attempt").and_then(|text| text.parse().ok()).ok_or(ReceiptRefused::Unreadable)?;
        let status = match parameter("MessageStatus") {
            "" => parameter("SmsStatus"),
            status => status,
        };
        let state = match status {
            "delivered" | "read" => ReceiptState::Delivered,
            "undelivered" | "failed" | "canceled" => {
                ReceiptState::Failed { reason: undelivered(parameter("ErrorCode")) }
            }
            _ => ReceiptState::Pending,
        };
        Ok(Receipt { order_id: EventId(order), attempt, state })
    }
}

impl fmt::Debug for TwilioReceipts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TwilioReceipts({})", self.name)
    }
}

/// Why a text did not arrive (<https://www.twilio.com/docs/api/errors>).
fn undelivered(code: &str) -> &'static str {
    match code {
        "30003" => "hard.unreachable",
        "30004" | "21610" => "hard.blocked",
        "30005" | "21211" => "hard.invalid_number",
        "30006" | "21614" => "hard.not_mobile",
        "30007" | "30032" | "30034" => "hard.filtered",
        "30036" => "hard.too_late",
        _ => "hard.undelivered",
    }
}

#[cfg(test)]
mod tests;
