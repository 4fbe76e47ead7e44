//! The names of our own headers.

use axum::http::HeaderName;

/// On commands: the same key with the same request is the same command.
pub const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// On the answer of a command that was carried out before.
pub const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
/// How far the stream (commands) or the view (queries) had got.
pub const POSITION: HeaderName = HeaderName::from_static("countersign-position");
/// On queries: answer only from a view that got this far.
pub const MIN_POSITION: HeaderName = HeaderName::from_static("countersign-min-position");
/// The verification that authorizes a command.
pub const VERIFICATION: HeaderName = HeaderName::from_static("countersign-verification");
/// The device that a sign-in made known: it says whose wrong codes are counted where, and opens nothing.
pub const DEVICE: HeaderName = HeaderName::from_static("countersign-device");
/// On requests of an API client: the address of the user that it asks for. Anyone else's is not looked at.
pub const END_USER_IP: HeaderName = HeaderName::from_static("countersign-end-user-ip");
/// Ties a request to its log lines and events.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Who the proxies say is asking.
pub const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// W3C trace context.
pub const TRACE_PARENT: HeaderName = HeaderName::from_static("traceparent");
/// Where a stream of server-sent events goes on.
pub const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
