//! Parameters after the question mark. Unknown ones are refused, like unknown fields.

use axum::{
    extract::{FromRequestParts, Query as Plain},
    http::request::Parts,
};
use serde::de::DeserializeOwned;

use super::body::explain;
use crate::{problem::Problem, state::App};

/// The query of a request.
pub(crate) struct Query<T>(pub T);

impl<T: DeserializeOwned + Send> FromRequestParts<App> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Problem> {
        Plain::<T>::try_from_uri(&parts.uri).map(|Plain(query)| Self(query)).map_err(|rejection| {
            // The message of the innermost error names the field.
            let mut innermost: &dyn std::error::Error = &rejection;
            while let Some(source) = innermost.source() {
                innermost = source;
            }
            explain("", &innermost.to_string())
        })
    }
}
