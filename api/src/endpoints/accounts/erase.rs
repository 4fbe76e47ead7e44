//! Erase an account: its history stays, what it says of the person goes.

use axum::extract::State;
use domain::{commands::Command, outcome::Outcome};

use crate::{
    endpoint::{About, Access, Kind},
    extract::{Incoming, Nothing, OnAccount},
    problem::Problem,
    shapes::{Answer, told},
    state::{App, AppState},
};

pub(crate) const ABOUT: About = About { access: Access::Account, kind: Kind::Authorized, problems: &[] };

/// Erase an account
///
/// For good: no key opens its personal data any more. Needs a verification for `erase_account`.
#[utoipa::path(delete, path = "/v1/accounts/{account}", operation_id = "erase_account", tag = "accounts",
    responses((status = 204, description = "Erased.")))]
pub(crate) async fn handler(
    State(app): State<App>,
    account: OnAccount,
    incoming: Incoming<Nothing>,
) -> Result<Answer<()>, Problem> {
    let verification_id = incoming.verification()?.map(|named| named.id);
    let request = incoming.request(&app, account.caller)?;
    let executed = AppState::to_its_end(async move {
        Ok(app.engine.execute(account.id, Command::EraseAccount { verification_id }, &request).await?)
    })
    .await?;
    let ((), reached) = told!(executed, "erase_account", Outcome::Done => ());
    Ok(Answer::done(reached))
}
