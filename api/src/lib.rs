//! The HTTP interface: commands, queries, audit, OpenAPI, problem details.
//!
//! One endpoint is one file under `endpoints`. Handlers translate and never decide: who may do what, and
//! when, is in `domain`; that someone is who they say they are is an extractor, which a handler cannot
//! forget. `docs/how-to/add-an-endpoint.md` is the checklist.

mod docs;
mod edge;
mod endpoint;
mod endpoints;
mod extract;
mod headers;
mod otpauth;
mod problem;
mod receipts;
mod routes;
mod shapes;
mod state;
mod v0;
mod views;
mod words;

use axum::{Router, middleware::from_fn_with_state};

pub use self::{
    problem::Code,
    receipts::ReceiptVerifiers,
    state::{ApiConfig, ApiState, DevInbox},
};
use self::{problem::Problem, state::AppState};

/// The router of the public listener. Serve it with `into_make_service_with_connect_info::<SocketAddr>()`:
/// limits count by the peer's address.
pub fn router(state: ApiState) -> Result<Router, serde_json::Error> {
    let app = AppState::new(state);
    let (router, mut document) = routes::endpoints();
    document.servers = app.config.public_url.as_ref().map(|url| vec![utoipa::openapi::Server::new(url)]);
    let router = if app.config.drop_in { router.merge(v0::routes()) } else { router };
    Ok(router
        .merge(docs::routes(&document)?)
        .fallback(nowhere)
        .method_not_allowed_fallback(not_so)
        .layer(from_fn_with_state(app.clone(), edge::edge))
        .with_state(app))
}

/// The OpenAPI document.
pub fn openapi() -> utoipa::openapi::OpenApi {
    routes::endpoints().1
}

async fn nowhere() -> Problem {
    Problem::new(Code::NotFound, "There is no such path.")
}

async fn not_so() -> Problem {
    Problem::new(Code::MethodNotAllowed, "The header Allow names the methods of this path.")
}
