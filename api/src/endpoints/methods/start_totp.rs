//! Begin to add an authenticator app: its secret is shown once, to whoever began it.

use axum::{extract::State, http::StatusCode};
use domain::{
    commands::Command,
    events::TotpAlgorithm,
    ids::MethodId,
    outcome::{Outcome, TotpEnrollment},
    time::Timestamp,
};
use serde::Serialize;

use crate::{
    endpoint::{About, Access, Kind},
    extract::{Incoming, Nothing, OnAccount},
    otpauth,
    problem::{Code, Problem},
    shapes::{Answer, Shown, told},
    state::App,
};

pub(crate) const ABOUT: About = About {
    access: Access::Account,
    kind: Kind::Command,
    problems: &[Code::EmailNotVerified, Code::Conflict, Code::RateLimited],
};

/// What the app is set up with.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = TotpEnrollment)]
pub(crate) struct Enrollment {
    /// The method to be.
    #[schema(value_type = u32)]
    method_id: MethodId,
    /// The shared key in base32, to be typed where no camera is at hand.
    #[schema(value_type = String)]
    secret: Shown,
    /// The Key URI that authenticator apps understand.
    #[schema(value_type = String)]
    otpauth_uri: Shown,
    /// The same as a QR code.
    #[schema(value_type = String)]
    qr_svg: Shown,
    /// `SHA1`, `SHA256` or `SHA512`.
    #[schema(value_type = String)]
    algorithm: TotpAlgorithm,
    /// Digits of a code.
    digits: u8,
    /// Seconds of a step.
    period: u32,
    /// The enrollment's end.
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
}

/// Add an authenticator app
///
/// Finish with `enable`: it needs a code of the app, and a verification for `add_method`.
#[utoipa::path(post, path = "/v1/accounts/{account}/methods/totp", operation_id = "start_totp_enrollment",
    tag = "methods", request_body = Option<Nothing>,
    responses((status = 201, description = "Set the app up with this.", body = Enrollment)))]
pub(crate) async fn handler(
    State(app): State<App>,
    account: OnAccount,
    incoming: Incoming<Nothing>,
) -> Result<Answer<Enrollment>, Problem> {
    let request = incoming.request(&app, account.caller)?;
    let executed = app.engine.execute(account.id, Command::StartTotpEnrollment, &request).await?;
    let (enrollment, reached) = told!(executed, "start_totp_enrollment", Outcome::TotpEnrollmentStarted(started) => {
        shown(started, &app.config.issuer)?
    });
    Ok(Answer::new(StatusCode::CREATED, enrollment).after(reached))
}

fn shown(started: TotpEnrollment, issuer: &str) -> Result<Enrollment, Problem> {
    let otpauth_uri = otpauth::uri(&started, issuer);
    let qr_svg = otpauth::qr_svg(&otpauth_uri).ok_or_else(|| Problem::internal("a Key URI too long for a QR code"))?;
    let TotpEnrollment { method_id, secret, algorithm, digits, period, expires_at, .. } = started;
    let secret = Shown::new(secret.to_base32());
    Ok(Enrollment { method_id, secret, otpauth_uri, qr_svg, algorithm, digits, period, expires_at })
}
