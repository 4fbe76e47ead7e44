//! Support: end whatever someone is signed in with, leaving factors and password as they are.

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
#[schema(as = EndSessions)]
pub(crate) struct Request {
    /// Why; auditors read it, and the account's owner.
    reason: String,
}

/// End all sessions of an account
///
/// Its access tokens end and its known devices are forgotten too. The owner is told.
#[utoipa::path(post, path = "/v1/security/accounts/{account}/end-sessions", operation_id = "end_sessions",
    tag = "security", request_body = Request,
    responses((status = 204, description = "Nobody is signed in to the account.")))]
pub(crate) async fn handler(
    State(app): State<App>,
    client: Client<scope::SupportWrite>,
    AuditedAccount(account): AuditedAccount,
    incoming: Incoming<Request>,
) -> Result<Answer<()>, Problem> {
    let command = Command::EndSessions { reason: field("reason", FreeText::parse(&incoming.body.reason))? };
    let executed = app.engine.execute(account, command, &incoming.request(&app, client.caller)?).await?;
    let ((), reached) = told!(executed, "end_sessions", Outcome::Done => ());
    Ok(Answer::done(reached))
}
