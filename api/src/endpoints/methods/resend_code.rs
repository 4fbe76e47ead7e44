//! Order the code of a number that is being enrolled again.

use axum::{extract::State, http::StatusCode};
use domain::{commands::Command, outcome::Outcome};

use crate::{
    endpoint::{About, Access, Kind},
    extract::{Incoming, MethodNumber, Nothing, OnAccount},
    problem::{Code, Problem},
    shapes::{Answer, CodeSentShape, told},
    state::App,
};

pub(crate) const ABOUT: About = About {
    access: Access::Account,
    kind: Kind::Command,
    problems: &[
        Code::VerificationRequired,
        Code::VerificationExpired,
        Code::AlreadyEnabled,
        Code::Conflict,
        Code::ResendTooSoon,
        Code::RateLimited,
    ],
};

/// Send the code of a new number again
#[utoipa::path(post, path = "/v1/accounts/{account}/methods/{id}/codes/resend",
    operation_id = "resend_enrollment_code", tag = "methods", request_body = Option<Nothing>,
    responses((status = 202, description = "On its way.", body = CodeSentShape)))]
pub(crate) async fn handler(
    State(app): State<App>,
    account: OnAccount,
    MethodNumber(method_id): MethodNumber,
    incoming: Incoming<Nothing>,
) -> Result<Answer<CodeSentShape>, Problem> {
    let command = Command::ResendEnrollmentCode { method_id };
    let executed = app.engine.execute(account.id, command, &incoming.request(&app, account.caller)?).await?;
    let (sent, reached) =
        told!(executed, "resend_enrollment_code", Outcome::SmsEnrollmentStarted { sent, .. } => sent.into());
    Ok(Answer::new(StatusCode::ACCEPTED, sent).after(reached))
}
