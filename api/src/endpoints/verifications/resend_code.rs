//! Order the last code again. The same code while it is valid; no count is reset.

use axum::{extract::State, http::StatusCode};
use domain::{commands::Command, ids::MethodId, outcome::Outcome, values::Channel};
use serde::Deserialize;

use crate::{
    endpoint::{About, Access, Kind},
    extract::{Incoming, OnVerification},
    problem::{Code, Problem},
    shapes::{Answer, CodeSentShape, told},
    state::App,
    words::ChannelWord,
};

pub(crate) const ABOUT: About = About {
    access: Access::Verification,
    kind: Kind::Command,
    problems: &[
        Code::VerificationExpired,
        Code::Conflict,
        Code::MethodLocked,
        Code::ResendTooSoon,
        Code::RateLimited,
        Code::AccountLocked,
    ],
};

/// Which one, when there were several.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ResendCode)]
pub(crate) struct Request {
    /// `sms` or `email`; that of the last code when left out.
    #[schema(value_type = Option<ChannelWord>)]
    channel: Option<Channel>,
    /// Which number.
    #[schema(value_type = Option<u32>)]
    method_id: Option<MethodId>,
}

/// Send the code again
#[utoipa::path(post, path = "/v1/verifications/{id}/codes/resend", operation_id = "resend_code",
    tag = "verifications", request_body = Option<Request>,
    responses((status = 202, description = "On its way.", body = CodeSentShape)))]
pub(crate) async fn handler(
    State(app): State<App>,
    on: OnVerification,
    incoming: Incoming<Request>,
) -> Result<Answer<CodeSentShape>, Problem> {
    let Request { channel, method_id } = incoming.body;
    let command = Command::ResendCode { verification_id: on.id, channel, method_id };
    let executed = app.engine.execute(on.account, command, &incoming.request(&app, on.caller)?).await?;
    let (sent, reached) = told!(executed, "resend_code", Outcome::CodeSent(sent) => sent.into());
    Ok(Answer::new(StatusCode::ACCEPTED, sent).after(reached))
}
