//! A fresh set of recovery codes; all earlier ones die.

use axum::{extract::State, http::StatusCode};
use domain::{commands::Command, outcome::Outcome};
use serde::Serialize;

use crate::{
    endpoint::{About, Access, Kind},
    extract::{Incoming, Nothing, OnAccount},
    problem::{Code, Problem},
    shapes::{Answer, Shown, told},
    state::App,
};

pub(crate) const ABOUT: About =
    About { access: Access::Account, kind: Kind::Authorized, problems: &[Code::Conflict, Code::RateLimited] };

/// The codes.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = FreshRecoveryCodes)]
pub(crate) struct Fresh {
    /// Shown once.
    #[schema(value_type = Vec<String>)]
    recovery_codes: Vec<Shown>,
}

/// Make fresh recovery codes
///
/// Needs a completed verification for `regenerate_recovery_codes`, and uses it up.
#[utoipa::path(post, path = "/v1/accounts/{account}/recovery-codes", operation_id = "regenerate_recovery_codes",
    tag = "recovery codes", request_body = Option<Nothing>,
    responses((status = 201, description = "The codes, shown once.", body = Fresh)))]
pub(crate) async fn handler(
    State(app): State<App>,
    account: OnAccount,
    incoming: Incoming<Nothing>,
) -> Result<Answer<Fresh>, Problem> {
    let verification_id = incoming.verification()?.map(|named| named.id);
    let command = Command::RegenerateRecoveryCodes { verification_id };
    let executed = app.engine.execute(account.id, command, &incoming.request(&app, account.caller)?).await?;
    let (fresh, reached) = told!(executed, "regenerate_recovery_codes", Outcome::RecoveryCodes { recovery_codes } => {
        Fresh { recovery_codes }
    });
    Ok(Answer::new(StatusCode::CREATED, fresh).after(reached))
}
