//! Order a code.

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

/// How it travels.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SendCode)]
pub(crate) struct Request {
    /// `sms` or `email`.
    #[schema(value_type = ChannelWord)]
    channel: Channel,
    /// Which number, when there are several.
    #[schema(value_type = Option<u32>)]
    method_id: Option<MethodId>,
}

/// Send a code
#[utoipa::path(post, path = "/v1/verifications/{id}/codes", operation_id = "send_code", tag = "verifications",
    request_body = Request, responses((status = 202, description = "On its way.", body = CodeSentShape)))]
pub(crate) async fn handler(
    State(app): State<App>,
    on: OnVerification,
    incoming: Incoming<Request>,
) -> Result<Answer<CodeSentShape>, Problem> {
    let Request { channel, method_id } = incoming.body;
    let command = Command::SendCode { verification_id: on.id, channel, method_id };
    let executed = app.engine.execute(on.account, command, &incoming.request(&app, on.caller)?).await?;
    let (sent, reached) = told!(executed, "send_code", Outcome::CodeSent(sent) => sent.into());
    Ok(Answer::new(StatusCode::ACCEPTED, sent).after(reached))
}
