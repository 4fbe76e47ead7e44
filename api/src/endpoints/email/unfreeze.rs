//! Let changes go on that the holder of an undo's link stopped.

use axum::extract::State;
use domain::{commands::Command, outcome::Outcome};

use crate::{
    endpoint::{About, Access, Kind},
    extract::{Incoming, Nothing, OnAccount},
    problem::{Code, Problem},
    shapes::{Answer, told},
    state::App,
};

pub(crate) const ABOUT: About = About { access: Access::Account, kind: Kind::Authorized, problems: &[Code::Conflict] };

/// Allow changes again
///
/// After `POST /v1/email-undos/freeze`, by the account's owner: from a session whose password and second factor were
/// shown in the last ten minutes (sign in again for that), with a verification for `unfreeze_changes`, which a code to
/// the present address completes.
#[utoipa::path(post, path = "/v1/accounts/{account}/email/unfreeze", operation_id = "unfreeze_changes", tag = "accounts",
    request_body = Option<Nothing>, responses((status = 204, description = "Changes are allowed again.")))]
pub(crate) async fn handler(
    State(app): State<App>,
    account: OnAccount,
    incoming: Incoming<Nothing>,
) -> Result<Answer<()>, Problem> {
    let command = Command::UnfreezeChanges { verification_id: incoming.verification()?.map(|named| named.id) };
    let executed = app.engine.execute(account.id, command, &incoming.request(&app, account.caller)?).await?;
    let ((), reached) = told!(executed, "unfreeze_changes", Outcome::Done => ());
    Ok(Answer::done(reached))
}
