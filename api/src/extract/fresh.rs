//! How fresh a query's view must be, and was.

use std::{sync::Arc, time::Duration};

use axum::{extract::FromRequestParts, http::request::Parts};
use domain::{
    ids::{AccountId, StreamId},
    state::Account,
};
use event_store::port::LogError;
use schemas::envelope::Position;

use crate::{
    headers,
    problem::Problem,
    state::{App, AppState},
};

/// Between two looks at a state that is behind.
const PAUSE: Duration = Duration::from_millis(10);

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

    /// An account's state as it is known, or, when the caller asks for a position, one that is as new as the log
    /// at that position: a state in memory may be a moment behind what another process appended.
    pub async fn state(
        &self,
        app: &AppState,
        account: AccountId,
        known: (Arc<Account>, Position),
    ) -> Result<(Arc<Account>, Position), Problem> {
        if self.0 == Position::START {
            return Ok(known);
        }
        let unreadable = |error: LogError| Problem::unavailable(error.to_string());
        let runtime = app.engine.runtime();
        let deadline = runtime.instant() + app.config.view_wait;
        loop {
            let reached = app.engine.log().last_position().await.map_err(unreadable)?;
            let head = app.engine.log().head(&StreamId::Account(account)).await.map_err(unreadable)?;
            let loaded = app.engine.load(account).await?;
            if reached >= self.0 && loaded.version >= head {
                return Ok((loaded.state, loaded.position));
            }
            if runtime.instant() >= deadline {
                return Err(Problem::stale_view());
            }
            runtime.sleep(PAUSE).await;
        }
    }
}
