//! All events as they happen, as server-sent events. Addresses and numbers are masked.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    extract::State,
    http::HeaderMap,
    response::{
        IntoResponse, Response,
        sse::{Event, Sse},
    },
};
use domain::{events::HistoryAccess, ids::StreamId, values::Scope};
use event_store::{
    codec,
    subscription::{Subscription, subscribe},
};
use futures::{StreamExt, stream};
use projections::queries::{Reveal, TimelineEntry};
use schemas::envelope::{Position, StoredEvent};
use serde::Deserialize;

use super::{present::EventShape, record};
use crate::{
    endpoint::{About, Access, Kind},
    extract::{Client, Incoming, Nothing, Query, scope},
    headers,
    problem::{Code, Problem},
    state::{App, AppState},
};

pub(crate) const ABOUT: About =
    About { access: Access::Scope(Scope::AuditRead), kind: Kind::Read, problems: &[Code::InvalidRequest] };

/// Events that are read at once.
const BATCH: usize = 256;
/// When nothing happens, a comment says this often that the stream is alive.
const LONGEST_SILENCE: Duration = Duration::from_secs(15);

/// From where.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Wanted {
    /// After this position; what happens from now on when left out. The header `Last-Event-ID` goes before.
    after: Option<u64>,
}

/// Stream the history
///
/// Each event has its position as `id`, its type as `event`, and as `data` what the list has. A client that
/// was cut off goes on where it was by `Last-Event-ID`; nothing is skipped.
#[utoipa::path(get, path = "/v1/audit/events/stream", operation_id = "stream_events", tag = "audit", params(Wanted),
    responses((status = 200, description = "The events.", content_type = "text/event-stream", body = EventShape)))]
pub(crate) async fn handler(
    State(app): State<App>,
    client: Client<scope::AuditRead>,
    Query(wanted): Query<Wanted>,
    headers: HeaderMap,
    incoming: Incoming<Nothing>,
) -> Result<Response, Problem> {
    let last_seen = match headers.get(headers::LAST_EVENT_ID) {
        None => None,
        Some(id) => {
            let id = id.to_str().ok().and_then(|id| id.trim().parse::<Position>().ok());
            Some(id.ok_or_else(|| Problem::invalid("Last-Event-ID", "must be the id of an event of this stream"))?)
        }
    };
    // Where the stream begins is settled before it is recorded: who looks on sees the record go by.
    let log = app.engine.log();
    let after = match last_seen.or(wanted.after.map(Position)) {
        Some(position) => position,
        None => log.last_position().await.map_err(|error| Problem::unavailable(error.to_string()))?,
    };
    record(&app, HistoryAccess::Stream, None, &incoming.read_request(&app, client.caller)?).await?;
    let subscription = subscribe(app.engine.runtime(), Arc::clone(log), after, BATCH);
    let events = stream::unfold(Some((app, subscription)), next).flat_map(stream::iter).map(Ok::<_, Infallible>);
    Ok(Sse::new(events).into_response())
}

type Source = Option<(App, Subscription)>;

/// The next events. The stream ends with the process, or when an event cannot be read; the client comes back.
async fn next(source: Source) -> Option<(Vec<Event>, Source)> {
    let (app, mut subscription) = source?;
    let batch = tokio::select! {
        biased;
        () = app.shutdown.cancelled() => return None,
        batch = app.engine.runtime().timeout(LONGEST_SILENCE, subscription.next()) => batch,
    };
    let Ok(batch) = batch else { return Some((vec![Event::DEFAULT_KEEP_ALIVE], Some((app, subscription)))) };
    let written = match batch {
        Ok(batch) => written(&app, &batch).await,
        Err(error) => Err(error.to_string()),
    };
    match written {
        Ok(events) => Some((events, Some((app, subscription)))),
        Err(error) => {
            tracing::warn!(error, "a stream of events ends");
            None
        }
    }
}

async fn written(app: &AppState, batch: &[StoredEvent]) -> Result<Vec<Event>, String> {
    let mut events = Vec::with_capacity(batch.len());
    for stored in batch {
        let stream: StreamId = stored.stream.parse().map_err(|_| "not a stream of ours".to_owned())?;
        let key = app.engine.keys().key(&stream).await.map_err(|error| error.to_string())?;
        let recorded = codec::decode(stored, key.as_ref()).map_err(|error| error.to_string())?;
        let shape = EventShape::from(TimelineEntry::of(&recorded, Reveal::Masked));
        let event = Event::default().id(shape.position.to_string()).event(&shape.event_type);
        events.push(event.json_data(&shape).map_err(|error| error.to_string())?);
    }
    Ok(events)
}
