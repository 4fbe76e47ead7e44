//! Set or change the password. Other sessions end.

use axum::extract::State;
use domain::{commands::Command, outcome::Outcome, secret::SecretText};
use serde::Deserialize;

use crate::{
    endpoint::{About, Access, Kind},
    extract::{Incoming, OnAccount},
    problem::{Code, Problem},
    shapes::{Answer, told},
    state::App,
};

pub(crate) const ABOUT: About = About {
    access: Access::Account,
    kind: Kind::Command,
    problems: &[Code::WrongCredentials, Code::EmailNotVerified, Code::VerificationRequired, Code::RateLimited],
};

/// The passwords.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ChangePassword)]
pub(crate) struct Request {
    /// The current one, when there is one.
    #[schema(value_type = Option<String>, format = Password)]
    current_password: Option<SecretText>,
    /// The new one: 8 to 128 characters, not a common one.
    #[schema(value_type = String, format = Password)]
    new_password: SecretText,
}

/// Change the password
///
/// All other sessions and all access tokens end.
#[utoipa::path(put, path = "/v1/accounts/{account}/password", operation_id = "change_password", tag = "accounts",
    request_body = Request, responses((status = 204, description = "Changed.")))]
pub(crate) async fn handler(
    State(app): State<App>,
    account: OnAccount,
    incoming: Incoming<Request>,
) -> Result<Answer<()>, Problem> {
    let command = Command::SetPassword {
        current: incoming.body.current_password.clone(),
        new: incoming.body.new_password.clone(),
    };
    let executed = app.engine.execute(account.id, command, &incoming.request(&app, account.caller)?).await?;
    let told = || Ok(told!(executed, "change_password", Outcome::PasswordSet => ()));
    let ((), reached) = told().map_err(|problem: Problem| problem.naming("password", "new_password"))?;
    Ok(Answer::done(reached))
}
