//! Accounts that are locked now.

use axum::extract::State;
use domain::values::Scope;
use schemas::envelope::Position;

use super::accounts::Row;
use crate::{
    endpoint::{About, Access, Kind},
    extract::{Client, Freshness, Query, scope},
    problem::Problem,
    shapes::Answer,
    state::App,
    views::{Page, PageQuery, limit},
};

pub(crate) const ABOUT: About = About { access: Access::Scope(Scope::SecurityRead), kind: Kind::View, problems: &[] };

/// List lockouts
#[utoipa::path(get, path = "/v1/security/lockouts", operation_id = "security_lockouts", tag = "security",
    params(PageQuery), responses((status = 200, description = "Accounts with a lock now.", body = Page<Row>)))]
pub(crate) async fn handler(
    State(app): State<App>,
    _client: Client<scope::SecurityRead>,
    freshness: Freshness,
    Query(page): Query<PageQuery>,
) -> Result<Answer<Page<Row>>, Problem> {
    let limit = limit(page.limit)?;
    let position = freshness.reached(&app, Position::START).await?;
    Ok(Answer::ok(Page::of(app.views.lockouts(page.cursor.as_deref(), limit).await?)).at(position))
}
