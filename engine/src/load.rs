//! Loading a state: from memory, or from snapshot and tail.

use std::{sync::Arc, time::Duration};

use domain::{
    decision::Decider,
    ids::{AccountId, StreamId},
    state::Account,
    time::Timestamp,
};
use schemas::envelope::{StoredEvent, Version};
use vault::DataKey;

use crate::{Engine, ExecuteError, Loaded, states::Pass};
use event_store::{codec, port::Snapshot};

/// The shape of serialized states and the meaning of `evolve`. Another number than this code's is ignored,
/// so count it up whenever a state's fields or what `evolve` makes of old events changes.
pub(crate) const SNAPSHOT_FORMAT: u32 = 5;
/// Events that are read at a time.
const PAGE: usize = 1_000;

impl Engine {
    /// An account; at most a second behind the log.
    pub async fn load(&self, account: AccountId) -> Result<Loaded<Account>, ExecuteError> {
        self.load_stream(&StreamId::Account(account)).await
    }

    /// Any stream; at most a second behind the log.
    pub async fn load_stream<D: Decider>(&self, stream: &StreamId) -> Result<Loaded<D>, ExecuteError> {
        if self.inner.follower.is_current(self.runtime())
            && let Some(known) = self.inner.states.get::<D>(stream)
        {
            metrics::counter!("countersign_state_cache", "result" => "hit").increment(1);
            return Ok((*known).clone());
        }
        self.load_now(stream).await
    }

    /// As of now: memory is only where the reading starts.
    pub(crate) async fn load_now<D: Decider>(&self, stream: &StreamId) -> Result<Loaded<D>, ExecuteError> {
        let pass = self.inner.states.enter(stream);
        let known = self.inner.states.get::<D>(stream);
        Ok((*self.caught_up(stream, known, &pass).await?).clone())
    }

    /// What memory has, or else what the log has: for deciding, where the append itself confirms it.
    pub(crate) async fn known_or_loaded<D: Decider>(
        &self,
        stream: &StreamId,
        pass: &Pass<'_>,
    ) -> Result<Arc<Loaded<D>>, ExecuteError> {
        if let Some(known) = self.inner.states.get::<D>(stream) {
            metrics::counter!("countersign_state_cache", "result" => "hit").increment(1);
            return Ok(known);
        }
        self.caught_up(stream, None, pass).await
    }

    /// The state with everything that the log has, beginning from a known one or from the snapshot.
    pub(crate) async fn caught_up<D: Decider>(
        &self,
        stream: &StreamId,
        known: Option<Arc<Loaded<D>>>,
        pass: &Pass<'_>,
    ) -> Result<Arc<Loaded<D>>, ExecuteError> {
        metrics::counter!("countersign_state_cache", "result" => "miss").increment(1);
        let mut key = None;
        let mut is_complete = false;
        let known_version = known.as_ref().map_or(Version::NONE, |known| known.version);
        let mut loaded = if let Some(known) = known {
            (*known).clone()
        } else {
            // The first page tells short streams from long ones: only a long one has a snapshot worth opening.
            let page = self.snapshot_page();
            let (first, snapshot) = tokio::join!(
                self.log().read_stream(stream, Version::NONE, page),
                self.inner.parts.snapshots.load(stream)
            );
            let first = first?;
            if first.is_empty() {
                return Ok(Arc::new(Loaded::default()));
            }
            is_complete = first.len() < page;
            let opened = key.insert(self.keys().key(stream).await?).as_ref();
            match snapshot.ok().flatten().and_then(|snapshot| opened_snapshot(stream, &snapshot, opened?)) {
                Some(snapshot) if !is_complete => snapshot,
                _ => evolved(Loaded::default(), &first, opened)?,
            }
        };
        while !is_complete {
            let page = self.log().read_stream(stream, loaded.version, PAGE).await?;
            is_complete = page.len() < PAGE;
            if !page.is_empty() {
                let key = match &key {
                    Some(key) => key,
                    None => key.insert(self.keys().key(stream).await?),
                };
                loaded = evolved(loaded, &page, key.as_ref())?;
            }
        }
        if loaded.version != known_version {
            loaded.learned = self.runtime().running();
        }
        if loaded.is_unopened && !loaded.state.is_erased() {
            return Err(ExecuteError::unreadable(stream));
        }
        let loaded = self.with_snapshot_when_due(stream, loaded);
        pass.keep(&loaded);
        Ok(loaded)
    }

    fn snapshot_page(&self) -> usize {
        usize::try_from(self.inner.parts.cache.snapshot_every.max(1)).unwrap_or(PAGE).min(PAGE)
    }

    /// Writes a snapshot beside everything else, once the stream has grown enough since the last.
    pub(crate) fn with_snapshot_when_due<D: Decider>(
        &self,
        stream: &StreamId,
        mut loaded: Loaded<D>,
    ) -> Arc<Loaded<D>> {
        let grown = loaded.version.0.saturating_sub(loaded.snapshot.0);
        if grown < self.inner.parts.cache.snapshot_every || !matches!(stream, StreamId::Account(_)) {
            return Arc::new(loaded);
        }
        loaded.snapshot = loaded.version;
        let loaded = Arc::new(loaded);
        let (engine, stream, written) = (self.clone(), stream.clone(), Arc::clone(&loaded));
        self.runtime().spawn("snapshot", async move {
            if let Err(error) = engine.write_snapshot(&stream, &written).await {
                tracing::debug!(%error, "a snapshot was not written");
            }
        });
        loaded
    }

    async fn write_snapshot<D: Decider>(&self, stream: &StreamId, loaded: &Loaded<D>) -> Result<(), ExecuteError> {
        let Some(key) = self.keys().key(stream).await? else { return Ok(()) };
        let plain = serde_json::to_vec(&(loaded.at, &*loaded.state))
            .map_err(|error| ExecuteError::Internal(format!("a state has no JSON: {:?}", error.classify())))?;
        let plain = zeroize::Zeroizing::new(plain);
        let mut snapshot =
            Snapshot { version: loaded.version, position: loaded.position, format: SNAPSHOT_FORMAT, bytes: Vec::new() };
        snapshot.bytes = key.seal(&associated(&stream.to_string(), &numbers(&snapshot)), &plain)?;
        self.inner.parts.snapshots.save(stream, snapshot).await?;
        Ok(())
    }
}

/// Folds stored events into a state.
fn evolved<D: Decider>(
    loaded: Loaded<D>,
    events: &[StoredEvent],
    key: Option<&DataKey>,
) -> Result<Loaded<D>, ExecuteError> {
    let Loaded { state, mut version, mut position, mut at, learned, snapshot, mut is_unopened } = loaded;
    let mut state = Arc::unwrap_or_clone(state);
    for stored in events {
        at = codec::decode_metadata(stored, None)?.at;
        is_unopened |= key.is_none() && codec::is_sealed(stored)?;
        state = state.evolve(&codec::decode_event(stored, key)?, at);
        (version, position) = (stored.version, stored.position);
    }
    Ok(Loaded { state: Arc::new(state), version, position, at, learned, snapshot, is_unopened })
}

/// The state of a snapshot, if this code can use it. Whatever is wrong with it, the events are there.
fn opened_snapshot<D: Decider>(stream: &StreamId, snapshot: &Snapshot, key: &DataKey) -> Option<Loaded<D>> {
    if snapshot.format != SNAPSHOT_FORMAT {
        return None;
    }
    let plain = key.open(&associated(&stream.to_string(), &numbers(snapshot)), &snapshot.bytes).ok()?;
    let (at, state): (Timestamp, D) = serde_json::from_slice(&plain).ok()?;
    Some(Loaded {
        state: Arc::new(state),
        version: snapshot.version,
        position: snapshot.position,
        at,
        learned: Duration::MAX,
        snapshot: snapshot.version,
        is_unopened: false,
    })
}

/// A snapshot is bound to its stream, version and position: it cannot stand in for another.
fn numbers(snapshot: &Snapshot) -> [u8; 20] {
    let mut bytes = [0; 20];
    bytes[..8].copy_from_slice(&snapshot.version.0.to_be_bytes());
    bytes[8..16].copy_from_slice(&snapshot.position.0.to_be_bytes());
    bytes[16..].copy_from_slice(&snapshot.format.to_be_bytes());
    bytes
}

fn associated<'a>(stream: &'a str, numbers: &'a [u8; 20]) -> [&'a [u8]; 3] {
    [b"snapshot", stream.as_bytes(), numbers]
}
