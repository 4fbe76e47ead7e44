//! Start a verification.

use axum::{extract::State, http::StatusCode};
use domain::{
    commands::Command,
    ids::{AccountId, MethodId},
    outcome::Outcome,
    secret::SecretText,
    values::{Caller, FreeText, Purpose},
};
use serde::Deserialize;

use crate::{
    endpoint::{About, Access, Kind},
    extract::{Bearer, Incoming, field},
    problem::{Code, Problem},
    shapes::{Answer, VerificationAnswer, VerificationShape, told},
    state::App,
    words::PurposeWord,
};

pub(crate) const ABOUT: About = About {
    access: Access::Bearer,
    kind: Kind::Command,
    problems: &[
        Code::EmailNotVerified,
        Code::WrongCredentials,
        Code::Forbidden,
        Code::NotFound,
        Code::Conflict,
        Code::RateLimited,
        Code::AccountLocked,
    ],
};

/// What for.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = StartVerification)]
pub(crate) struct Request {
    /// `sign_in` (a session of level `aal1` raises itself by it), `add_method`, `disable_method`,
    /// `regenerate_recovery_codes`, `change_email`, `issue_access_token`, `erase_account` or `step_up`.
    #[schema(value_type = PurposeWord)]
    purpose: Purpose,
    /// The account (API clients).
    #[schema(value_type = Option<Uuid>)]
    account_id: Option<AccountId>,
    /// The action that is to be confirmed, in the caller's words (`step_up` only).
    action: Option<String>,
    /// The method it is about; the verification then authorizes that one alone.
    #[schema(value_type = Option<u32>)]
    method_id: Option<MethodId>,
    /// The password. A change of an account without methods needs it, unless the session's own was typed in the last
    /// 10 minutes, or an access token or an API client adds the first method.
    #[schema(value_type = Option<String>, format = Password)]
    password: Option<SecretText>,
}

/// Start a verification
///
/// The answer's token is a credential for this verification alone.
#[utoipa::path(post, path = "/v1/verifications", operation_id = "start_verification", tag = "verifications",
    request_body = Request, responses((status = 201, description = "Started.", body = VerificationAnswer)))]
pub(crate) async fn handler(
    State(app): State<App>,
    bearer: Bearer,
    incoming: Incoming<Request>,
) -> Result<Answer<VerificationAnswer>, Problem> {
    let body = &incoming.body;
    let account = match (bearer.own, &bearer.caller) {
        (Some(_), Caller::Verification(_)) => return Err(Problem::forbidden()),
        (Some(own), _) if body.account_id.is_none_or(|named| named == own.id) => own.id,
        (Some(_), _) => return Err(Problem::not_found()),
        (None, _) => body.account_id.ok_or_else(|| Problem::invalid("account_id", "is required"))?,
    };
    let action = body.action.as_deref().map(FreeText::parse).transpose();
    let command = Command::StartVerification {
        purpose: body.purpose,
        action: field("action", action)?,
        target: body.method_id,
        password: body.password.clone(),
    };
    let request = incoming.request(&app, bearer.caller.clone())?;
    let executed = app.engine.execute(account, command, &request).await?;
    let (verification, reached) = told!(executed, "start_verification", Outcome::VerificationStarted(started) => {
        VerificationShape::started(account, started, &bearer.caller)
    });
    Ok(Answer::new(StatusCode::CREATED, VerificationAnswer { verification }).after(reached))
}
