//! Try a code. The hottest path of the whole service.

use axum::extract::State;
use domain::{
    commands::Command,
    ids::MethodId,
    outcome::{Outcome, VerificationStatus, Verified},
    secret::SecretText,
    time::Timestamp,
    values::{FactorKind, Purpose},
};
use serde::{Deserialize, Serialize};

use crate::{
    endpoint::{About, Access, Kind},
    extract::{Answers, Incoming, OnVerification, entered_code},
    problem::{Code, Problem},
    shapes::{Answer, SessionShape, told},
    state::App,
    words::{AalWord, AmrWord, FactorKindWord, StatusWord},
};

pub(crate) const ABOUT: About = About {
    access: Access::Verification,
    kind: Kind::Command,
    problems: &[
        Code::WrongCode,
        Code::CodeExpired,
        Code::VerificationExpired,
        Code::MethodLocked,
        Code::RateLimited,
        Code::AccountLocked,
        Code::Conflict,
    ],
};

/// The code.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Attempt)]
pub(crate) struct Request {
    /// The kind. Left out, the shape of the code and the methods on file tell.
    #[schema(value_type = Option<FactorKindWord>)]
    method: Option<FactorKind>,
    /// The method, when there are several of the kind.
    #[schema(value_type = Option<u32>)]
    method_id: Option<MethodId>,
    /// The code as entered.
    #[schema(value_type = String, example = "123456")]
    code: SecretText,
}

/// The right code.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Attempted)]
pub(crate) struct Attempted {
    /// `verified`.
    #[schema(value_type = StatusWord)]
    status: VerificationStatus,
    /// The verification may be used until then.
    #[schema(value_type = String, format = DateTime)]
    usable_until: Timestamp,
    /// For a sign-in, the session.
    #[serde(flatten)]
    #[schema(value_type = SignedIn)]
    session: Option<SessionShape>,
    /// After a recovery code, how many are left.
    #[serde(skip_serializing_if = "Option::is_none")]
    recovery_codes_remaining: Option<u32>,
}

/// What an optional [`SessionShape`] is to the OpenAPI document: its fields, for a sign-in.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "describes a session, never built")]
struct SignedIn {
    /// The account.
    account_id: Option<uuid::Uuid>,
    /// The session.
    session_id: Option<uuid::Uuid>,
    /// The bearer token of the session, told once.
    session_token: Option<String>,
    /// Its assurance level.
    #[schema(value_type = Option<AalWord>)]
    aal: Option<String>,
    /// How it was proved.
    #[schema(value_type = Option<Vec<AmrWord>>)]
    amr: Option<Vec<String>>,
    /// Its absolute end.
    #[schema(format = DateTime)]
    expires_at: Option<String>,
    /// Unused this many seconds, it ends.
    idle_timeout: Option<u32>,
    /// The device's token, told once: to be sent back in the header `Countersign-Device`. It opens nothing.
    device_token: Option<String>,
    /// Too many wrong ones suspended the recovery codes that were brought from another system: make new ones.
    recovery_codes_suspended: Option<bool>,
}

/// Try a code
///
/// A code that was right once is wrong the second time.
#[utoipa::path(post, path = "/v1/verifications/{id}/attempts", operation_id = "attempt", tag = "verifications",
    request_body = Request, responses((status = 200, description = "The right code.", body = Attempted)))]
pub(crate) async fn handler(
    State(app): State<App>,
    on: OnVerification,
    incoming: Incoming<Request>,
) -> Result<Answer<Attempted>, Problem> {
    let Request { method, method_id, code } = &incoming.body;
    let code = entered_code("code", code)?;
    let command = match method {
        Some(FactorKind::RecoveryCode) => Command::UseRecoveryCode { verification_id: on.id, code },
        kind => Command::SubmitCode { verification_id: on.id, kind: *kind, method_id: *method_id, code },
    };
    let signs_in = on.state.verifications.get(&on.id).is_none_or(|it| it.purpose == Purpose::SignIn);
    let answers = if signs_in { Answers::SessionToken } else { Answers::Usual };
    let executed = app.engine.execute(on.account, command, &incoming.request_for(&app, on.caller, answers)?).await?;
    let (attempted, reached) = told!(executed, "attempt", Outcome::Verified(verified) => {
        let Verified { usable_until, session, recovery_codes_remaining, .. } = verified;
        Attempted {
            status: VerificationStatus::Verified,
            usable_until,
            session: session.map(|session| SessionShape::new(on.account, session)),
            recovery_codes_remaining,
        }
    });
    Ok(Answer::ok(attempted).after(reached))
}
