//! An account's live sessions.

use axum::extract::State;
use domain::{
    ids::{ApiKeyId, SessionId},
    time::Timestamp,
    values::{Aal, Caller},
};
use serde::Serialize;

use crate::{
    endpoint::{About, Access, Kind},
    extract::{Freshness, OnAccount},
    problem::Problem,
    shapes::Answer,
    state::App,
    views::Page,
    words::{AalWord, AmrWord},
};

pub(crate) const ABOUT: About = About { access: Access::Account, kind: Kind::View, problems: &[] };

/// A session.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = ListedSession)]
pub(crate) struct Row {
    /// Its id.
    #[schema(value_type = Uuid)]
    id: SessionId,
    /// Whether it is the one that asks.
    is_current: bool,
    /// Its assurance level.
    #[schema(value_type = AalWord)]
    aal: Aal,
    /// How it was proved.
    #[schema(value_type = Vec<AmrWord>)]
    amr: Vec<String>,
    /// When it began.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// When it was last used, to about ten minutes.
    #[schema(value_type = Option<String>, format = DateTime)]
    last_used: Option<Timestamp>,
    /// Its absolute end.
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
    /// The API client that asked for it.
    #[schema(value_type = Option<Uuid>)]
    api_key_id: Option<ApiKeyId>,
}

/// List sessions
#[utoipa::path(get, path = "/v1/accounts/{account}/sessions", operation_id = "list_sessions", tag = "sessions",
    responses((status = 200, description = "The live ones, newest first.", body = Page<Row>)))]
pub(crate) async fn handler(
    State(app): State<App>,
    account: OnAccount,
    freshness: Freshness,
) -> Result<Answer<Page<Row>>, Problem> {
    let position = freshness.reached(&app, account.position).await?;
    let now = app.now();
    let sessions = app.views.sessions(account.id).await?;
    let ids: Vec<_> = sessions.iter().map(|row| row.id).collect();
    let seen = app.operations.last_uses(&ids, now).await;
    let seen = seen.map_err(|error| Problem::unavailable(error.to_string()))?;
    let rows = sessions.into_iter().filter_map(|row| {
        let last_used = seen.get(&row.id).copied();
        row.is_live(last_used, now).then_some(Row {
            id: row.id,
            is_current: account.caller == Caller::Session(row.id),
            aal: row.aal,
            amr: row.amr,
            created_at: row.started_at,
            last_used,
            expires_at: row.expires_at,
            api_key_id: row.api_key_id,
        })
    });
    Ok(Answer::ok(Page::whole(rows)).at(position))
}
