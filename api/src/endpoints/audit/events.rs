//! The history of all.

use axum::extract::State;
use domain::{ids::AccountId, time::Timestamp, values::Scope};
use projections::queries::{Order, TimelineFilter};
use schemas::envelope::Position;
use serde::Deserialize;

use super::{
    present::{EventPage, EventShape},
    reveal,
};
use crate::{
    endpoint::{About, Access, Kind},
    extract::{Client, Freshness, Incoming, Nothing, Query, scope},
    problem::Problem,
    shapes::Answer,
    state::App,
    views::limit,
};

pub(crate) const ABOUT: About = About { access: Access::Scope(Scope::AuditRead), kind: Kind::View, problems: &[] };

/// Which events. All of what is given must hold.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Wanted {
    /// About this account.
    #[param(value_type = Option<uuid::Uuid>)]
    account_id: Option<AccountId>,
    /// Of these types, separated by commas.
    #[serde(rename = "type")]
    #[param(rename = "type")]
    types: Option<String>,
    /// By an actor of this kind: `anonymous`, `session`, `access_token`, `verification`, `api_client`, `worker` or
    /// `operator`.
    actor_kind: Option<String>,
    /// By the actor with this id.
    actor_id: Option<uuid::Uuid>,
    /// At or after.
    #[param(value_type = Option<String>, format = DateTime)]
    from: Option<Timestamp>,
    /// Before.
    #[param(value_type = Option<String>, format = DateTime)]
    before: Option<Timestamp>,
    /// The last one first, instead of the first one first.
    #[serde(default)]
    newest_first: bool,
    /// Show addresses in clear; needs `audit:pii` and is recorded.
    #[serde(default)]
    pii: bool,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// 1 to 500 events; 50 when left out.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<u32>,
}

/// List the history
#[utoipa::path(get, path = "/v1/audit/events", operation_id = "list_events", tag = "audit", params(Wanted),
    responses((status = 200, description = "The events.", body = EventPage)))]
pub(crate) async fn handler(
    State(app): State<App>,
    client: Client<scope::AuditRead>,
    freshness: Freshness,
    Query(wanted): Query<Wanted>,
    incoming: Incoming<Nothing>,
) -> Result<Answer<EventPage>, Problem> {
    let limit = limit(wanted.limit)?;
    let request = incoming.read_request(&app, client.caller)?;
    let reveal = reveal(&app, wanted.pii, wanted.account_id, &request).await?;
    let types = wanted.types.as_deref().unwrap_or_default();
    let filter = TimelineFilter {
        account: wanted.account_id,
        types: types.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect(),
        actor_kind: wanted.actor_kind,
        actor_id: wanted.actor_id,
        from: wanted.from,
        before: wanted.before,
    };
    let order = if wanted.newest_first { Order::NewestFirst } else { Order::OldestFirst };
    let position = freshness.reached(&app, Position::START).await?;
    let page = app.views.timeline(filter, order, reveal, wanted.cursor.as_deref(), limit).await?;
    let events = page.items.into_iter().map(EventShape::from).collect();
    Ok(Answer::ok(EventPage { events, next_cursor: page.next_cursor }).at(position))
}
