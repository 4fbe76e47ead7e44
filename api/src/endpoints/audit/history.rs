//! The history of one account, on request step by step with the difference that each event made.

use std::collections::BTreeMap;

use axum::extract::State;
use domain::{
    decision::Decider,
    events::HistoryAccess,
    ids::{AccountId, StreamId},
    state::Account,
    values::Scope,
};
use projections::queries::{Order, Reveal, TimelineFilter};
use schemas::envelope::{Position, Version};
use serde::Deserialize;
use serde_json::Value;

use super::{
    present::{EventPage, EventShape},
    record, reveal,
    steps::{self, ChangeShape, StateShape},
};
use crate::{
    endpoint::{About, Access, Kind},
    extract::{AuditedAccount, Client, Freshness, Incoming, Nothing, Query, scope},
    problem::Problem,
    shapes::Answer,
    state::{App, AppState},
    views::limit,
};

pub(crate) const ABOUT: About = About { access: Access::Scope(Scope::AuditRead), kind: Kind::View, problems: &[] };

/// Events that are read at once.
const BATCH: usize = 500;

/// How much.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Wanted {
    /// Add to each event of the account what it changed in the state; is recorded.
    #[serde(default)]
    changes: bool,
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

/// Read an account's history
///
/// What happened to it, to the messages it was sent, and who read its history.
#[utoipa::path(get, path = "/v1/audit/accounts/{account}/history", operation_id = "account_history", tag = "audit",
    params(Wanted), responses((status = 200, description = "The events.", body = EventPage)))]
pub(crate) async fn handler(
    State(app): State<App>,
    client: Client<scope::AuditRead>,
    AuditedAccount(account): AuditedAccount,
    freshness: Freshness,
    Query(wanted): Query<Wanted>,
    incoming: Incoming<Nothing>,
) -> Result<Answer<EventPage>, Problem> {
    let limit = limit(wanted.limit)?;
    let head = app.engine.log().head(&StreamId::Account(account)).await;
    if head.map_err(|error| Problem::unavailable(error.to_string()))? == Version::NONE {
        return Err(Problem::not_found());
    }
    let request = incoming.read_request(&app, client.caller)?;
    if wanted.changes {
        record(&app, HistoryAccess::Replay, Some(account), &request).await?;
    }
    let reveal = reveal(&app, wanted.pii, Some(account), &request).await?;
    let filter = TimelineFilter { account: Some(account), ..TimelineFilter::default() };
    let order = if wanted.newest_first { Order::NewestFirst } else { Order::OldestFirst };
    let position = freshness.reached(&app, Position::START).await?;
    let page = app.views.timeline(filter, order, reveal, wanted.cursor.as_deref(), limit).await?;
    let mut events: Vec<EventShape> = page.items.into_iter().map(EventShape::from).collect();
    if wanted.changes {
        add_changes(&app, account, reveal, &mut events).await?;
    }
    Ok(Answer::ok(EventPage { events, next_cursor: page.next_cursor }).at(position))
}

/// Replays the account from its beginning, as far as the page needs it.
async fn add_changes(
    app: &AppState,
    account: AccountId,
    reveal: Reveal,
    events: &mut [EventShape],
) -> Result<(), Problem> {
    let stream = StreamId::Account(account);
    let mut wanted: BTreeMap<u64, &mut Option<Vec<ChangeShape>>> = events
        .iter_mut()
        .filter(|event| event.is_of(&stream))
        .map(|event| (event.version, &mut event.changes))
        .collect();
    let mut state = Account::default();
    let mut after = Version::NONE;
    while !wanted.is_empty() {
        let batch = app.engine.history(&stream, after, BATCH).await?;
        let Some(last) = batch.last() else { return Ok(()) };
        after = last.version;
        for recorded in batch {
            let place = wanted.remove(&recorded.version.0);
            let before = place.is_some().then(|| seen(&state, reveal)).transpose()?;
            state = state.evolve(&recorded.event, recorded.metadata.at);
            if let (Some(place), Some(before)) = (place, before) {
                *place = Some(steps::changes(&before, &seen(&state, reveal)?));
            }
        }
    }
    Ok(())
}

fn seen(state: &Account, reveal: Reveal) -> Result<Value, Problem> {
    serde_json::to_value(StateShape::new(state, reveal)).map_err(|error| Problem::internal(error.to_string()))
}
