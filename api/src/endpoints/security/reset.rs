//! Support: remove all factors of someone who lost them all. Sessions and access tokens end, the account is
//! told, and until a method is enabled again signing in takes an email code beside the password.

use axum::extract::State;
use domain::{
    commands::Command,
    outcome::Outcome,
    values::{FreeText, Scope},
};
use serde::Deserialize;

use crate::{
    endpoint::{About, Access, Kind},
    extract::{AuditedAccount, Client, Incoming, field, scope},
    problem::{Code, Problem},
    shapes::{Answer, told},
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

/// Reset two-factor authentication
#[utoipa::path(post, path = "/v1/security/accounts/{account}/reset", operation_id = "reset_two_factor",
    tag = "security", request_body = Request, responses((status = 204, description = "All factors are removed.")))]
pub(crate) async fn handler(
    State(app): State<App>,
    client: Client<scope::SupportWrite>,
    AuditedAccount(account): AuditedAccount,
    incoming: Incoming<Request>,
) -> Result<Answer<()>, Problem> {
    let command = Command::ResetTwoFactor { reason: field("reason", FreeText::parse(&incoming.body.reason))? };
    let executed = app.engine.execute(account, command, &incoming.request(&app, client.caller)?).await?;
    let ((), reached) = told!(executed, "reset_two_factor", Outcome::Done => ());
    Ok(Answer::done(reached))
}
