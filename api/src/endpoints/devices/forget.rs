//! Make a device a stranger's again.

use axum::extract::State;
use domain::{commands::Command, ids::DeviceId, outcome::Outcome};

use crate::{
    endpoint::{About, Access, Kind},
    extract::{Id, Incoming, Nothing, OnAccount},
    problem::Problem,
    shapes::{Answer, told},
    state::App,
};

pub(crate) const ABOUT: About = About { access: Access::Account, kind: Kind::Command, problems: &[] };

/// Forget a device
///
/// Its wrong codes count with everybody else's from now on. Its session, if it has one, goes on.
#[utoipa::path(delete, path = "/v1/accounts/{account}/devices/{id}", operation_id = "forget_device", tag = "sessions",
    responses((status = 204, description = "It is a stranger's.")))]
pub(crate) async fn handler(
    State(app): State<App>,
    account: OnAccount,
    Id(device_id): Id<DeviceId>,
    incoming: Incoming<Nothing>,
) -> Result<Answer<()>, Problem> {
    let command = Command::ForgetDevice { device_id };
    let executed = app.engine.execute(account.id, command, &incoming.request(&app, account.caller)?).await?;
    let ((), reached) = told!(executed, "forget_device", Outcome::Done => ());
    Ok(Answer::done(reached))
}
