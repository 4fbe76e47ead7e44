//! Text a code for the second factor of a password reset.

use axum::{extract::State, http::StatusCode};
use domain::{
    ids::{MethodId, VerificationId},
    outcome::Outcome,
    values::Caller,
};
use serde::Deserialize;

use crate::{
    endpoint::{About, Access, Kind},
    extract::{Id, Incoming, Presented},
    problem::{Code, Problem},
    shapes::{Answer, CodeSentShape, told},
    state::App,
};

pub(crate) const ABOUT: About = About {
    access: Access::Bearer,
    kind: Kind::Command,
    problems: &[
        Code::VerificationRequired,
        Code::VerificationExpired,
        Code::MethodLocked,
        Code::AccountLocked,
        Code::ResendTooSoon,
        Code::RateLimited,
        Code::NotFound,
    ],
};

/// Which number.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SendResetCode)]
pub(crate) struct Request {
    /// The method, when there are several numbers.
    #[schema(value_type = Option<u32>)]
    #[serde(default)]
    method_id: Option<MethodId>,
}

/// Text a code for a password reset
///
/// After the code from the mail was brought (`verification_required` before that), to an account that has no
/// authenticator app. The code is the reset's `second_factor`.
#[utoipa::path(post, path = "/v1/password-resets/{id}/codes", operation_id = "send_reset_code", tag = "accounts",
    request_body = Request, responses((status = 202, description = "The code is sent.", body = CodeSentShape)))]
pub(crate) async fn handler(
    State(app): State<App>,
    Presented(token): Presented,
    Id(verification_id): Id<VerificationId>,
    incoming: Incoming<Request>,
) -> Result<Answer<CodeSentShape>, Problem> {
    let ticket = super::reset::ticket(token, verification_id)?;
    let request = incoming.request(&app, Caller::Verification(verification_id))?;
    let executed = app.engine.send_reset_code(&ticket, incoming.body.method_id, &request).await?;
    let (sent, _) = told!(executed, "send_reset_code", Outcome::CodeSent(sent) => sent.into());
    Ok(Answer::new(StatusCode::ACCEPTED, sent))
}
