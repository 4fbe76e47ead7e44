//! The contract's error codes and how an error is written.

use std::{borrow::Cow, sync::Arc};

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use domain::time::Timestamp;
use engine::ExecuteError;
use serde::Serialize;

use super::shapes::epoch_up;
use crate::problem::{self, Cause, Problem};

macro_rules! codes {
    ($($name:ident $code:literal $status:ident;)+) => {
        /// The codes that can occur.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum Code { $($name,)+ }

        impl Code {
            /// As in the answer's `error`.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $code,)+ }
            }
            /// The HTTP status.
            pub const fn status(self) -> StatusCode {
                match self { $(Self::$name => StatusCode::$status,)+ }
            }
        }
    };
}

codes! {
    BadRequest "bad_request" BAD_REQUEST;
    InvalidTfaMethod "invalid_tfa_method" BAD_REQUEST;
    MissingAuthValue "missing_auth_value" BAD_REQUEST;
    MissingParams "missing_params" BAD_REQUEST;
    EmailNotVerified "email_not_verified" BAD_REQUEST;
    Expired "2fa_expired" BAD_REQUEST;
    ChallengeNotFound "challenge_not_found" BAD_REQUEST;
    NoChallengeFound "no_challenge_found" BAD_REQUEST;
    ChallengeExists "tfa_challenge_exists" BAD_REQUEST;
    NoPendingAuthorization "no_pending_authorization" BAD_REQUEST;
    DuplicateMethod "duplicate_tfa_method" BAD_REQUEST;
    PhoneNumberMismatch "phone_number_mismatch" BAD_REQUEST;
    LoginFailed "2fa_login_failed" BAD_REQUEST;
    VerificationFailed "2fa_verification_failed" BAD_REQUEST;
    MissingPhoneNumber "missing_phone_number" BAD_REQUEST;
    MethodNotConfigured "tfa_method_not_configured" BAD_REQUEST;
    SmsBlockedNumber "sms_blocked_number" BAD_REQUEST;
    InvalidBackup "invalid_backup_code" UNAUTHORIZED;
    AuthError "auth_error" FORBIDDEN;
    AuthorizationRequired "authorization_required" FORBIDDEN;
    NotFound "not_found" NOT_FOUND;
    Locked "tfa_locked" TOO_MANY_REQUESTS;
    SmsRateLimited "sms_rate_limited" TOO_MANY_REQUESTS;
    PreauthPhoneCap "preauth_phone_cap" TOO_MANY_REQUESTS;
    ChallengeCreationFailed "challenge_creation_failed" INTERNAL_SERVER_ERROR;
    ServiceUnavailable "service_unavailable" SERVICE_UNAVAILABLE;
}

/// An answer that says no.
#[derive(Debug)]
pub(super) struct Refused(Box<Inner>);

#[derive(Debug)]
struct Inner {
    code: Code,
    status: StatusCode,
    msg: Cow<'static, str>,
    failures: Option<(u32, Option<Timestamp>)>,
    retry_after: Option<u32>,
    cause: Option<Arc<str>>,
}

/// As it is written.
#[derive(Serialize)]
struct Document<'a> {
    success: bool,
    error: &'static str,
    msg: &'a str,
    #[serde(flatten)]
    failures: Option<Failures>,
}

#[derive(Serialize)]
struct Failures {
    fail_count: u32,
    locked_until: Option<i64>,
}

impl Refused {
    pub fn new(code: Code, msg: impl Into<Cow<'static, str>>) -> Self {
        let status = code.status();
        Self(Box::new(Inner { code, status, msg: msg.into(), failures: None, retry_after: None, cause: None }))
    }
    /// A session that ended: with these words the client forgets it and tries its key.
    pub fn session_expired() -> Self {
        Self::new(Code::NotFound, "Session expired. Please log in again.")
    }
    /// A key that is none: the client explains a 401 to its user.
    pub fn invalid_key() -> Self {
        let mut refused = Self::new(Code::AuthError, "Invalid user key");
        refused.0.status = StatusCode::UNAUTHORIZED;
        refused
    }
    /// With the count of wrong codes and the end of the lock.
    pub fn counting(mut self, fail_count: u32, locked_until: Option<Timestamp>) -> Self {
        self.0.failures = Some((fail_count, locked_until));
        self
    }
    /// With the seconds to wait.
    pub fn after(mut self, seconds: u32) -> Self {
        self.0.retry_after = Some(seconds.max(1));
        self
    }
    /// The same under another code.
    pub fn but(mut self, code: Code) -> Self {
        self.0.code = code;
        self.0.status = code.status();
        self
    }
    /// Its code.
    pub fn code(&self) -> Code {
        self.0.code
    }
}

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        let (code, detail, retry_after, cause) = problem.into_parts();
        let mut refused = match code {
            problem::Code::Unauthenticated | problem::Code::WrongCredentials => Self::invalid_key(),
            problem::Code::Forbidden => Self::new(Code::AuthError, detail),
            problem::Code::NotFound => Self::new(Code::NotFound, detail),
            problem::Code::Internal => Self::new(Code::ChallengeCreationFailed, "Something went wrong."),
            problem::Code::Unavailable | problem::Code::StaleView => Self::new(Code::ServiceUnavailable, detail),
            _ => Self::new(Code::BadRequest, detail),
        };
        refused.0.retry_after = retry_after;
        refused.0.cause = cause;
        refused
    }
}

impl From<ExecuteError> for Refused {
    fn from(error: ExecuteError) -> Self {
        Problem::from(error).into()
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let Inner { code, status, msg, failures, retry_after, cause } = *self.0;
        let failures = failures.map(|(fail_count, until)| Failures { fail_count, locked_until: until.map(epoch_up) });
        let document = Document { success: false, error: code.name(), msg: &msg, failures };
        // Serializing these few fields cannot fail; an empty body with the right status is the fallback.
        let mut response = Response::new(Body::from(serde_json::to_vec(&document).unwrap_or_default()));
        *response.status_mut() = status;
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(seconds) = retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        if let Some(cause) = cause {
            response.extensions_mut().insert(Cause(cause));
        }
        response
    }
}
