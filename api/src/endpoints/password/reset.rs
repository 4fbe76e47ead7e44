//! Finish a password reset: the code from the mail, with two-factor authentication on a second factor that is
//! not email, and the new password.

use axum::extract::State;
use domain::{
    commands::SecondFactor,
    ids::{MethodId, VerificationId},
    outcome::Outcome,
    secret::SecretText,
    values::{Caller, FactorKind},
};
use engine::{ResetAttempt, ResetTicket};
use serde::Deserialize;
use vault::TokenKind;

use crate::{
    endpoint::{About, Access, Kind},
    extract::{Id, Incoming, Presented, entered_code},
    problem::{Code, Problem},
    shapes::{Answer, told},
    state::App,
    words::FactorKindWord,
};

pub(crate) const ABOUT: About = About {
    access: Access::Bearer,
    kind: Kind::Command,
    problems: &[
        Code::VerificationRequired,
        Code::WrongCode,
        Code::CodeExpired,
        Code::VerificationExpired,
        Code::MethodLocked,
        Code::AccountLocked,
        Code::RateLimited,
        Code::Conflict,
        Code::NotFound,
        Code::EmailNotVerified,
    ],
};

/// The proofs and the new password.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ResetPassword)]
pub(crate) struct Request {
    /// The code from the mail, unless an earlier call brought it.
    #[schema(value_type = Option<String>, example = "1A2B-3C4D-5E6F")]
    code: Option<SecretText>,
    /// With two-factor authentication on, the second factor.
    second_factor: Option<Second>,
    /// The new password: 8 to 128 characters, not a common one.
    #[schema(value_type = String, format = Password)]
    new_password: SecretText,
}

/// A second factor.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SecondFactor)]
pub(crate) struct Second {
    /// `totp`, `sms` or `recovery_code`. Left out, the shape of the code tells.
    #[schema(value_type = Option<FactorKindWord>)]
    method: Option<FactorKind>,
    /// The method, when there are several of the kind.
    #[schema(value_type = Option<u32>)]
    method_id: Option<MethodId>,
    /// The code.
    #[schema(value_type = String)]
    code: SecretText,
}

/// Reset the password
///
/// With the token that asking for the reset answered. All sessions and access tokens end. Where a second
/// factor is needed and missing, `verification_required` says so, and the code from the mail counts as brought.
#[utoipa::path(post, path = "/v1/password-resets/{id}", operation_id = "reset_password", tag = "accounts",
    request_body = Request, responses((status = 204, description = "The password is set.")))]
pub(crate) async fn handler(
    State(app): State<App>,
    Presented(token): Presented,
    Id(verification_id): Id<VerificationId>,
    incoming: Incoming<Request>,
) -> Result<Answer<()>, Problem> {
    // The engine judges the token: for an address without an account it must look the same as with one.
    if token.kind != TokenKind::Verification {
        return Err(Problem::forbidden());
    }
    if token.id != verification_id.0 {
        return Err(Problem::not_found());
    }
    let ticket = ResetTicket { handle: token.stream, verification_id, secret: token.secret };
    let attempt = ResetAttempt {
        code: incoming.body.code.as_ref().map(|code| entered_code("code", code)).transpose()?,
        second_factor: incoming.body.second_factor.as_ref().map(second_factor).transpose()?,
        new: incoming.body.new_password.clone(),
    };
    let request = incoming.request(&app, Caller::Verification(verification_id))?;
    let executed = app.engine.reset_password(&ticket, attempt, &request).await?;
    let told = || Ok(told!(executed, "reset_password", Outcome::PasswordSet { .. } => ()));
    let ((), reached) = told().map_err(|problem: Problem| problem.naming("password", "new_password"))?;
    Ok(Answer::done(reached))
}

fn second_factor(second: &Second) -> Result<SecondFactor, Problem> {
    let code = entered_code("second_factor.code", &second.code)?;
    Ok(SecondFactor { kind: second.method, method_id: second.method_id, code })
}
