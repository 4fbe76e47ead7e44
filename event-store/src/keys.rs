//! Opened data keys. They live in memory for a minute at most, so that an erased key is forgotten by
//! every process even when its event was missed.

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use domain::ids::StreamId;
use runtime::{Cache, Instant, Runtime};
use vault::{DataKey, KeyRing, VaultError};

use crate::port::{KeyStore, LogError, WrappedKey};

/// How long an opened key is remembered.
const REMEMBERED: Duration = Duration::from_mins(1);

/// Why a key cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// The store of keys cannot be reached.
    #[error(transparent)]
    Store(#[from] LogError),
    /// The ring does not open it.
    #[error("a data key does not open: {0}")]
    Vault(#[from] VaultError),
    /// It was destroyed, and none is ever made again.
    #[error("the data key was erased")]
    Erased,
}

/// What there is of a stream's key.
#[derive(Debug, Clone)]
pub enum KeyState {
    /// None was ever made.
    Absent,
    /// It opens.
    Open(DataKey),
    /// It was destroyed.
    Erased,
}

#[derive(Clone)]
struct Remembered {
    /// `None` for a tombstone.
    key: Option<DataKey>,
    since: Instant,
}

/// Reads the ring again from where it is kept; `None` when that cannot be done now.
pub type RingSource = Box<dyn Fn() -> Option<KeyRing> + Send + Sync>;

/// The data keys of all streams.
pub struct Keys {
    runtime: Runtime,
    store: Arc<dyn KeyStore>,
    ring: RwLock<Arc<KeyRing>>,
    source: Option<RingSource>,
    remembered: Cache<StreamId, Remembered>,
}

impl Keys {
    /// Keys of this store under this ring, at most `capacity` of them opened at a time.
    pub fn new(runtime: &Runtime, store: Arc<dyn KeyStore>, ring: Arc<KeyRing>, capacity: usize) -> Self {
        let remembered = Cache::new(runtime, capacity);
        Self { runtime: runtime.clone(), store, ring: RwLock::new(ring), source: None, remembered }
    }

    /// The same, reading the ring again when a data key is wrapped by a ring key that it does not hold: another
    /// process rotated it.
    #[must_use]
    pub fn renewed_from(mut self, source: RingSource) -> Self {
        self.source = Some(source);
        self
    }

    /// The key of a stream, if it has one that was not destroyed.
    pub async fn key(&self, stream: &StreamId) -> Result<Option<DataKey>, KeysError> {
        Ok(match self.state(stream).await? {
            KeyState::Open(key) => Some(key),
            KeyState::Absent | KeyState::Erased => None,
        })
    }

    /// What there is of a stream's key; at most a minute old.
    pub async fn state(&self, stream: &StreamId) -> Result<KeyState, KeysError> {
        let is_young = |known: &Remembered| self.runtime.since(known.since) < REMEMBERED;
        if let Some(known) = self.remembered.get(stream).filter(is_young) {
            return Ok(known.key.map_or(KeyState::Erased, KeyState::Open));
        }
        self.state_in_store(stream).await
    }

    /// What the store says now.
    pub async fn state_in_store(&self, stream: &StreamId) -> Result<KeyState, KeysError> {
        match self.store.get(stream).await? {
            None => Ok(KeyState::Absent),
            Some(found) => self.remember(stream, &found),
        }
    }

    /// The key of a stream; made now, durably, when it has none.
    pub async fn ensure(&self, stream: &StreamId) -> Result<DataKey, KeysError> {
        match self.state(stream).await? {
            KeyState::Open(key) => Ok(key),
            KeyState::Erased => Err(KeysError::Erased),
            KeyState::Absent => {
                let (ring_key, bytes) = self.ring().wrap(&stream.to_string(), &DataKey::generate(&self.runtime)?)?;
                // Another process may have been quicker: what is kept counts, not what was made here.
                let kept = self.store.insert(stream, WrappedKey::Wrapped { ring_key, bytes }).await?;
                match self.remember(stream, &kept)? {
                    KeyState::Open(key) => Ok(key),
                    KeyState::Absent | KeyState::Erased => Err(KeysError::Erased),
                }
            }
        }
    }

    /// What the store has of the keys of several streams, none of them opened.
    pub async fn kept(&self, streams: &[StreamId]) -> Result<Vec<Option<WrappedKey>>, KeysError> {
        Ok(self.store.get_many(streams).await?)
    }

    /// The keys of several streams; those that are not there are made now, all in one durable step. None of a stream
    /// whose key was destroyed. They are not remembered: so many at once would take the place of those in use.
    pub async fn ensure_all(&self, streams: &[StreamId]) -> Result<Vec<Option<DataKey>>, KeysError> {
        let ring = self.ring();
        let (mut keys, mut wrapped) = (Vec::with_capacity(streams.len()), Vec::with_capacity(streams.len()));
        for stream in streams {
            let key = DataKey::generate(&self.runtime)?;
            let (ring_key, bytes) = ring.wrap(&stream.to_string(), &key)?;
            keys.push(Some(key));
            wrapped.push((stream.clone(), WrappedKey::Wrapped { ring_key, bytes }));
        }
        let kept = self.store.insert_many(&wrapped).await?;
        for ((key, (stream, made)), kept) in keys.iter_mut().zip(&wrapped).zip(kept) {
            // Another process may have been quicker: what is kept counts, not what was made here.
            if kept != *made {
                *key = match kept {
                    WrappedKey::Wrapped { ring_key, bytes } => {
                        Some(self.unwrap(&stream.to_string(), ring_key, &bytes)?)
                    }
                    WrappedKey::Erased => None,
                };
            }
        }
        Ok(keys)
    }

    /// Destroys a stream's key for good.
    pub async fn erase(&self, stream: &StreamId) -> Result<(), KeysError> {
        self.forget(stream);
        self.store.erase(stream).await?;
        self.remembered.insert(stream.clone(), Remembered { key: None, since: self.runtime.instant() });
        Ok(())
    }

    /// Forgets an opened key.
    pub fn forget(&self, stream: &StreamId) {
        self.remembered.remove(stream);
    }

    /// Wraps every data key that is under another key of the ring by the current one; how many those were.
    /// May be interrupted and begun again at any time.
    pub async fn rewrap_all(&self) -> Result<u64, KeysError> {
        let current = self.ring().current();
        let (mut count, mut after) = (0, None::<String>);
        loop {
            let page = self.store.list_not_under(current, after.as_deref(), 500).await?;
            let Some((last, _)) = page.last() else { return Ok(count) };
            after = Some(last.clone());
            for (name, found) in page {
                let WrappedKey::Wrapped { ring_key, bytes } = found else { continue };
                let Ok(stream) = name.parse::<StreamId>() else { continue };
                let key = self.unwrap(&name, ring_key, &bytes)?;
                let (ring_key, bytes) = self.ring().wrap(&name, &key)?;
                self.store.rewrap(&stream, WrappedKey::Wrapped { ring_key, bytes }).await?;
                count += 1;
            }
        }
    }

    /// The ring that wraps them.
    pub fn ring(&self) -> Arc<KeyRing> {
        Arc::clone(&self.ring.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn unwrap(&self, stream: &str, ring_key: u32, bytes: &[u8]) -> Result<DataKey, VaultError> {
        let ring = self.ring();
        match (ring.unwrap(stream, ring_key, bytes), &self.source) {
            (Err(VaultError::UnknownRingKey(_)), Some(source)) => {
                // Another's ring has another look-up key: taking it would look for addresses in other streams.
                let renewed = source().filter(|renewed| renewed.continues(&ring)).map(Arc::new);
                let Some(renewed) = renewed else { return Err(VaultError::UnknownRingKey(ring_key)) };
                tracing::info!(current = renewed.current(), "the key ring was rotated: read again");
                *self.ring.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&renewed);
                renewed.unwrap(stream, ring_key, bytes)
            }
            (opened, _) => opened,
        }
    }

    fn remember(&self, stream: &StreamId, found: &WrappedKey) -> Result<KeyState, KeysError> {
        let key = match found {
            WrappedKey::Wrapped { ring_key, bytes } => Some(self.unwrap(&stream.to_string(), *ring_key, bytes)?),
            WrappedKey::Erased => None,
        };
        self.remembered.insert(stream.clone(), Remembered { key: key.clone(), since: self.runtime.instant() });
        Ok(key.map_or(KeyState::Erased, KeyState::Open))
    }
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keys").field("opened", &self.remembered.len()).finish_non_exhaustive()
    }
}
