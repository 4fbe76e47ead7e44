//! Text a code to a number of before the change, for its undo.

use axum::{extract::State, http::StatusCode};
use domain::{commands::Command, ids::MethodId, outcome::Outcome, secret::SecretText, values::Caller};
use serde::Deserialize;

use super::linked;
use crate::{
    endpoint::{About, Access, Kind},
    extract::Incoming,
    problem::{Code, Problem},
    shapes::{Answer, CodeSentShape, told},
    state::App,
};

pub(crate) const ABOUT: About = About {
    access: Access::Anyone,
    kind: Kind::Command,
    problems: &[
        Code::Unauthenticated,
        Code::VerificationExpired,
        Code::ResendTooSoon,
        Code::RateLimited,
        Code::NotFound,
    ],
};

/// The link.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SendUndoCode)]
pub(crate) struct Request {
    /// The token of the link (`cs_undo_…`).
    #[schema(value_type = String)]
    token: SecretText,
    /// Which number of then, when there were several.
    #[schema(value_type = Option<u32>)]
    method_id: Option<MethodId>,
}

/// Text a code for an undo
///
/// To a number that was on file before the change.
#[utoipa::path(post, path = "/v1/email-undos/codes", operation_id = "send_undo_code", tag = "accounts",
    request_body = Request, responses((status = 202, description = "The code is sent.", body = CodeSentShape)))]
pub(crate) async fn handler(
    State(app): State<App>,
    incoming: Incoming<Request>,
) -> Result<Answer<CodeSentShape>, Problem> {
    let (account, link) = linked(&incoming.body.token)?;
    let command = Command::SendUndoCode { link, method_id: incoming.body.method_id };
    let executed = app.engine.execute(account, command, &incoming.request(&app, Caller::Anonymous)?).await?;
    let (sent, reached) = told!(executed, "send_undo_code", Outcome::CodeSent(sent) => sent.into());
    Ok(Answer::new(StatusCode::ACCEPTED, sent).after(reached))
}
