//! The OpenAPI document and the pages that show it, from assets inside the binary.

use axum::{
    Router,
    body::Bytes,
    extract::Request,
    http::{HeaderValue, header},
    middleware::{Next, from_fn},
    response::{IntoResponse, Response},
    routing::get,
};
use utoipa::openapi::OpenApi;
use utoipa_swagger_ui::{Config, SwaggerUi};

use crate::state::App;

/// The viewer brings its own scripts; its styles are set inline. It may load nothing from anywhere else.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
     font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);

/// `/openapi.json` and `/docs`.
pub(crate) fn routes(document: &OpenApi) -> Result<Router<App>, serde_json::Error> {
    // Written once: it never changes while the process lives.
    let json = Bytes::from(serde_json::to_vec(document)?);
    let serve = move || {
        let json = json.clone();
        async move { ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], json) }
    };
    // `validatorUrl: none`: the viewer would otherwise show the document to a validator on the internet.
    let config = Config::from("/openapi.json").validator_url("none").try_it_out_enabled(true);
    let viewer: Router<App> = SwaggerUi::new("/docs").config(config).into();
    Ok(Router::new().route("/openapi.json", get(serve)).merge(viewer.layer(from_fn(with_policy))))
}

async fn with_policy(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await.into_response();
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, POLICY);
    response
}
