//! Support: remove all factors of someone who lost them all. Sessions and access tokens end, the account is told,
//! and the person comes back with one recovery code that support hands over.

use axum::{extract::State, http::StatusCode};
use domain::{
    commands::Command,
    outcome::Outcome,
    time::Timestamp,
    values::{FreeText, Scope},
};
use serde::{Deserialize, Serialize};

use crate::{
    endpoint::{About, Access, Kind},
    extract::{AuditedAccount, Client, Incoming, field, scope},
    problem::{Code, Problem},
    shapes::{Answer, Shown, settle, unexpected},
    state::App,
};

pub(crate) const ABOUT: About = About {
    access: Access::Scope(Scope::SupportWrite),
    kind: Kind::Command,
    problems: &[Code::NotFound, Code::Conflict],
};

/// Why.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ResetTwoFactor)]
pub(crate) struct Request {
    /// Why; auditors read it.
    reason: String,
}

/// What the person comes back with, or what is missing yet.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = TwoFactorReset)]
pub(crate) struct Reset {
    /// Whether another support person has to ask for the same before anything happens.
    needs_approval: bool,
    /// Shown once. With the password it signs in, with the code of a reset's mail it sets a password; that session
    /// may only enroll a method and set the password.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    recovery_code: Option<Shown>,
    /// The end of the code, or of the request.
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
}

/// Reset two-factor authentication
///
/// Where policy asks for two approvers, the first call asks and the second, by another key, resets.
#[utoipa::path(post, path = "/v1/security/accounts/{account}/reset", operation_id = "reset_two_factor",
    tag = "security", request_body = Request, responses(
        (status = 200, description = "All factors are removed.", body = Reset),
        (status = 202, description = "Another support person has to approve it.", body = Reset)))]
pub(crate) async fn handler(
    State(app): State<App>,
    client: Client<scope::SupportWrite>,
    AuditedAccount(account): AuditedAccount,
    incoming: Incoming<Request>,
) -> Result<Answer<Reset>, Problem> {
    let command = Command::ResetTwoFactor { reason: field("reason", FreeText::parse(&incoming.body.reason))? };
    let executed = app.engine.execute(account, command, &incoming.request(&app, client.caller)?).await?;
    let (status, reset, reached) = match settle(executed)? {
        (Outcome::TwoFactorReset { recovery_code, expires_at }, reached) => {
            (StatusCode::OK, Reset { needs_approval: false, recovery_code: Some(recovery_code), expires_at }, reached)
        }
        (Outcome::TwoFactorResetRequested { expires_at }, reached) => {
            (StatusCode::ACCEPTED, Reset { needs_approval: true, recovery_code: None, expires_at }, reached)
        }
        _ => return Err(unexpected("reset_two_factor")),
    };
    Ok(Answer::new(status, reset).after(reached))
}
