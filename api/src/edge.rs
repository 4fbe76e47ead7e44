//! The edge: what every request passes, in one layer, because each layer costs every request an allocation.
//! Request id, span, time-out, caught panics, security headers, metrics, and the one place where causes are logged.

use std::{any::Any, net::SocketAddr, panic::AssertUnwindSafe, time::Duration};

use axum::{
    extract::{ConnectInfo, MatchedPath, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use futures::FutureExt;
use tracing::{Instrument, Level};
use uuid::Uuid;

use crate::{
    extract::RequestId,
    headers,
    problem::{Answered, Cause, Problem},
    state::{App, AppState},
    v0,
};

/// Nothing of an answer is a page, so nothing of it may load or run anything.
const POLICY: HeaderValue = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");

/// Requests that match no route share this label; their paths are anybody's text.
const NO_ROUTE: &str = "none";

pub(crate) async fn edge(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let started = app.engine.runtime().instant();
    let id = match request_id(&app, &request) {
        Ok(id) => id,
        Err(problem) => return problem.into_response(),
    };
    request.extensions_mut().insert(RequestId(id));
    let method = method_name(request.method());
    let path = request.extensions().get::<MatchedPath>().cloned();
    let route = path.as_ref().map_or(NO_ROUTE, MatchedPath::as_str);
    let is_drop_in = app.config.drop_in && request.uri().path().starts_with(v0::PREFIX);
    let is_api = is_drop_in || request.uri().path().starts_with("/v1/");
    let refuse = |problem: Problem| if is_drop_in { v0::translated(problem) } else { problem.into_response() };

    // The matched route, never the path itself: paths name accounts, and what is mistyped may be a token.
    let span = tracing::span!(Level::INFO, "request", %method, route, request_id = %id);
    let work = app.engine.runtime().timeout(app.config.request_timeout, next.run(request));
    let outcome = AssertUnwindSafe(work).catch_unwind().instrument(span.clone()).await;
    let mut response = match outcome {
        Ok(Ok(response)) => response,
        Ok(Err(_)) => refuse(Problem::unavailable("the request took too long")),
        Err(panic) => refuse(Problem::internal(panicked(panic.as_ref()))),
    };

    let status = response.status();
    if status.is_server_error() {
        span.in_scope(|| report(&response));
    }
    count(method, route, status, app.engine.runtime().since(started), &response);
    set_headers(response.headers_mut(), id, is_api);
    response
}

/// A proxy of ours may have given the request an id; anybody else gets one of ours.
fn request_id(app: &AppState, request: &Request) -> Result<Uuid, Problem> {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    if peer.is_some_and(|ConnectInfo(peer)| app.is_trusted_proxy(peer.ip()))
        && let Some(id) = request.headers().get(headers::REQUEST_ID).and_then(|id| id.to_str().ok()?.parse().ok())
    {
        return Ok(id);
    }
    Ok(app.entropy()?.uuid(app.now(), "request"))
}

/// Method names are anybody's text too.
fn method_name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

/// A panic's message may quote what it choked on, so only messages that are constants are repeated.
fn panicked(panic: &(dyn Any + Send)) -> String {
    match panic.downcast_ref::<&'static str>() {
        Some(constant) => format!("panicked: {constant}"),
        None => "panicked".to_owned(),
    }
}

fn report(response: &Response) {
    let cause = response.extensions().get::<Cause>().map_or("none given", |Cause(cause)| &**cause);
    if response.status() == StatusCode::INTERNAL_SERVER_ERROR {
        tracing::error!(cause, "request failed");
    } else {
        tracing::warn!(cause, status = response.status().as_u16(), "request turned away");
    }
}

fn count(method: &'static str, route: &str, status: StatusCode, took: Duration, response: &Response) {
    let route: std::sync::Arc<str> = route.into();
    let labels = [
        metrics::Label::from_static_parts("method", method),
        metrics::Label::new("route", route),
        metrics::Label::from_static_parts("status", class(status)),
    ];
    metrics::histogram!("countersign_http_request_duration_seconds", labels.iter()).record(took.as_secs_f64());
    if let Some(Answered(code)) = response.extensions().get::<Answered>() {
        metrics::counter!("countersign_http_problems_total", "code" => code.name()).increment(1);
    }
}

/// Few and known, so that the label allocates nothing.
fn class(status: StatusCode) -> &'static str {
    match status.as_u16() {
        200 => "200",
        201 => "201",
        202 => "202",
        204 => "204",
        400 => "400",
        401 => "401",
        403 => "403",
        404 => "404",
        405 => "405",
        409 => "409",
        410 => "410",
        413 => "413",
        415 => "415",
        422 => "422",
        429 => "429",
        500 => "500",
        503 => "503",
        _ => "other",
    }
}

fn set_headers(headers: &mut HeaderMap, id: Uuid, is_api: bool) {
    let mut text = [0; uuid::fmt::Hyphenated::LENGTH];
    if let Ok(id) = HeaderValue::from_str(id.hyphenated().encode_lower(&mut text)) {
        headers.insert(headers::REQUEST_ID, id);
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    let resource_policy = HeaderName::from_static("cross-origin-resource-policy");
    headers.insert(resource_policy, HeaderValue::from_static("same-origin"));
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(POLICY);
    if is_api {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
}

#[cfg(test)]
mod tests;
