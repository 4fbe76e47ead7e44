//! End a personal access token.

use axum::extract::State;
use domain::{commands::Command, ids::AccessTokenId, outcome::Outcome};

use crate::{
    endpoint::{About, Access, Kind},
    extract::{Id, Incoming, Nothing, OnAccount},
    problem::Problem,
    shapes::{Answer, told},
    state::App,
};

pub(crate) const ABOUT: About = About { access: Access::Account, kind: Kind::Command, problems: &[] };

/// End an access token
#[utoipa::path(delete, path = "/v1/accounts/{account}/access-tokens/{id}", operation_id = "revoke_access_token",
    tag = "sessions", responses((status = 204, description = "It has ended.")))]
pub(crate) async fn handler(
    State(app): State<App>,
    account: OnAccount,
    Id(access_token_id): Id<AccessTokenId>,
    incoming: Incoming<Nothing>,
) -> Result<Answer<()>, Problem> {
    let command = Command::RevokeAccessToken { access_token_id };
    let executed = app.engine.execute(account.id, command, &incoming.request(&app, account.caller)?).await?;
    let ((), reached) = told!(executed, "revoke_access_token", Outcome::Done => ());
    Ok(Answer::done(reached))
}
