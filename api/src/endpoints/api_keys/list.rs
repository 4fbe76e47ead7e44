//! All API keys.

use axum::extract::State;
use domain::{ids::ApiKeyId, time::Timestamp, values::Scope};
use projections::queries::ApiKeyRow;
use schemas::envelope::Position;
use serde::Serialize;

use crate::{
    endpoint::{About, Access, Kind},
    extract::{Client, Freshness, Query, scope},
    problem::Problem,
    shapes::Answer,
    state::App,
    views::{Page, PageQuery, limit},
    words::ScopeWord,
};

pub(crate) const ABOUT: About = About { access: Access::Scope(Scope::Admin), kind: Kind::View, problems: &[] };

/// An API key.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = ListedApiKey)]
pub(crate) struct Row {
    /// Its id.
    #[schema(value_type = Uuid)]
    id: ApiKeyId,
    /// What it is called.
    name: Option<String>,
    /// What it may do.
    #[schema(value_type = Vec<ScopeWord>)]
    scopes: Vec<String>,
    /// When it was issued.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// Its end, if it has one.
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
    /// When it was ended.
    #[schema(value_type = Option<String>, format = DateTime)]
    revoked_at: Option<Timestamp>,
}

impl From<ApiKeyRow> for Row {
    fn from(row: ApiKeyRow) -> Self {
        let ApiKeyRow { id, name, scopes, issued_at, expires_at, revoked_at } = row;
        Self { id, name, scopes, created_at: issued_at, expires_at, revoked_at }
    }
}

/// List API keys
#[utoipa::path(get, path = "/v1/api-keys", operation_id = "list_api_keys", tag = "api keys", params(PageQuery),
    responses((status = 200, description = "Newest first.", body = Page<Row>)))]
pub(crate) async fn handler(
    State(app): State<App>,
    _client: Client<scope::Admin>,
    freshness: Freshness,
    Query(page): Query<PageQuery>,
) -> Result<Answer<Page<Row>>, Problem> {
    let limit = limit(page.limit)?;
    let position = freshness.reached(&app, Position::START).await?;
    Ok(Answer::ok(Page::of(app.views.api_keys(page.cursor.as_deref(), limit).await?)).at(position))
}
