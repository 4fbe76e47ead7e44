//! Whether the log can be read and how far the views are.

use axum::{extract::State, http::StatusCode};
use serde::Serialize;

use crate::{
    endpoint::{About, Access, Kind},
    problem::Problem,
    shapes::Answer,
    state::App,
};

pub(crate) const ABOUT: About = About { access: Access::Anyone, kind: Kind::Read, problems: &[] };

/// Ready.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct Ready {
    /// `ok`.
    status: &'static str,
    /// Where the log stands.
    log_position: u64,
    /// The read models.
    views: Vec<ViewShape>,
}

/// A read model.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = ViewStatus)]
pub(crate) struct ViewShape {
    /// Its name.
    name: &'static str,
    /// How far it got.
    position: u64,
    /// How far that is from the log's end. 0 is exact; positions may have gaps, so more is a hint.
    lag: u64,
}

/// Can it do its work?
///
/// 503 when the log cannot be read. A view that is behind is told, and no reason to turn traffic away:
/// commands do not need it.
#[utoipa::path(get, path = "/health/ready", operation_id = "ready", tag = "health",
    responses((status = 200, description = "It can.", body = Ready)))]
pub(crate) async fn handler(State(app): State<App>) -> Result<Answer<Ready>, Problem> {
    let log = app.engine.log().last_position().await.map_err(|error| Problem::unavailable(error.to_string()))?;
    let levels = app.views.levels().await?;
    let views = levels
        .into_iter()
        .map(|(name, position)| ViewShape { name, position: position.0, lag: log.0.saturating_sub(position.0) })
        .collect();
    Ok(Answer::new(StatusCode::OK, Ready { status: "ok", log_position: log.0, views }))
}
