//! How answers look. Times are epoch seconds: a text would crash the client.

use axum::{
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use domain::{
    ids::AccountNumber,
    outcome::MethodView,
    state::Account,
    time::{Seconds, Timestamp},
    values::{FactorKind, MethodKind},
};
use serde::Serialize;

use crate::{
    problem::Problem,
    shapes::{Answer, Reached, Shown},
};

/// Whole seconds since 1970.
pub(super) fn epoch(at: Timestamp) -> i64 {
    at.as_millis() / 1_000
}

/// The same rounded up, for ends: nobody should come back too early.
pub(super) fn epoch_up(at: Timestamp) -> i64 {
    (at.as_millis() + 999) / 1_000
}

/// A method.
#[derive(Serialize)]
pub(super) struct Method {
    id: u32,
    user_id: Option<u32>,
    #[serde(rename = "method")]
    kind: &'static str,
    label: Option<String>,
    phone_number: Option<String>,
    is_primary: bool,
    fail_count: u32,
    locked_until: Option<i64>,
    created_at: i64,
    last_used: Option<i64>,
}

impl Method {
    pub fn new(view: MethodView, number: Option<AccountNumber>) -> Self {
        Self {
            id: view.id.0,
            user_id: number.map(|number| number.0),
            kind: view.kind.factor().name(),
            label: view.label,
            phone_number: view.phone_number,
            is_primary: view.is_primary,
            fail_count: view.fail_count,
            locked_until: view.locked_until.map(epoch_up),
            created_at: epoch(view.created_at),
            last_used: view.last_used.map(epoch),
        }
    }
}

/// The account, as its owner sees it.
#[derive(Serialize)]
pub(super) struct Owned {
    id: Option<u32>,
    email: Option<String>,
    tfa_status: &'static str,
}

impl Owned {
    pub fn new(state: &Account) -> Self {
        Self {
            id: state.number.map(|number| number.0),
            email: state.email.as_ref().and_then(|email| email.known()).map(|email| email.as_str().to_owned()),
            tfa_status: if state.two_factor_since.is_some() { "enabled" } else { "disabled" },
        }
    }
}

/// `success`, and what there is to say.
#[derive(Serialize, Default)]
pub(super) struct Done {
    pub success: Success,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub msg: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<Shown>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backup_codes: Option<Vec<Shown>>,
    /// Absent when none remain: that is how the client learns that two-factor authentication is off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remaining_methods: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<Method>,
}

/// Always `true`.
#[derive(Default)]
pub(super) struct Success;

impl Serialize for Success {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bool(true)
    }
}

impl Done {
    pub fn saying(msg: &'static str) -> Self {
        Self { msg: Some(msg), ..Self::default() }
    }
    /// A code is on its way, and its check has this handle.
    pub fn sent(secret: Shown) -> Self {
        Self { msg: Some(SENT), secret: Some(secret), ..Self::default() }
    }
    pub fn after(self, reached: Reached) -> Response {
        Answer::ok(self).after(reached).into_response()
    }
}

/// The contract's words.
pub(super) const SENT: &str = "2FA Sent";
/// The contract's words.
pub(super) const AUTHORIZED: &str = "Authorization successful.";
/// The contract's words.
pub(super) const DISABLED: &str = "2FA Successfully Disabled";

/// What a kind is called.
pub(super) fn kind_of(name: &str) -> Option<FactorKind> {
    [FactorKind::Totp, FactorKind::Sms, FactorKind::Email].into_iter().find(|kind| kind.name() == name)
}

/// The kind of a factor that can be enrolled.
pub(super) const fn method_kind(kind: FactorKind) -> Option<MethodKind> {
    match kind {
        FactorKind::Totp => Some(MethodKind::Totp),
        FactorKind::Sms => Some(MethodKind::Sms),
        FactorKind::Email | FactorKind::RecoveryCode => None,
    }
}

/// The name of the cookie that holds a session.
const COOKIE: &str = "countersign_session";

/// Puts a session into a cookie: out of reach of scripts, and sent over TLS alone but on the machine itself.
pub(super) fn set_cookie(
    response: &mut Response,
    token: &Shown,
    lives: Seconds,
    on_loopback: bool,
) -> Result<(), Problem> {
    let secure = if on_loopback { "" } else { "; Secure" };
    let text = format!("{COOKIE}={}; Path=/; Max-Age={}; HttpOnly; SameSite=Lax{secure}", token.expose(), lives.0);
    let mut value =
        HeaderValue::try_from(text).map_err(|_| Problem::internal("a session's token is no header's value"))?;
    value.set_sensitive(true);
    response.headers_mut().append(header::SET_COOKIE, value);
    Ok(())
}

/// A duration as people say it: `14 minutes 59 seconds`.
pub(super) fn spoken(seconds: u32) -> String {
    let (minutes, seconds) = (seconds / 60, seconds % 60);
    match (minutes, seconds) {
        (0, seconds) => format!("{seconds} seconds"),
        (minutes, 0) => format!("{minutes} minutes"),
        (minutes, seconds) => format!("{minutes} minutes and {seconds} seconds"),
    }
}
