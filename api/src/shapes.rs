//! How the domain's words look in JSON: the shapes that several endpoints share, and how answers are written.

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use domain::{
    ids::{AccountId, MethodId, SessionId},
    outcome::{
        self, CodeSent, MethodView, OfferedMethod, RememberedDevice, StartedVerification, VerificationStatus,
        VerificationView,
    },
    secret::SecretText,
    time::{Seconds, Timestamp},
    values::{Aal, Amr, Caller, FactorKind, MethodKind, Purpose},
};
use engine::Executed;
use projections::queries::MethodRow;
use schemas::envelope::Position;
use serde::Serialize;
use utoipa::ToSchema;
use vault::{Token, TokenKind};

use crate::{
    extract::VerificationRef,
    headers,
    problem::Problem,
    words::{AalWord, AmrWord, FactorKindWord, MethodKindWord, PurposeWord, StatusWord},
};

/// A one-time code, a password or a token, as it is written once and then wiped.
pub(crate) type Shown = SecretText;

/// A successful answer: status, JSON, and how far the log or the view had got.
pub(crate) struct Answer<T> {
    status: StatusCode,
    body: Option<T>,
    position: Option<Position>,
    replayed: bool,
}

impl<T: Serialize> Answer<T> {
    pub fn new(status: StatusCode, body: T) -> Self {
        Self { status, body: Some(body), position: None, replayed: false }
    }
    pub fn ok(body: T) -> Self {
        Self::new(StatusCode::OK, body)
    }
    pub fn at(mut self, position: Position) -> Self {
        self.position = Some(position);
        self
    }
    pub fn after(mut self, reached: Reached) -> Self {
        self.position = Some(reached.position);
        self.replayed = reached.replayed;
        self
    }
}

impl Answer<()> {
    /// Done, with nothing to tell.
    pub fn done(reached: Reached) -> Self {
        Self { status: StatusCode::NO_CONTENT, body: None, position: None, replayed: false }.after(reached)
    }
}

impl<T: Serialize> IntoResponse for Answer<T> {
    fn into_response(self) -> Response {
        let mut response = match &self.body {
            None => Response::new(Body::empty()),
            Some(body) => match serde_json::to_vec(body) {
                Ok(bytes) => {
                    let mut response = Response::new(Body::from(bytes));
                    let json = HeaderValue::from_static("application/json");
                    response.headers_mut().insert(header::CONTENT_TYPE, json);
                    response
                }
                Err(error) => {
                    return Problem::internal(format!("an answer cannot be written: {error}")).into_response();
                }
            },
        };
        *response.status_mut() = self.status;
        if let Some(position) = self.position {
            response.headers_mut().insert(headers::POSITION, position.0.into());
        }
        if self.replayed {
            response.headers_mut().insert(headers::REPLAYED, HeaderValue::from_static("true"));
        }
        response
    }
}

/// How far a command got.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reached {
    pub position: Position,
    pub replayed: bool,
}

/// Takes an outcome apart: what the caller is told, or the problem.
pub(crate) fn settle(executed: Executed) -> Result<(domain::outcome::Outcome, Reached), Problem> {
    let Executed { outcome, position, replayed } = executed;
    match outcome {
        Ok(outcome) => Ok((outcome, Reached { position, replayed })),
        Err(refusal) => Err(Problem::from(refusal).at(position, replayed)),
    }
}

/// The rules answered with something that this endpoint does not know how to say.
pub(crate) fn unexpected(endpoint: &'static str) -> Problem {
    Problem::internal(format!("{endpoint}: the rules answered with another outcome"))
}

/// Takes out of an outcome what an endpoint tells.
macro_rules! told {
    ($executed:expr, $endpoint:literal, $pattern:pat => $told:expr) => {
        match $crate::shapes::settle($executed)? {
            ($pattern, reached) => ($told, reached),
            _ => return Err($crate::shapes::unexpected($endpoint)),
        }
    };
}
pub(crate) use told;

/// A session that began.
#[derive(Serialize, ToSchema)]
#[schema(as = Session)]
pub(crate) struct SessionShape {
    /// The account.
    #[schema(value_type = Uuid)]
    pub account_id: AccountId,
    /// The session.
    #[schema(value_type = Uuid)]
    pub session_id: SessionId,
    /// The bearer token of the session, told once.
    #[schema(value_type = String)]
    pub session_token: Shown,
    /// Its assurance level.
    #[schema(value_type = AalWord)]
    pub aal: Aal,
    /// How it was proved.
    #[schema(value_type = Vec<AmrWord>)]
    pub amr: Vec<Amr>,
    /// Its absolute end.
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: Timestamp,
    /// Unused this many seconds, it ends.
    #[schema(value_type = u32)]
    pub idle_timeout: Seconds,
    /// The device's token, told once: to be sent back in the header `Countersign-Device`. It opens nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub device_token: Option<Shown>,
    /// Too many wrong ones suspended the recovery codes that were brought from another system: make new ones.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(value_type = Option<bool>)]
    pub recovery_codes_suspended: bool,
}

impl SessionShape {
    pub fn new(account: AccountId, session: outcome::SignedIn) -> Self {
        let outcome::SignedIn {
            session_id,
            secret,
            aal,
            amr,
            expires_at,
            idle_timeout,
            device,
            recovery_codes_suspended,
        } = session;
        let token = |kind, id, secret| Token { kind, stream: account.0, id, secret }.encode();
        let remembered = |device: RememberedDevice| token(TokenKind::Device, device.device_id.0, device.secret);
        Self {
            account_id: account,
            session_id,
            session_token: token(TokenKind::Session, session_id.0, secret),
            aal,
            amr,
            expires_at,
            idle_timeout,
            device_token: device.map(remembered),
            recovery_codes_suspended,
        }
    }
}

/// What an optional [`SessionShape`] is to the OpenAPI document: its fields, where there is one.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes a session, never built")]
pub(crate) struct SignedIn {
    /// The account.
    account_id: Option<uuid::Uuid>,
    /// The session.
    session_id: Option<uuid::Uuid>,
    /// The bearer token of the session, told once.
    session_token: Option<String>,
    /// Its assurance level.
    #[schema(value_type = Option<AalWord>)]
    aal: Option<String>,
    /// How it was proved.
    #[schema(value_type = Option<Vec<AmrWord>>)]
    amr: Option<Vec<String>>,
    /// Its absolute end.
    #[schema(format = DateTime)]
    expires_at: Option<String>,
    /// Unused this many seconds, it ends.
    idle_timeout: Option<u32>,
    /// The device's token, told once: to be sent back in the header `Countersign-Device`. It opens nothing.
    device_token: Option<String>,
    /// Too many wrong ones suspended the recovery codes that were brought from another system: make new ones.
    recovery_codes_suspended: Option<bool>,
}

/// A code that was sent.
#[derive(Serialize, ToSchema)]
#[schema(as = CodeSent)]
pub(crate) struct CodeSentShape {
    /// Masked address or number.
    pub sent_to: String,
    /// The code's end.
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: Timestamp,
    /// No resend before.
    #[schema(value_type = String, format = DateTime)]
    pub resend_after: Timestamp,
}

impl From<CodeSent> for CodeSentShape {
    fn from(sent: CodeSent) -> Self {
        let CodeSent { sent_to, expires_at, resend_after } = sent;
        Self { sent_to, expires_at, resend_after }
    }
}

/// A verification.
#[derive(Serialize, ToSchema)]
#[schema(as = Verification)]
pub(crate) struct VerificationShape {
    /// Names it in paths and in the header `Countersign-Verification`.
    pub id: String,
    /// A bearer credential for this verification alone, told once to whoever started it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub token: Option<Shown>,
    /// What it is for.
    #[schema(value_type = PurposeWord)]
    pub purpose: Purpose,
    /// How it stands.
    #[schema(value_type = StatusWord)]
    pub status: VerificationStatus,
    /// How it may be completed, the best first.
    pub methods: Vec<OfferedMethodShape>,
    /// Its end; once verified, the end of its use.
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: Timestamp,
    /// The code that was sent by itself (the first identity check).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sent: Option<CodeSentShape>,
}

/// One way to complete a verification.
#[derive(Serialize, ToSchema)]
#[schema(as = OfferedMethod)]
pub(crate) struct OfferedMethodShape {
    /// The kind, as `method` of an attempt.
    #[schema(value_type = FactorKindWord)]
    pub kind: FactorKind,
    /// The method; none for email and recovery codes.
    #[schema(value_type = Option<u32>)]
    pub method_id: Option<MethodId>,
    /// Its label, or masked address or number.
    pub hint: Option<String>,
    /// Whether a page should show this one first.
    pub default: bool,
    /// Until when this kind is locked.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub locked_until: Option<Timestamp>,
}

impl From<OfferedMethod> for OfferedMethodShape {
    fn from(offered: OfferedMethod) -> Self {
        let OfferedMethod { kind, method_id, hint, default, locked_until } = offered;
        Self { kind, method_id, hint, default, locked_until }
    }
}

impl VerificationShape {
    /// For someone who asks how it stands.
    pub fn seen(account: AccountId, view: VerificationView, caller: &Caller) -> Self {
        let VerificationView { id, purpose, status, methods, expires_at } = view;
        let named = matches!(caller, Caller::ApiClient(..)).then_some(account);
        Self {
            id: VerificationRef { account: named, id }.to_string(),
            token: None,
            purpose,
            status,
            methods: methods.into_iter().map(Into::into).collect(),
            expires_at,
            sent: None,
        }
    }
    /// For whoever started it.
    pub fn started(account: AccountId, started: StartedVerification, caller: &Caller) -> Self {
        let StartedVerification { verification, secret, sent } = started;
        let token = Token { kind: TokenKind::Verification, stream: account.0, id: verification.id.0, secret };
        let token = Some(token.encode());
        Self { token, sent: sent.map(Into::into), ..Self::seen(account, verification, caller) }
    }
}

/// `{"verification": …}`.
#[derive(Serialize, ToSchema)]
pub(crate) struct VerificationAnswer {
    /// The verification.
    pub verification: VerificationShape,
}

/// A method.
#[derive(Serialize, ToSchema)]
#[schema(as = Method)]
pub(crate) struct MethodShape {
    /// Its number, never reused.
    #[schema(value_type = u32)]
    pub id: MethodId,
    /// Its kind.
    #[schema(value_type = MethodKindWord)]
    pub kind: MethodKind,
    /// Its name.
    pub label: Option<String>,
    /// For SMS, the masked number.
    pub phone_number: Option<String>,
    /// Whether it is the primary one.
    pub is_primary: bool,
    /// Wrong codes of its kind in a row.
    pub fail_count: u32,
    /// Until when its kind is locked.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub locked_until: Option<Timestamp>,
    /// Since when it is there.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When it last proved something.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_used: Option<Timestamp>,
}

impl From<MethodView> for MethodShape {
    fn from(view: MethodView) -> Self {
        let MethodView { id, kind, label, phone_number, is_primary, fail_count, locked_until, created_at, last_used } =
            view;
        Self { id, kind, label, phone_number, is_primary, fail_count, locked_until, created_at, last_used }
    }
}

impl From<MethodRow> for MethodShape {
    fn from(row: MethodRow) -> Self {
        Self {
            id: row.id,
            kind: row.kind,
            label: row.label,
            phone_number: row.phone_number,
            is_primary: row.is_primary,
            fail_count: row.fail_count,
            locked_until: row.locked_until,
            created_at: row.created_at,
            last_used: row.last_used,
        }
    }
}
