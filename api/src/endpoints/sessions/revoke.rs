//! End a session.

use axum::extract::State;
use domain::{commands::Command, ids::SessionId, outcome::Outcome};

use crate::{
    endpoint::{About, Access, Kind},
    extract::{Id, Incoming, Nothing, OnAccount},
    problem::Problem,
    shapes::{Answer, told},
    state::App,
};

pub(crate) const ABOUT: About = About { access: Access::Account, kind: Kind::Command, problems: &[] };

/// End a session
#[utoipa::path(delete, path = "/v1/accounts/{account}/sessions/{id}", operation_id = "revoke_session",
    tag = "sessions", responses((status = 204, description = "It has ended.")))]
pub(crate) async fn handler(
    State(app): State<App>,
    account: OnAccount,
    Id(session_id): Id<SessionId>,
    incoming: Incoming<Nothing>,
) -> Result<Answer<()>, Problem> {
    let command = Command::RevokeSession { session_id };
    let executed = app.engine.execute(account.id, command, &incoming.request(&app, account.caller)?).await?;
    let ((), reached) = told!(executed, "revoke_session", Outcome::Done => ());
    Ok(Answer::done(reached))
}
