//! Support: lift locks and the cap, leaving the factors as they are.

use axum::extract::State;
use domain::{
    commands::Command,
    outcome::Outcome,
    values::{FactorKind, FreeText, Scope},
};
use serde::Deserialize;

use crate::{
    endpoint::{About, Access, Kind},
    extract::{AuditedAccount, Client, Incoming, field, scope},
    problem::{Code, Problem},
    shapes::{Answer, told},
    state::App,
    words::FactorKindWord,
};

pub(crate) const ABOUT: About = About {
    access: Access::Scope(Scope::SupportWrite),
    kind: Kind::Command,
    problems: &[Code::NotFound, Code::Conflict],
};

/// What to lift, and why.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Unlock)]
pub(crate) struct Request {
    /// One kind; left out, all of them and the account's cap.
    #[schema(value_type = Option<FactorKindWord>)]
    kind: Option<FactorKind>,
    /// Why; auditors read it.
    reason: String,
}

/// Unlock an account
#[utoipa::path(post, path = "/v1/security/accounts/{account}/unlock", operation_id = "unlock_account",
    tag = "security", request_body = Request, responses((status = 204, description = "The locks are lifted.")))]
pub(crate) async fn handler(
    State(app): State<App>,
    client: Client<scope::SupportWrite>,
    AuditedAccount(account): AuditedAccount,
    incoming: Incoming<Request>,
) -> Result<Answer<()>, Problem> {
    let reason = field("reason", FreeText::parse(&incoming.body.reason))?;
    let command = Command::UnlockMethod { kind: incoming.body.kind, reason };
    let executed = app.engine.execute(account, command, &incoming.request(&app, client.caller)?).await?;
    let ((), reached) = told!(executed, "unlock_account", Outcome::Done => ());
    Ok(Answer::done(reached))
}
