//! Begin to add a phone number: a code is texted to it.

use axum::{extract::State, http::StatusCode};
use domain::{commands::Command, ids::MethodId, outcome::Outcome, values::PhoneNumber};
use serde::{Deserialize, Serialize};

use crate::{
    endpoint::{About, Access, Kind},
    extract::{Incoming, OnAccount, field},
    problem::{Code, Problem},
    shapes::{Answer, CodeSentShape, told},
    state::App,
};

pub(crate) const ABOUT: About = About {
    access: Access::Account,
    kind: Kind::Command,
    problems: &[
        Code::EmailNotVerified,
        Code::VerificationRequired,
        Code::DuplicateMethod,
        Code::Conflict,
        Code::RateLimited,
        Code::ResendTooSoon,
    ],
};

/// A number.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = StartSmsEnrollment)]
pub(crate) struct Request {
    /// In E.164.
    #[schema(example = "+436601234567")]
    phone_number: String,
}

/// The number is being enrolled.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = SmsEnrollment)]
pub(crate) struct Enrollment {
    /// The method to be.
    #[schema(value_type = u32)]
    method_id: MethodId,
    /// The send.
    #[serde(flatten)]
    sent: CodeSentShape,
}

/// Add a phone number
///
/// Needs a completed verification for `add_method` of the same credential. Finish with `enable`.
#[utoipa::path(post, path = "/v1/accounts/{account}/methods/sms", operation_id = "start_sms_enrollment",
    tag = "methods", request_body = Request,
    responses((status = 201, description = "The code is sent.", body = Enrollment)))]
pub(crate) async fn handler(
    State(app): State<App>,
    account: OnAccount,
    incoming: Incoming<Request>,
) -> Result<Answer<Enrollment>, Problem> {
    let phone_number = field("phone_number", PhoneNumber::parse(&incoming.body.phone_number))?;
    let command = Command::StartSmsEnrollment { phone_number };
    let executed = app.engine.execute(account.id, command, &incoming.request(&app, account.caller)?).await?;
    let (enrollment, reached) = told!(executed, "start_sms_enrollment", Outcome::SmsEnrollmentStarted { method_id, sent } => {
        Enrollment { method_id, sent: sent.into() }
    });
    Ok(Answer::new(StatusCode::CREATED, enrollment).after(reached))
}
