//! A command on its way in: its body, and what the rules want to know of the request.

use axum::{
    body::Bytes,
    extract::{FromRequest, Request},
    http::{HeaderMap, Method},
};
use domain::{
    ids::CommandId,
    time::Seconds,
    values::{Caller, Origin},
};
use engine::{self, Idempotency};
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::{
    VerificationRef, body,
    origin::{end_user, origin},
};
use crate::{
    headers,
    problem::Problem,
    state::{App, AppState},
};

/// The id of a request; events carry it as their correlation id.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RequestId(pub Uuid);

/// An answer is kept this long for its idempotency key.
const ANSWERS_LIVE: Seconds = Seconds::hours(24);
/// One with a session token, this long.
const TOKENS_LIVE: Seconds = Seconds::minutes(10);

/// A command's request.
pub(crate) struct Incoming<T> {
    /// The body.
    pub body: T,
    /// The source of the request.
    pub origin: Origin,
    correlation_id: Uuid,
    trace_parent: Option<String>,
    key: Option<Key>,
    headers: HeaderMap,
}

/// What an idempotency key is bound to.
struct Key {
    text: String,
    method: Method,
    path: String,
    body: Bytes,
}

impl<T: DeserializeOwned> FromRequest<App> for Incoming<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        Self::receive(request, app, body::parse).await
    }
}

impl<T> Incoming<T> {
    /// Receives a request whose body is read like this.
    pub async fn receive(
        request: Request,
        app: &App,
        parse: impl FnOnce(&HeaderMap, &[u8]) -> Result<T, Problem>,
    ) -> Result<Self, Problem> {
        let (parts, stream) = request.into_parts();
        let key = idempotency_key(&parts.headers)?;
        let bytes = body::bytes(&parts.headers, stream, app.config.body_limit).await?;
        let value = parse(&parts.headers, &bytes)?;
        let key =
            key.map(|text| Key { text, method: parts.method.clone(), path: parts.uri.path().to_owned(), body: bytes });
        let correlation_id = parts.extensions.get::<RequestId>().map_or(Uuid::nil(), |RequestId(id)| *id);
        let origin = origin(&parts, app);
        let trace_parent = trace_parent(&parts.headers);
        Ok(Self { body: value, origin, correlation_id, trace_parent, key, headers: parts.headers })
    }
}

/// How long the answer may be repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answers {
    /// As usual.
    Usual,
    /// It carries a session token.
    SessionToken,
}

impl<T> Incoming<T> {
    /// The engine's request of this caller.
    pub fn request(&self, app: &AppState, caller: Caller) -> Result<engine::Request, Problem> {
        self.request_for(app, caller, Answers::Usual)
    }
    /// The engine's request for what is recorded of a query: each reading is one of its own, whatever its key.
    pub fn read_request(&self, app: &AppState, caller: Caller) -> Result<engine::Request, Problem> {
        let (entropy, origin) = (app.entropy()?, self.origin_of(&caller)?);
        Ok(engine::Request {
            caller,
            origin,
            command_id: CommandId(entropy.uuid(app.now(), "command")),
            idempotency: None,
            correlation_id: self.correlation_id,
            causation_id: None,
            trace_parent: self.trace_parent.clone(),
        })
    }
    /// The engine's request of this caller, for an answer of this kind.
    pub fn request_for(&self, app: &AppState, caller: Caller, answers: Answers) -> Result<engine::Request, Problem> {
        let idempotency = self.key.as_ref().map(|key| Idempotency {
            key: self.key_hash(app, key, &caller, ""),
            body: app.engine.keys().ring().lookup_hash("idempotency body", &key.bound()),
            lives: match answers {
                Answers::Usual => ANSWERS_LIVE,
                Answers::SessionToken => TOKENS_LIVE,
            },
        });
        let (command_id, origin) = (CommandId(self.fresh_uuid(app, &caller, "command")?), self.origin_of(&caller)?);
        Ok(engine::Request {
            caller,
            origin,
            command_id,
            idempotency,
            correlation_id: self.correlation_id,
            causation_id: None,
            trace_parent: self.trace_parent.clone(),
        })
    }
    /// A new id: random, or the same for the same idempotency key, so that two copies of a request that
    /// arrive together are one command on one stream.
    pub fn fresh_uuid(&self, app: &AppState, caller: &Caller, label: &str) -> Result<Uuid, Problem> {
        match &self.key {
            None => {
                let entropy = app.entropy()?;
                Ok(entropy.uuid(app.now(), label))
            }
            Some(key) => {
                // A key may be used again for something else once its answer is forgotten.
                let day = app.now().as_seconds() / 86_400;
                let hash = self.key_hash(app, key, caller, &format!("{label} {day}"));
                let mut bytes = [0; 16];
                bytes.copy_from_slice(&hash[..16]);
                Ok(uuid::Builder::from_custom_bytes(bytes).into_uuid())
            }
        }
    }
    /// The verification that the caller names as its authorization.
    pub fn verification(&self) -> Result<Option<VerificationRef>, Problem> {
        let Some(value) = self.headers.get(headers::VERIFICATION) else { return Ok(None) };
        value
            .to_str()
            .ok()
            .and_then(|text| text.trim().parse().ok())
            .map(Some)
            .ok_or_else(|| Problem::invalid("Countersign-Verification", "must be the id of a verification"))
    }

    fn origin_of(&self, caller: &Caller) -> Result<Origin, Problem> {
        Ok(Origin { end_user_ip: end_user(&self.headers, caller)?, ..self.origin.clone() })
    }

    fn key_hash(&self, app: &AppState, key: &Key, caller: &Caller, part: &str) -> [u8; 32] {
        let holder = match caller {
            Caller::Session(id) => format!("session {id}"),
            Caller::AccessToken(id) => format!("access token {id}"),
            Caller::Verification(id) => format!("verification {id}"),
            Caller::ApiClient(id, _) => format!("api client {id}"),
            Caller::Anonymous | Caller::Worker | Caller::Operator => format!("source {}", self.origin.network()),
        };
        app.engine.keys().ring().lookup_hash("idempotency", &format!("{holder}\n{part}\n{}", key.text))
    }
}

impl Key {
    /// Everything that must be the same for the request to be the same. A path has no line breaks, so the
    /// parts stay apart; the body was parsed as JSON before, so it is text.
    fn bound(&self) -> String {
        let body = String::from_utf8_lossy(&self.body);
        format!("{}\n{}\n{body}", self.method, self.path)
    }
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let mut lines = headers.get_all(headers::IDEMPOTENCY_KEY).iter();
    let Some(value) = lines.next() else { return Ok(None) };
    let invalid = || Problem::invalid("Idempotency-Key", "must be one header of 1 to 255 visible ASCII characters");
    let bytes = value.as_bytes();
    let visible = (1..=255).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_graphic);
    if !visible || lines.next().is_some() {
        return Err(invalid());
    }
    String::from_utf8(bytes.to_vec()).map(Some).map_err(|_| invalid())
}

/// The `traceparent` of W3C Trace Context, when it has its form; anything else is left out, not refused.
fn trace_parent(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(headers::TRACE_PARENT)?.to_str().ok()?;
    let mut parts = text.split('-');
    let hex = |part: &str, length: usize| part.len() == length && part.bytes().all(|b| b.is_ascii_hexdigit());
    let formed = [2, 32, 16, 2].iter().all(|length| parts.next().is_some_and(|part| hex(part, *length)));
    (formed && parts.next().is_none()).then(|| text.to_ascii_lowercase())
}
