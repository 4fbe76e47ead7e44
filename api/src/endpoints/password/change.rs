//! Set or change the password. Other sessions end, and the acting one goes on under a new token.

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use domain::{commands::Command, outcome::Outcome, secret::SecretText};
use serde::Deserialize;

use crate::{
    endpoint::{About, Access, Kind},
    extract::{Answers, Incoming, OnAccount},
    problem::{Code, Problem},
    shapes::{Answer, SessionShape, told},
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
/// All other sessions and all access tokens end. The acting session has a new token from now on; where it cannot go on
/// (it was begun with an access token, or none acted), nothing is answered.
#[utoipa::path(put, path = "/v1/accounts/{account}/password", operation_id = "change_password", tag = "accounts",
    request_body = Request,
    responses(
        (status = 200, description = "Changed; the acting session goes on.", body = SessionShape),
        (status = 204, description = "Changed."),
    ))]
pub(crate) async fn handler(
    State(app): State<App>,
    account: OnAccount,
    incoming: Incoming<Request>,
) -> Result<Response, Problem> {
    let command = Command::SetPassword {
        current: incoming.body.current_password.clone(),
        new: incoming.body.new_password.clone(),
    };
    let request = incoming.request_for(&app, account.caller, Answers::SessionToken)?;
    let executed = app.engine.execute(account.id, command, &request).await?;
    let told = || Ok(told!(executed, "change_password", Outcome::PasswordSet { session } => session));
    let (session, reached) = told().map_err(|problem: Problem| problem.naming("password", "new_password"))?;
    Ok(match session {
        Some(session) => Answer::ok(SessionShape::new(account.id, session)).after(reached).into_response(),
        None => Answer::done(reached).into_response(),
    })
}
