//! Confirm an address with the code that was sent to it. For the first address the code is all the proof that
//! is needed; a new one is confirmed with the credential that asked for it.

use axum::extract::State;
use domain::{commands::Command, outcome::Outcome, secret::SecretText};
use serde::{Deserialize, Serialize};

use crate::{
    endpoint::{About, Access, Kind},
    extract::{Incoming, NamedAccount, entered_code},
    problem::{Code, Problem},
    shapes::{Answer, told},
    state::App,
};

pub(crate) const ABOUT: About = About {
    access: Access::MaybeBearer,
    kind: Kind::Command,
    problems: &[
        Code::WrongCode,
        Code::CodeExpired,
        Code::VerificationExpired,
        Code::RateLimited,
        Code::Conflict,
        Code::NotFound,
        Code::Forbidden,
    ],
};

/// The proof.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = VerifyEmail)]
pub(crate) struct Request {
    /// The code from the mail: twelve letters and digits for the first address of an account, six digits for a new one.
    #[schema(value_type = String, example = "1A2B-3C4D-5E6F")]
    code: SecretText,
}

/// Confirmed.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = VerifiedEmail)]
pub(crate) struct Verified {
    /// Always true.
    email_verified: bool,
}

/// Confirm an address
///
/// The first address of an account, or the new one that it asked for.
#[utoipa::path(post, path = "/v1/accounts/{account}/email/verify", operation_id = "verify_email", tag = "accounts",
    request_body = Request, responses((status = 200, description = "Confirmed.", body = Verified)))]
pub(crate) async fn handler(
    State(app): State<App>,
    on: NamedAccount,
    incoming: Incoming<Request>,
) -> Result<Answer<Verified>, Problem> {
    let command = Command::VerifyEmail { code: entered_code("code", &incoming.body.code)? };
    let request = incoming.request(&app, on.caller)?;
    let engine = app.engine.clone();
    let carried = async move { Ok(engine.execute(on.id, command, &request).await?) };
    let executed = app.to_its_end("verify an address", carried).await?;
    let (verified, reached) =
        told!(executed, "verify_email", Outcome::EmailVerified => Verified { email_verified: true });
    Ok(Answer::ok(verified).after(reached))
}
