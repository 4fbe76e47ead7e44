#![expect(clippy::unwrap_used, reason = "tests")]

use axum::body::to_bytes;
use serde_json::Value;

use super::*;

const WAIT: Seconds = Seconds(17);

/// Every refusal, as this table knows them; the match in `answer_to` sees to it that none is missing.
fn refusals() -> Vec<Refusal> {
    vec![
        Refusal::Unauthenticated,
        Refusal::WrongCredentials,
        Refusal::EmailNotVerified,
        Refusal::VerificationRequired { purpose: Purpose::DisableMethod },
        Refusal::Forbidden,
        Refusal::NotFound,
        Refusal::DuplicateMethod,
        Refusal::AlreadyEnabled,
        Refusal::Conflict,
        Refusal::VerificationExpired,
        Refusal::CodeExpired,
        Refusal::NoCodeSent,
        Refusal::Invalid { field: "email".to_owned(), detail: "must be one".to_owned() },
        Refusal::WrongCode { fail_count: 3, locked_until: Some(Timestamp::EPOCH) },
        Refusal::MethodLocked { locked_until: Timestamp::EPOCH, retry_after: WAIT },
        Refusal::ResendTooSoon { retry_after: WAIT },
        Refusal::RateLimited { retry_after: WAIT },
        Refusal::AddressIsNew { retry_after: WAIT },
        Refusal::Unreadable,
        Refusal::AccountLocked,
    ]
}

/// Status and code of design section 8.
fn answer_to(refusal: &Refusal) -> (u16, &'static str) {
    match refusal {
        Refusal::Unauthenticated => (401, "unauthenticated"),
        Refusal::WrongCredentials => (401, "wrong_credentials"),
        Refusal::EmailNotVerified => (403, "email_not_verified"),
        Refusal::VerificationRequired { .. } => (403, "verification_required"),
        Refusal::Forbidden => (403, "forbidden"),
        Refusal::NotFound => (404, "not_found"),
        Refusal::DuplicateMethod => (409, "duplicate_method"),
        Refusal::AlreadyEnabled => (409, "already_enabled"),
        Refusal::Conflict => (409, "conflict"),
        Refusal::VerificationExpired => (410, "verification_expired"),
        Refusal::CodeExpired => (410, "code_expired"),
        Refusal::NoCodeSent | Refusal::Invalid { .. } => (422, "invalid_request"),
        Refusal::WrongCode { .. } => (422, "wrong_code"),
        Refusal::MethodLocked { .. } => (429, "method_locked"),
        Refusal::ResendTooSoon { .. } => (429, "resend_too_soon"),
        Refusal::RateLimited { .. } | Refusal::AddressIsNew { .. } => (429, "rate_limited"),
        Refusal::Unreadable => (503, "unavailable"),
        Refusal::AccountLocked => (403, "account_locked"),
    }
}

async fn document(problem: Problem) -> (u16, axum::http::HeaderMap, Value) {
    let (parts, body) = problem.into_response().into_parts();
    let body = to_bytes(body, 10_000).await.unwrap();
    (parts.status.as_u16(), parts.headers, serde_json::from_slice(&body).unwrap())
}

#[tokio::test]
async fn every_refusal_has_its_code_and_status() {
    for refusal in refusals() {
        let (status, code) = answer_to(&refusal);
        let (answered, headers, body) = document(refusal.into()).await;
        assert_eq!((answered, &body["code"]), (status, &Value::from(code)));
        assert_eq!(body["status"], status);
        assert_eq!(body["type"], format!("urn:countersign:problem:{code}"));
        assert_eq!(headers["content-type"], "application/problem+json");
        assert!(body["title"].is_string() && body["detail"].is_string());
        assert_eq!(headers.contains_key("retry-after"), status == 429 || status == 503, "{code}");
        assert_eq!(headers.contains_key("www-authenticate"), status == 401, "{code}");
        if status == 429 {
            assert_eq!((&headers["retry-after"], &body["retry_after"]), (&HeaderValue::from(17), &Value::from(17)));
        }
    }
}

#[tokio::test]
async fn what_belongs_to_a_refusal_is_told_with_it() {
    let told = |refusal: Refusal| async { document(refusal.into()).await.2 };
    let wrong = told(Refusal::WrongCode { fail_count: 3, locked_until: Some(Timestamp::EPOCH) }).await;
    assert_eq!(
        (&wrong["fail_count"], &wrong["locked_until"]),
        (&Value::from(3), &Value::from("1970-01-01T00:00:00.000Z"))
    );
    let wrong = told(Refusal::WrongCode { fail_count: 1, locked_until: None }).await;
    assert!(wrong.get("locked_until").is_none());
    let required = told(Refusal::VerificationRequired { purpose: Purpose::AddMethod }).await;
    assert_eq!(required["purpose"], "add_method");
    let invalid = told(Refusal::Invalid { field: "label".to_owned(), detail: "no".to_owned() }).await;
    assert_eq!((&invalid["field"], &invalid["detail"]), (&Value::from("label"), &Value::from("no")));
    let locked = told(Refusal::AccountLocked).await;
    assert!(locked.get("retry_after").is_none());
}

#[tokio::test]
async fn causes_stay_inside() {
    let errors = [
        (ExecuteError::Unavailable("the disk at /secret".to_owned()), 503, "unavailable"),
        (ExecuteError::Busy, 503, "unavailable"),
        (ExecuteError::IdempotencyConflict, 409, "idempotency_conflict"),
        (ExecuteError::Internal("the disk at /secret".to_owned()), 500, "internal"),
    ];
    for (error, status, code) in errors {
        let (answered, headers, body) = document(error.into()).await;
        assert_eq!((answered, &body["code"]), (status, &Value::from(code)));
        assert_eq!(headers.contains_key("retry-after"), status == 503);
        assert!(!body.to_string().contains("/secret"));
    }
    let (_, _, one) = document(Problem::internal("this")).await;
    let (_, _, other) = document(Problem::internal("that")).await;
    assert_eq!(one, other);
}

#[test]
fn codes_are_unique_and_their_statuses_errors() {
    let mut names: Vec<_> = Code::ALL.iter().map(|code| code.name()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), Code::ALL.len());
    assert!(Code::ALL.iter().all(|code| code.status().as_u16() >= 400));
}
