//! What a gateway posts: taken as it is, since its signature is over the bytes.

use axum::{
    body::Bytes,
    extract::{FromRequest, Request},
    http::HeaderMap,
};
use domain::{
    ids::{CommandId, EventId},
    values::{Caller, Origin},
};
use uuid::Uuid;

use super::{RequestId, body, params::param};
use crate::{
    problem::Problem,
    state::{App, AppState},
};

/// A gateway's call-back.
pub(crate) struct Posted {
    /// The gateway that the path names.
    pub gateway: String,
    /// The query, undecoded.
    pub query: String,
    pub headers: HeaderMap,
    pub body: Bytes,
    correlation_id: Uuid,
}

impl FromRequest<App> for Posted {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let (mut parts, stream) = request.into_parts();
        let gateway = param(&mut parts, app, "gateway").await?;
        let body = body::bytes(&parts.headers, stream, app.config.body_limit).await?;
        let correlation_id = parts.extensions.get::<RequestId>().map_or(Uuid::nil(), |RequestId(id)| *id);
        let query = parts.uri.query().unwrap_or_default().to_owned();
        Ok(Self { gateway, query, headers: parts.headers, body, correlation_id })
    }
}

impl Posted {
    /// The engine's request. Without an origin: nothing in a delivery's history is personal, and it has no key.
    pub fn request(&self, app: &AppState, order: EventId) -> Result<engine::Request, Problem> {
        let entropy = app.entropy()?;
        Ok(engine::Request {
            caller: Caller::Worker,
            origin: Origin::default(),
            command_id: CommandId(entropy.uuid(app.now(), "receipt")),
            idempotency: None,
            correlation_id: self.correlation_id,
            causation_id: Some(order),
            trace_parent: None,
        })
    }
}
