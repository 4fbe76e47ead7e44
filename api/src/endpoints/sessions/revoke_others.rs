//! End all sessions but the acting one.

use axum::extract::State;
use domain::{commands::Command, outcome::Outcome};

use crate::{
    endpoint::{About, Access, Kind},
    extract::{Incoming, Nothing, OnAccount},
    problem::Problem,
    shapes::{Answer, told},
    state::App,
};

pub(crate) const ABOUT: About = About { access: Access::Account, kind: Kind::Command, problems: &[] };

/// End all other sessions
///
/// The session that asks goes on; known devices are forgotten but its own.
#[utoipa::path(delete, path = "/v1/accounts/{account}/sessions", operation_id = "revoke_other_sessions",
    tag = "sessions", responses((status = 204, description = "No other session is live.")))]
pub(crate) async fn handler(
    State(app): State<App>,
    account: OnAccount,
    incoming: Incoming<Nothing>,
) -> Result<Answer<()>, Problem> {
    let request = incoming.request(&app, account.caller)?;
    let executed = app.engine.execute(account.id, Command::EndOtherSessions, &request).await?;
    let ((), reached) = told!(executed, "revoke_other_sessions", Outcome::Done => ());
    Ok(Answer::done(reached))
}
