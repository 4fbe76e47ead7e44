//! From stored events to statements with values: decoding, the views' pure functions, then sealing and hashing
//! of what is personal. A whole batch at once, so that threads meet once per batch and not once per row.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    sync::Arc,
};

use domain::{ids::StreamId, time::Timestamp};
use event_store::{codec, keys::Keys};
use futures::{StreamExt, TryStreamExt};
use runtime::Runtime;
use schemas::envelope::{Position, RecordedEvent, StoredEvent};
use vault::{DataKey, KeyRing};

use crate::{
    change::{Change, Param, StoredPart},
    error::ViewError,
    row::Value,
    views::{VIEWS, keeps_personal},
};

/// Batches up to this size are decoded where they are; larger ones on a thread that may block.
const INLINE: usize = 32;
/// Keys that are fetched at a time.
const KEYS_AT_ONCE: usize = 8;

/// A statement that is ready to run.
pub(crate) struct Ready {
    /// Index of the view in [`VIEWS`].
    pub(crate) view: usize,
    pub(crate) sql: &'static str,
    pub(crate) values: Vec<Value>,
}

/// What a run of events changes.
pub(crate) struct Batch {
    /// The events are those after this position …
    pub(crate) after: Position,
    /// … up to this one.
    pub(crate) last: Position,
    pub(crate) last_at: Timestamp,
    pub(crate) events: usize,
    pub(crate) changes: Vec<Ready>,
}

/// Which views are concerned, as a bit per index in [`VIEWS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct ViewSet(u32);

impl ViewSet {
    pub(crate) const ALL: Self = Self((1 << VIEWS.len()) - 1);

    pub(crate) fn contains(self, view: usize) -> bool {
        self.0 >> view & 1 == 1
    }
    pub(crate) fn iter(self) -> impl Iterator<Item = usize> {
        (0..VIEWS.len()).filter(move |view| self.contains(*view))
    }
    pub(crate) fn is_empty(self) -> bool {
        self.0 == 0
    }
    pub(crate) fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

impl FromIterator<usize> for ViewSet {
    fn from_iter<I: IntoIterator<Item = usize>>(views: I) -> Self {
        Self(views.into_iter().fold(0, |set, view| set | 1 << view))
    }
}

/// Turns the events after a position into one batch for some of the views.
pub(crate) async fn batch(
    runtime: &Runtime,
    keys: &Arc<Keys>,
    views: ViewSet,
    after: Position,
    events: Vec<StoredEvent>,
) -> Result<Batch, ViewError> {
    let is_small = events.len() <= INLINE;
    let decoded = on_a_thread(runtime, is_small, move || decode(events)).await??;
    let wanted: Vec<StreamId> = {
        let mut streams: Vec<&StreamId> =
            decoded.iter().map(|(_, event)| event).filter(|e| keeps_personal(&e.event)).map(|e| &e.stream).collect();
        streams.sort_unstable();
        streams.dedup();
        streams.into_iter().cloned().collect()
    };
    let opened: BTreeMap<StreamId, DataKey> = futures::stream::iter(wanted)
        .map(|stream| async move { Ok::<_, ViewError>(keys.key(&stream).await?.map(|key| (stream, key))) })
        .buffer_unordered(KEYS_AT_ONCE)
        .try_filter_map(|found| async move { Ok(found) })
        .try_collect()
        .await?;
    let keys = Arc::clone(keys);
    on_a_thread(runtime, is_small, move || changes(&keys.ring(), &opened, views, after, decoded)).await?
}

async fn on_a_thread<T: Send + 'static>(
    runtime: &Runtime,
    inline: bool,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ViewError> {
    if inline {
        return Ok(work());
    }
    runtime.blocking("batch of views", work).await.map_err(|_| ViewError::Closed)
}

fn undecodable(stored: &StoredEvent, error: &codec::CodecError) -> ViewError {
    ViewError::Undecodable { event: stored.id, position: stored.position, reason: error.to_string() }
}

type Decoded = Vec<(StoredEvent, RecordedEvent)>;

fn decode(events: Vec<StoredEvent>) -> Result<Decoded, ViewError> {
    events
        .into_iter()
        .map(|stored| {
            let recorded = codec::decode(&stored, None).map_err(|error| undecodable(&stored, &error))?;
            Ok((stored, recorded))
        })
        .collect()
}

fn changes(
    ring: &KeyRing,
    opened: &BTreeMap<StreamId, DataKey>,
    views: ViewSet,
    after: Position,
    events: Decoded,
) -> Result<Batch, ViewError> {
    let mut batch = Batch {
        after,
        last: after,
        last_at: Timestamp::EPOCH,
        events: events.len(),
        changes: Vec::with_capacity(events.len() * 3),
    };
    let mut sums = Sums::default();
    for (mut stored, mut recorded) in events {
        let key = opened.get(&recorded.stream);
        if keeps_personal(&recorded.event) && key.is_some() {
            recorded = codec::decode(&stored, key).map_err(|error| undecodable(&stored, &error))?;
        }
        batch.last = recorded.position;
        batch.last_at = recorded.metadata.at;
        for view in views.iter() {
            for change in (VIEWS[view].changes)(&recorded) {
                let ready = ready(view, change, &mut stored, &recorded.stream, ring, key)?;
                match ready {
                    (ready, true) => sums.add(&mut batch.changes, ready),
                    (ready, false) => batch.changes.push(ready),
                }
            }
        }
    }
    Ok(batch)
}

/// Additions to the same row within a batch are one addition.
#[derive(Default)]
struct Sums {
    rows: BTreeMap<(&'static str, String), usize>,
}

impl Sums {
    fn add(&mut self, changes: &mut Vec<Ready>, ready: Ready) {
        let row = (ready.sql, format!("{:?}", ready.values.split_last().map(|(_, row)| row)));
        match self.rows.entry(row) {
            Entry::Vacant(row) => {
                row.insert(changes.len());
                changes.push(ready);
            }
            Entry::Occupied(row) => {
                let sum = changes.get_mut(*row.get()).and_then(|known| known.values.last_mut());
                if let (Some(Value::Int(sum)), Some(Value::Int(more))) = (sum, ready.values.last()) {
                    *sum += more;
                }
            }
        }
    }
}

fn ready(
    view: usize,
    change: Change,
    stored: &mut StoredEvent,
    stream: &StreamId,
    ring: &KeyRing,
    key: Option<&DataKey>,
) -> Result<(Ready, bool), ViewError> {
    let values = change
        .params
        .into_iter()
        .map(|param| {
            Ok(match param {
                Param::Null => Value::Null,
                Param::Int(value) => Value::Int(value),
                Param::Text(value) => Value::Text(value),
                Param::Uuid(value) => Value::Uuid(value),
                Param::Sealed { column, text } => match key {
                    Some(key) => Value::Bytes(seal(key, stream, column, &text)?),
                    None => Value::Null,
                },
                Param::Lookup { label, text } => Value::Bytes(ring.lookup_hash(label, &text).to_vec()),
                // The timeline alone asks for these, so they are taken and not copied.
                Param::Stored(StoredPart::EventType) => Value::Text(stored.event_type.to_string().into()),
                Param::Stored(StoredPart::SchemaVersion) => Value::Int(i64::from(stored.schema_version)),
                Param::Stored(StoredPart::Metadata) => Value::Bytes(std::mem::take(&mut stored.metadata)),
                Param::Stored(StoredPart::Data) => Value::Bytes(std::mem::take(&mut stored.data)),
            })
        })
        .collect::<Result<_, ViewError>>()?;
    Ok((Ready { view, sql: change.sql, values }, change.adds))
}

const SEAL: &[u8] = b"countersign view";

fn seal(key: &DataKey, stream: &StreamId, column: &str, text: &str) -> Result<Vec<u8>, ViewError> {
    key.seal(&[SEAL, stream.to_string().as_bytes(), column.as_bytes()], text.as_bytes())
        .map_err(|error| ViewError::Unavailable(error.to_string()))
}

/// Opens a sealed text of a row; `None` when the key is gone or another.
pub(crate) fn open(key: Option<&DataKey>, stream: &StreamId, column: &str, sealed: Option<&[u8]>) -> Option<String> {
    let plain = key?.open(&[SEAL, stream.to_string().as_bytes(), column.as_bytes()], sealed?).ok()?;
    String::from_utf8(plain.to_vec()).ok()
}
