//! Every error leaves as an RFC 9457 problem document with a stable `code`.
//!
//! A problem has an outside (what the caller reads) and an inside (the cause, for the log alone). The
//! outside of a 500 is constant.

use std::{borrow::Cow, sync::Arc};

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use domain::{
    outcome::Refusal,
    time::{Seconds, Timestamp},
    values::Purpose,
};
use engine::ExecuteError;
use schemas::envelope::Position;
use serde::Serialize;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{ObjectBuilder, RefOr, Schema, Type},
};

use crate::{headers, words::PurposeWord};

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident $code:literal $status:ident $title:literal;)+) => {
        /// The stable codes. A code never changes its meaning or its status.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code { $($(#[$doc])* $name,)+ }

        impl Code {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];
            /// As in the document's `code`.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $code,)+ }
            }
            /// The HTTP status.
            pub const fn status(self) -> StatusCode {
                match self { $(Self::$name => StatusCode::$status,)+ }
            }
            /// A short sentence, the same for every occurrence.
            pub const fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)+ }
            }
            const fn type_uri(self) -> &'static str {
                match self { $(Self::$name => concat!("urn:countersign:problem:", $code),)+ }
            }
        }
    };
}

codes! {
    /// Not JSON, or not a request that can be read.
    MalformedRequest "malformed_request" BAD_REQUEST "The request cannot be read";
    /// No valid credential.
    Unauthenticated "unauthenticated" UNAUTHORIZED "A valid credential is required";
    /// Unknown address or wrong password.
    WrongCredentials "wrong_credentials" UNAUTHORIZED "Unknown address or wrong password";
    /// The address must be confirmed first.
    EmailNotVerified "email_not_verified" FORBIDDEN "The address is not confirmed";
    /// A fresh verification is missing.
    VerificationRequired "verification_required" FORBIDDEN "A fresh verification is required";
    /// The credential may not do this.
    Forbidden "forbidden" FORBIDDEN "Not allowed";
    /// Too many wrong codes in a row.
    AccountLocked "account_locked" FORBIDDEN "Too many wrong codes";
    /// Nothing there that the caller may see.
    NotFound "not_found" NOT_FOUND "Not found";
    /// Another method.
    MethodNotAllowed "method_not_allowed" METHOD_NOT_ALLOWED "The method is not allowed here";
    /// The number or key is on the account already.
    DuplicateMethod "duplicate_method" CONFLICT "This method is on the account already";
    /// Enabled already.
    AlreadyEnabled "already_enabled" CONFLICT "Enabled already";
    /// Does not fit the state.
    Conflict "conflict" CONFLICT "Conflicts with the present state";
    /// The key was used with another request.
    IdempotencyConflict "idempotency_conflict" CONFLICT "The idempotency key belongs to another request";
    /// The verification or enrollment is over.
    VerificationExpired "verification_expired" GONE "The verification is over";
    /// The code's time is over.
    CodeExpired "code_expired" GONE "The code has expired";
    /// The body is too large.
    PayloadTooLarge "payload_too_large" PAYLOAD_TOO_LARGE "The body is too large";
    /// The body is not JSON.
    UnsupportedMediaType "unsupported_media_type" UNSUPPORTED_MEDIA_TYPE "The body must be JSON";
    /// A value that the rules do not allow.
    InvalidRequest "invalid_request" UNPROCESSABLE_ENTITY "A value is not allowed";
    /// Not the code.
    WrongCode "wrong_code" UNPROCESSABLE_ENTITY "Wrong code";
    /// The kind is locked.
    MethodLocked "method_locked" TOO_MANY_REQUESTS "The method is locked";
    /// A resend before its time.
    ResendTooSoon "resend_too_soon" TOO_MANY_REQUESTS "Sent a moment ago";
    /// A limit.
    RateLimited "rate_limited" TOO_MANY_REQUESTS "Too many";
    /// Our fault.
    Internal "internal" INTERNAL_SERVER_ERROR "Something went wrong";
    /// Not now.
    Unavailable "unavailable" SERVICE_UNAVAILABLE "Not available now";
    /// The view has not got there.
    StaleView "stale_view" SERVICE_UNAVAILABLE "The view is behind";
}

/// The codes of problems, to the OpenAPI document.
#[derive(Debug)]
pub enum ProblemCode {}

impl PartialSchema for ProblemCode {
    fn schema() -> RefOr<Schema> {
        let names = Code::ALL.iter().map(|code| code.name());
        ObjectBuilder::new().schema_type(Type::String).enum_values(Some(names)).into()
    }
}
impl ToSchema for ProblemCode {}

/// An answer that says no.
#[derive(Debug, Clone)]
pub struct Problem(Box<Inner>);

#[derive(Debug, Clone)]
struct Inner {
    code: Code,
    detail: Cow<'static, str>,
    members: Members,
    position: Option<Position>,
    replayed: bool,
    cause: Option<Arc<str>>,
}

/// Members beside the five of RFC 9457.
#[derive(Debug, Clone, Default, Serialize)]
struct Members {
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<Cow<'static, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fail_count: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    locked_until: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    purpose: Option<Purpose>,
}

/// The document, as it is written and as the OpenAPI document describes it.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Problem, description = "RFC 9457 problem details. `code` is stable; `title` and `detail` are for people.")]
pub struct Document<'a> {
    /// `urn:countersign:problem:` and the code.
    #[serde(rename = "type")]
    #[schema(rename = "type")]
    type_uri: &'static str,
    /// A short sentence, the same for every occurrence of the code.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// What it was this time.
    detail: &'a str,
    /// The stable code.
    #[schema(value_type = ProblemCode)]
    code: &'static str,
    #[serde(flatten)]
    #[schema(value_type = MembersSchema)]
    members: &'a Members,
}

/// What [`Members`] is to the OpenAPI document.
#[derive(utoipa::ToSchema)]
#[schema(as = ProblemMembers)]
#[expect(dead_code, reason = "describes members, never built")]
struct MembersSchema {
    /// The field, header or parameter that `invalid_request` is about.
    field: Option<String>,
    /// Wrong codes in a row, with `wrong_code`.
    fail_count: Option<u32>,
    /// The lock's end, with `wrong_code` at the limit and with `method_locked`.
    #[schema(format = DateTime)]
    locked_until: Option<String>,
    /// Seconds, as in the header `Retry-After`.
    retry_after: Option<u32>,
    /// What the verification must be for, with `verification_required`.
    #[schema(value_type = Option<PurposeWord>)]
    purpose: Option<String>,
}

/// Why it happened; the edge logs it once.
#[derive(Debug, Clone)]
pub struct Cause(pub Arc<str>);

/// The code of a problem, kept beside the answer for metrics.
#[derive(Debug, Clone, Copy)]
pub struct Answered(pub Code);

impl Problem {
    /// A problem of this code.
    pub fn new(code: Code, detail: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Inner {
            code,
            detail: detail.into(),
            members: Members::default(),
            position: None,
            replayed: false,
            cause: None,
        }))
    }
    /// A value of the request that is not allowed.
    pub fn invalid(field: impl Into<Cow<'static, str>>, detail: impl Into<Cow<'static, str>>) -> Self {
        let mut problem = Self::new(Code::InvalidRequest, detail);
        problem.0.members.field = Some(field.into());
        problem
    }
    /// Nothing there that the caller may see.
    pub fn not_found() -> Self {
        Self::new(Code::NotFound, "There is nothing here that this credential may see.")
    }
    /// No valid credential.
    pub fn unauthenticated() -> Self {
        Self::new(Code::Unauthenticated, "Send a live token as `Authorization: Bearer …`.")
    }
    /// The credential may not do this.
    pub fn forbidden() -> Self {
        Self::new(Code::Forbidden, "This credential may not do that.")
    }
    /// Our fault; the cause goes to the log and nowhere else.
    pub fn internal(cause: impl Into<Arc<str>>) -> Self {
        Self::new(Code::Internal, "It is our fault. The header X-Request-Id helps to find out why.").because(cause)
    }
    /// Not now; the cause goes to the log and nowhere else.
    pub fn unavailable(cause: impl Into<Arc<str>>) -> Self {
        Self::new(Code::Unavailable, "Try again in a moment.").after(Seconds(1)).because(cause)
    }
    /// Something else is busy; nothing is wrong.
    pub fn busy() -> Self {
        Self::new(Code::Unavailable, "Too much at once. Try again in a moment.").after(Seconds(1))
    }
    /// The view has not got there.
    pub fn stale_view() -> Self {
        Self::new(Code::StaleView, "The view has not reached the position that was asked for.").after(Seconds(1))
    }
    /// With a field named as the request names it, where the rules call it otherwise.
    #[must_use]
    pub fn naming(mut self, rules: &str, request: &'static str) -> Self {
        if self.0.members.field.as_deref() == Some(rules) {
            self.0.members.field = Some(request.into());
        }
        self
    }
    /// Its code, its sentence, the seconds to wait and its cause, for another way of writing.
    pub(crate) fn into_parts(self) -> (Code, Cow<'static, str>, Option<u32>, Option<Arc<str>>) {
        let Inner { code, detail, members, cause, .. } = *self.0;
        let detail = match members.field {
            Some(field) => format!("{field} {detail}.").into(),
            None => detail,
        };
        (code, detail, members.retry_after, cause)
    }
    /// With the position that the stream reached.
    #[must_use]
    pub fn at(mut self, position: Position, replayed: bool) -> Self {
        self.0.position = Some(position);
        self.0.replayed = replayed;
        self
    }
    fn after(mut self, wait: Seconds) -> Self {
        self.0.members.retry_after = Some(wait.0.max(1));
        self
    }
    fn because(mut self, cause: impl Into<Arc<str>>) -> Self {
        self.0.cause = Some(cause.into());
        self
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Unauthenticated => Self::unauthenticated(),
            Refusal::WrongCredentials => {
                Self::new(Code::WrongCredentials, "Nobody signs in with this address and password.")
            }
            Refusal::EmailNotVerified => {
                Self::new(Code::EmailNotVerified, "Confirm the address with the code that was sent to it.")
            }
            Refusal::VerificationRequired { purpose } => {
                let mut problem = Self::new(
                    Code::VerificationRequired,
                    format!(
                        "Complete a verification for the purpose `{}` and name it in the header Countersign-Verification.",
                        purpose.name()
                    ),
                );
                problem.0.members.purpose = Some(purpose);
                problem
            }
            Refusal::Forbidden => Self::forbidden(),
            Refusal::NotFound => Self::not_found(),
            Refusal::DuplicateMethod => {
                Self::new(Code::DuplicateMethod, "This number or key is on the account already.")
            }
            Refusal::AlreadyEnabled => Self::new(Code::AlreadyEnabled, "This method is enabled already."),
            Refusal::Conflict => Self::new(Code::Conflict, "That does not fit the present state."),
            Refusal::VerificationExpired => Self::new(Code::VerificationExpired, "It is over. Start another one."),
            Refusal::CodeExpired => Self::new(Code::CodeExpired, "The code has expired. Ask for another one."),
            Refusal::NoCodeSent => Self::invalid("code", "no code was sent this way: ask for one first"),
            Refusal::Invalid { field, detail } => Self::invalid(field, detail),
            Refusal::WrongCode { fail_count, locked_until } => {
                let mut problem = Self::new(Code::WrongCode, "Not the code. Wait for a new one if you just used one.");
                problem.0.members.fail_count = Some(fail_count);
                problem.0.members.locked_until = locked_until;
                problem
            }
            Refusal::MethodLocked { locked_until, retry_after } => {
                let mut problem = Self::new(Code::MethodLocked, "Too many wrong codes. Wait, or use another method.")
                    .after(retry_after);
                problem.0.members.locked_until = Some(locked_until);
                problem
            }
            Refusal::ResendTooSoon { retry_after } => {
                Self::new(Code::ResendTooSoon, "A code was sent a moment ago.").after(retry_after)
            }
            Refusal::RateLimited { retry_after } => {
                Self::new(Code::RateLimited, "A limit is reached. Try again later.").after(retry_after)
            }
            Refusal::AddressIsNew { retry_after } => {
                let detail = "The address of this account is new: for now its mailbox proves nothing but a sign-in.";
                Self::new(Code::RateLimited, detail).after(retry_after)
            }
            // The engine turns it into an error of its own before anyone is told.
            Refusal::Unreadable => Self::unavailable("a personal value does not open"),
            Refusal::AccountLocked => {
                Self::new(Code::AccountLocked, "Too many wrong codes in a row. Use a recovery code or ask support.")
            }
        }
    }
}

impl From<ExecuteError> for Problem {
    fn from(error: ExecuteError) -> Self {
        match error {
            ExecuteError::Unavailable(cause) => Self::unavailable(cause),
            ExecuteError::Busy => Self::busy(),
            ExecuteError::IdempotencyConflict => Self::new(
                Code::IdempotencyConflict,
                "This Idempotency-Key was used with another request. Take a fresh one for each request.",
            ),
            ExecuteError::Internal(cause) => Self::internal(cause),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Inner { code, detail, members, position, replayed, cause } = *self.0;
        let document = Document {
            type_uri: code.type_uri(),
            title: code.title(),
            status: code.status().as_u16(),
            detail: &detail,
            code: code.name(),
            members: &members,
        };
        // Serializing these few fields cannot fail; an empty body with the right status is the fallback.
        let mut response = Response::new(Body::from(serde_json::to_vec(&document).unwrap_or_default()));
        *response.status_mut() = code.status();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = members.retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if code.status() == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(position) = position {
            headers.insert(headers::POSITION, position.0.into());
        }
        if replayed {
            headers.insert(headers::REPLAYED, HeaderValue::from_static("true"));
        }
        response.extensions_mut().insert(Answered(code));
        if let Some(cause) = cause {
            response.extensions_mut().insert(Cause(cause));
        }
        response
    }
}

#[cfg(test)]
mod tests;
