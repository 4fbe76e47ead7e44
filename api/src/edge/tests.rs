#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::sync::Arc;

use axum::{
    Router,
    body::{Body, to_bytes},
    http::Request as HttpRequest,
    middleware::from_fn_with_state,
    routing::get,
};
use engine::testing::Fixture;
use event_store::testing::Scratch;
use operations::Operations;
use projections::{ViewParts, Views};
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::*;
use crate::{ApiConfig, ApiState};

async fn panics() -> StatusCode {
    panic!("of {}", "anna@example.com")
}

/// Asks a router of handlers that misbehave.
async fn ask(path: &str) -> (StatusCode, HeaderMap, Value) {
    let (fixture, scratch) = (Fixture::start().await, Scratch::new().unwrap());
    let parts =
        ViewParts { log: fixture.store.clone(), keys: fixture.keys.clone(), runtime: fixture.engine.runtime().clone() };
    let ring = Arc::new(vault::KeyRing::generate(fixture.engine.runtime()).unwrap());
    let app = AppState::new(ApiState {
        engine: fixture.engine.clone(),
        views: Arc::new(Views::sqlite(&scratch.file("views.db"), parts).await.unwrap()),
        operations: Arc::new(Operations::sqlite(&scratch.file("operations.db"), ring).await.unwrap()),
        config: ApiConfig { request_timeout: Duration::from_millis(20), ..ApiConfig::default() },
        shutdown: CancellationToken::new(),
    });
    let router = Router::new()
        .route("/v1/panics", get(panics))
        .route("/v1/hangs", get(std::future::pending::<()>))
        .route("/v1/fails", get(|| async { Problem::internal("the cause") }))
        .layer(from_fn_with_state(app, edge));
    let request = HttpRequest::get(path).body(Body::empty()).unwrap();
    let (parts, body) = router.oneshot(request).await.unwrap().into_parts();
    let body = to_bytes(body, 10_000).await.unwrap();
    (parts.status, parts.headers, serde_json::from_slice(&body).unwrap())
}

#[tokio::test]
async fn a_panic_is_our_fault_and_ends_one_request() {
    let (status, headers, body) = ask("/v1/panics").await;
    assert_eq!((status.as_u16(), &body["code"]), (500, &Value::from("internal")));
    assert!(!body.to_string().contains("anna"));
    assert!(headers.contains_key("x-request-id"));
    assert_eq!(headers["cache-control"], "no-store");
}

#[tokio::test]
async fn what_takes_too_long_is_unavailable() {
    let (status, headers, body) = ask("/v1/hangs").await;
    assert_eq!((status.as_u16(), &body["code"]), (503, &Value::from("unavailable")));
    assert_eq!(headers["retry-after"], "1");
}

#[tokio::test]
async fn a_cause_is_for_the_log_alone() {
    let (status, _, body) = ask("/v1/fails").await;
    assert_eq!(status.as_u16(), 500);
    assert!(!body.to_string().contains("the cause"));
}

#[test]
fn only_constant_messages_of_panics_are_repeated() {
    let constant: Box<dyn Any + Send> = Box::new("a constant");
    let built: Box<dyn Any + Send> = Box::new("anna@example.com".to_owned());
    assert_eq!(panicked(constant.as_ref()), "panicked: a constant");
    assert_eq!(panicked(built.as_ref()), "panicked");
}
