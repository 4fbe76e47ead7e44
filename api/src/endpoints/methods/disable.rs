//! Remove a method. The last one gone turns two-factor authentication off.

use axum::extract::State;
use domain::{commands::Command, outcome::Outcome};
use serde::Serialize;

use crate::{
    endpoint::{About, Access, Kind},
    extract::{Incoming, MethodNumber, Nothing, OnAccount},
    problem::{Code, Problem},
    shapes::{Answer, told},
    state::App,
};

pub(crate) const ABOUT: About =
    About { access: Access::Account, kind: Kind::Authorized, problems: &[Code::Conflict, Code::RateLimited] };

/// What is left.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = DisabledMethod)]
pub(crate) struct Disabled {
    /// Whether two-factor authentication is still on.
    two_factor_enabled: bool,
    /// How many methods are left.
    remaining_methods: u32,
}

/// Remove a method
///
/// Needs a completed verification for `disable_method`, and uses it up. Other sessions end.
#[utoipa::path(delete, path = "/v1/accounts/{account}/methods/{id}", operation_id = "disable_method",
    tag = "methods", responses((status = 200, description = "It is gone.", body = Disabled)))]
pub(crate) async fn handler(
    State(app): State<App>,
    account: OnAccount,
    MethodNumber(method_id): MethodNumber,
    incoming: Incoming<Nothing>,
) -> Result<Answer<Disabled>, Problem> {
    let verification_id = incoming.verification()?.map(|named| named.id);
    let command = Command::DisableMethod { method_id, verification_id };
    let executed = app.engine.execute(account.id, command, &incoming.request(&app, account.caller)?).await?;
    let (disabled, reached) = told!(executed, "disable_method", Outcome::MethodDisabled { two_factor_enabled, remaining_methods } => {
        Disabled { two_factor_enabled, remaining_methods }
    });
    Ok(Answer::ok(disabled).after(reached))
}
