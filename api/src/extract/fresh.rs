//! How fresh a query's view must be, and was.

use axum::{extract::FromRequestParts, http::request::Parts};
use schemas::envelope::Position;

use crate::{
    headers,
    problem::Problem,
    state::{App, AppState},
};

/// What the caller asks of the view.
pub(crate) struct Freshness(Position);

impl FromRequestParts<App> for Freshness {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Problem> {
        match parts.headers.get(headers::MIN_POSITION) {
            None => Ok(Self(Position::START)),
            Some(value) => {
                value.to_str().ok().and_then(|text| text.parse().ok()).map(Self).ok_or_else(|| {
                    Problem::invalid("Countersign-Min-Position", "must be a value of Countersign-Position")
                })
            }
        }
    }
}

impl Freshness {
    /// Waits until the views have seen what the caller asks for, and at least `own`; says how far they got.
    pub async fn reached(&self, app: &AppState, own: Position) -> Result<Position, Problem> {
        let wanted = self.0.max(own);
        app.views.wait_for(wanted, app.config.view_wait).await.map_err(|_| Problem::stale_view())
    }
}
