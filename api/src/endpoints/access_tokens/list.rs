//! An account's live access tokens.

use axum::extract::State;
use domain::{ids::AccessTokenId, time::Timestamp};
use projections::queries::AccessTokenRow;
use serde::Serialize;

use crate::{
    endpoint::{About, Access, Kind},
    extract::{Freshness, OnAccount},
    problem::Problem,
    shapes::Answer,
    state::App,
    views::Page,
};

pub(crate) const ABOUT: About = About { access: Access::Account, kind: Kind::View, problems: &[] };

/// An access token.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = ListedAccessToken)]
pub(crate) struct Row {
    /// Its id.
    #[schema(value_type = Uuid)]
    id: AccessTokenId,
    /// What it is called.
    name: Option<String>,
    /// When it was issued.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// Its end.
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
}

impl From<AccessTokenRow> for Row {
    fn from(row: AccessTokenRow) -> Self {
        let AccessTokenRow { id, name, issued_at, expires_at } = row;
        Self { id, name, created_at: issued_at, expires_at }
    }
}

/// List access tokens
#[utoipa::path(get, path = "/v1/accounts/{account}/access-tokens", operation_id = "list_access_tokens",
    tag = "sessions", responses((status = 200, description = "The live ones, newest first.", body = Page<Row>)))]
pub(crate) async fn handler(
    State(app): State<App>,
    account: OnAccount,
    freshness: Freshness,
) -> Result<Answer<Page<Row>>, Problem> {
    let position = freshness.reached(&app, account.position).await?;
    Ok(Answer::ok(Page::whole(app.views.access_tokens(account.id).await?)).at(position))
}
