//! Erase an account: its history stays, what it says of the person goes.

use axum::extract::State;
use domain::{commands::Command, outcome::Outcome};

use crate::{
    endpoint::{About, Access, Kind},
    extract::{Incoming, Nothing, OnAccount},
    problem::{Code, Problem},
    shapes::{Answer, told},
    state::App,
};

pub(crate) const ABOUT: About =
    About { access: Access::Account, kind: Kind::Authorized, problems: &[Code::RateLimited] };

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
    let (engine, command) = (app.engine.clone(), Command::EraseAccount { verification_id });
    let carried = async move { Ok(engine.execute(account.id, command, &request).await?) };
    let executed = app.to_its_end("erase an account", carried).await?;
    let ((), reached) = told!(executed, "erase_account", Outcome::Done => ());
    Ok(Answer::done(reached))
}
