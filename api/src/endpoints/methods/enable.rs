//! Finish adding a method, with its own code. The first one turns two-factor authentication on.

use axum::extract::State;
use domain::{commands::Command, outcome::Outcome, secret::SecretText, values::Label};
use serde::{Deserialize, Serialize};

use crate::{
    endpoint::{About, Access, Kind},
    extract::{Answers, Incoming, MethodNumber, OnAccount, entered_code, field},
    problem::{Code, Problem},
    shapes::{Answer, MethodShape, SessionShape, Shown, SignedIn, told},
    state::App,
};

pub(crate) const ABOUT: About = About {
    access: Access::Account,
    kind: Kind::Command,
    problems: &[
        Code::EmailNotVerified,
        Code::VerificationRequired,
        Code::WrongCode,
        Code::CodeExpired,
        Code::VerificationExpired,
        Code::AlreadyEnabled,
        Code::DuplicateMethod,
        Code::Conflict,
        Code::RateLimited,
    ],
};

/// The proof.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = EnableMethod)]
pub(crate) struct Request {
    /// A code of the new method.
    #[schema(value_type = String, example = "123456")]
    code: SecretText,
    /// Its name, up to 30 characters.
    label: Option<String>,
}

/// The method.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = EnabledMethod)]
pub(crate) struct Enabled {
    /// The method.
    method: MethodShape,
    /// For the first one, the recovery codes, shown once.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<String>>)]
    recovery_codes: Option<Vec<Shown>>,
    /// For the first one, the acting session under its new token; the old one ends.
    #[serde(flatten)]
    #[schema(value_type = SignedIn)]
    session: Option<SessionShape>,
}

/// Enable a method
///
/// Needs a completed verification for `add_method` of the same credential, and uses it up. Other sessions and access
/// tokens end, but for the access token that the acting session was begun with.
#[utoipa::path(post, path = "/v1/accounts/{account}/methods/{id}/enable", operation_id = "enable_method",
    tag = "methods", request_body = Request,
    responses((status = 200, description = "The method can be used.", body = Enabled)))]
pub(crate) async fn handler(
    State(app): State<App>,
    account: OnAccount,
    MethodNumber(method_id): MethodNumber,
    incoming: Incoming<Request>,
) -> Result<Answer<Enabled>, Problem> {
    let label = incoming.body.label.as_deref().map(Label::parse).transpose();
    let code = entered_code("code", &incoming.body.code)?;
    let command = Command::EnableMethod { method_id, code, label: field("label", label)?, raises_session: true };
    let request = incoming.request_for(&app, account.caller, Answers::SessionToken)?;
    let executed = app.engine.execute(account.id, command, &request).await?;
    let (enabled, reached) = told!(
        executed, "enable_method", Outcome::MethodEnabled { method, recovery_codes, session } => Enabled {
            method: method.into(),
            recovery_codes,
            session: session.map(|session| SessionShape::new(account.id, session)),
        }
    );
    Ok(Answer::ok(enabled).after(reached))
}
