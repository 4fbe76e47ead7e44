//! The process answers. Asks nothing of anybody, so that a slow database gets no process killed.

use serde::Serialize;

use crate::{
    endpoint::{About, Access, Kind},
    shapes::Answer,
};

pub(crate) const ABOUT: About = About { access: Access::Anyone, kind: Kind::Read, problems: &[] };

/// Alive.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct Alive {
    /// `ok`.
    status: &'static str,
}

/// Is the process alive?
#[utoipa::path(get, path = "/health/live", operation_id = "live", tag = "health",
    responses((status = 200, description = "It is.", body = Alive)))]
pub(crate) async fn handler() -> Answer<Alive> {
    Answer::ok(Alive { status: "ok" })
}
