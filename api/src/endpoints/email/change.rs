//! Ask for another address. It becomes the account's when its code is confirmed.

use axum::{extract::State, http::StatusCode};
use domain::{commands::Command, outcome::Outcome, secret::SecretText, values::EmailAddress};
use serde::Deserialize;

use crate::{
    endpoint::{About, Access, Kind},
    extract::{Incoming, OnAccount, field},
    problem::{Code, Problem},
    shapes::{Answer, CodeSentShape, told},
    state::App,
};

pub(crate) const ABOUT: About = About {
    access: Access::Account,
    kind: Kind::Authorized,
    problems: &[Code::WrongCredentials, Code::Conflict, Code::RateLimited, Code::ResendTooSoon],
};

/// Another address.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ChangeEmail)]
pub(crate) struct Request {
    /// The new one; a code is sent there.
    email: String,
    /// The current password, when the account has one.
    #[schema(value_type = Option<String>, format = Password)]
    password: Option<SecretText>,
}

/// Change the address
///
/// Needs a completed verification for `change_email`, and uses it up. Confirm the new address with
/// `POST /v1/accounts/{account}/email/verify`; the change can be undone from the old one for 7 days, and for 24 hours
/// a code to the new one proves nothing but a sign-in.
#[utoipa::path(put, path = "/v1/accounts/{account}/email", operation_id = "change_email", tag = "accounts",
    request_body = Request, responses((status = 202, description = "The code is sent.", body = CodeSentShape)))]
pub(crate) async fn handler(
    State(app): State<App>,
    account: OnAccount,
    incoming: Incoming<Request>,
) -> Result<Answer<CodeSentShape>, Problem> {
    let command = Command::ChangeEmail {
        email: field("email", EmailAddress::parse(&incoming.body.email))?,
        password: incoming.body.password.clone(),
        verification_id: incoming.verification()?.map(|named| named.id),
    };
    let executed = app.engine.execute(account.id, command, &incoming.request(&app, account.caller)?).await?;
    let (sent, reached) = told!(executed, "change_email", Outcome::CodeSent(sent) => sent.into());
    Ok(Answer::new(StatusCode::ACCEPTED, sent).after(reached))
}
