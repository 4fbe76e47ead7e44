//! The ports: what Countersign asks of an event log and of the stores beside it.
//!
//! # The next adapter
//!
//! An adapter is a folder of its own behind a cargo feature of its name. It implements [`EventLog`],
//! [`KeyStore`] and [`SnapshotStore`] (one type or several), passes the contract, and lets no type of its
//! driver out. In this order:
//!
//! 1. `append`: take positions so that none becomes visible after a higher one, and write down in an ADR
//!    how. Check the expected version inside the transaction. On a mismatch look whether the same ids stand
//!    there already: then it is the first answer again, not a conflict. Answer after the commit.
//! 2. Tell [`AppendError::Unknown`] from the other errors honestly: only what certainly did not happen is
//!    [`AppendError::Log`]. A connection that breaks during the commit is unknown.
//! 3. `watch`: move it for the appends of other processes too, within 50 ms, and never past what `read_all`
//!    can return. Waking up too often is allowed, sleeping through an append is not.
//! 4. Receipts commit with the append, or are written before it and are valid once the stream holds the
//!    command.
//! 5. Bytes are kept as they are: no JSON type that orders keys or drops spaces.
//! 6. Time-outs around everything that leaves the process.
//!
//! ```text
//! struct Postgres { store: PostgresStore, database: TestDatabase }
//!
//! #[async_trait]
//! impl LogUnderTest for Postgres {
//!     async fn fresh() -> Self { /* an empty database */ }
//!     async fn beside(&self) -> Self { /* the same database, another pool */ }
//!     fn log(&self) -> Arc<dyn EventLog> { self.store.clone() }
//!     fn keys(&self) -> Arc<dyn KeyStore> { self.store.clone() }
//!     fn snapshots(&self) -> Arc<dyn SnapshotStore> { self.store.clone() }
//! }
//!
//! event_store::contract!(Postgres);
//! ```

use async_trait::async_trait;
use domain::{
    ids::StreamId,
    limits::Charge,
    time::{Seconds, Timestamp},
};
use schemas::envelope::{NewEvent, Position, StoredEvent, Version};
use tokio::sync::watch;

/// What a stream must look like for an append to go through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// It has no events.
    NoStream,
    /// Its last event has this version.
    Version(Version),
}

impl Expected {
    /// The version after which the events go.
    pub const fn version(self) -> Version {
        match self {
            Self::NoStream => Version::NONE,
            Self::Version(version) => version,
        }
    }
}

/// The sealed answer of a command with an idempotency key; it commits together with the events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// Keyed hash of credential (or source) and key.
    pub key: [u8; 32],
    /// Keyed hash of the request's body.
    pub body: [u8; 32],
    /// Stream whose data key seals the answer.
    pub stream: StreamId,
    /// The sealed answer.
    pub answer: Vec<u8>,
    /// When it was decided: a receipt of the same key that expired before gives way to it.
    pub at: Timestamp,
    /// Kept until then.
    pub expires_at: Timestamp,
}

/// Events to be appended to one stream, all or none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Append {
    /// The stream.
    pub stream: StreamId,
    /// What it must look like.
    pub expected: Expected,
    /// At least one.
    pub events: Vec<NewEvent>,
    /// The answer that commits with them.
    pub receipt: Option<Receipt>,
}

/// An append that is durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// Version of the last event.
    pub version: Version,
    /// Position of the last event.
    pub position: Position,
}

/// Why an append did not happen, or may not have.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// The stream does not look as expected.
    #[error("the stream moved on")]
    Conflict,
    /// Nobody knows whether it is durable: retry it unchanged (the same ids at the same version are idempotent).
    #[error("outcome of the append unknown")]
    Unknown(#[source] LogError),
    /// It did not happen.
    #[error(transparent)]
    Log(#[from] LogError),
}

/// The log cannot be read or written.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LogError {
    /// It cannot be reached now; worth another try.
    #[error("event log unavailable: {0}")]
    Unavailable(String),
    /// It holds what this version cannot read, or is damaged.
    #[error("event log unreadable: {0}")]
    Unreadable(String),
}

/// An append-only log of streams with one total order.
///
/// An adapter is done when the contract suite (`contract`) passes over it.
#[async_trait]
pub trait EventLog: Send + Sync + 'static {
    /// Appends, durably. Appending the same event ids at the same expected version again returns what the
    /// first call returned. A receipt whose key is taken by a valid one is a conflict: the command was carried
    /// out by someone else meanwhile.
    async fn append(&self, append: Append) -> Result<Appended, AppendError>;
    /// Up to `limit` events of a stream after a version, in order.
    async fn read_stream(&self, stream: &StreamId, after: Version, limit: usize) -> Result<Vec<StoredEvent>, LogError>;
    /// Up to `limit` events of all streams after a position, in order. Never passes an event that may still
    /// commit with a lower position.
    async fn read_all(&self, after: Position, limit: usize) -> Result<Vec<StoredEvent>, LogError>;
    /// Version of a stream's last event.
    async fn head(&self, stream: &StreamId) -> Result<Version, LogError>;
    /// Position of the last event of all, or [`Position::START`].
    async fn last_position(&self) -> Result<Position, LogError>;
    /// Moves when there are new events to read, of this process or another.
    fn watch(&self) -> watch::Receiver<Position>;
    /// The receipt of this key, unless it expired.
    async fn receipt(&self, key: &[u8; 32], now: Timestamp) -> Result<Option<Receipt>, LogError>;
}

/// A data key as it is kept: wrapped by a key of the ring, or a tombstone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WrappedKey {
    /// It can be opened with this key of the ring.
    Wrapped {
        /// Number of the ring's key.
        ring_key: u32,
        /// Nonce and sealed key.
        bytes: Vec<u8>,
    },
    /// It was destroyed; none is ever made again.
    Erased,
}

/// Where data keys live: outside the log, one per stream.
#[async_trait]
pub trait KeyStore: Send + Sync + 'static {
    /// The key of a stream.
    async fn get(&self, stream: &StreamId) -> Result<Option<WrappedKey>, LogError>;
    /// Keeps a key durably unless the stream has one (or a tombstone); returns what is there afterwards.
    async fn insert(&self, stream: &StreamId, key: WrappedKey) -> Result<WrappedKey, LogError>;
    /// The keys of several streams, in their order.
    async fn get_many(&self, streams: &[StreamId]) -> Result<Vec<Option<WrappedKey>>, LogError>;
    /// As [`KeyStore::insert`] for several streams in one durable step: what is there afterwards, in their order.
    async fn insert_many(&self, keys: &[(StreamId, WrappedKey)]) -> Result<Vec<WrappedKey>, LogError>;
    /// Replaces a key by the same key under another ring key; a tombstone stays.
    async fn rewrap(&self, stream: &StreamId, key: WrappedKey) -> Result<(), LogError>;
    /// Overwrites the key by a tombstone, so that its bytes are gone from the disk.
    async fn erase(&self, stream: &StreamId) -> Result<(), LogError>;
    /// Up to `limit` streams after this name whose key is wrapped by another than this ring key.
    async fn list_not_under(
        &self,
        ring_key: u32,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, WrappedKey)>, LogError>;
}

/// Snapshots of states: disposable, sealed whole under the stream's data key.
#[async_trait]
pub trait SnapshotStore: Send + Sync + 'static {
    /// The last one of a stream.
    async fn load(&self, stream: &StreamId) -> Result<Option<Snapshot>, LogError>;
    /// Keeps it in place of an older one. May be lost.
    async fn save(&self, stream: &StreamId, snapshot: Snapshot) -> Result<(), LogError>;
    /// Forgets those of a stream.
    async fn delete(&self, stream: &StreamId) -> Result<(), LogError>;
}

/// A state as of a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// After this event.
    pub version: Version,
    /// Its position.
    pub position: Position,
    /// Shape of the state; another shape than the code's is ignored.
    pub format: u32,
    /// The sealed state.
    pub bytes: Vec<u8>,
}

/// Counts failures and sends over accounts, in buckets under keyed hashes. It is asked before a decision;
/// when it cannot be reached, the command is refused as unavailable and nothing is sent.
#[async_trait]
pub trait Limiter: Send + Sync + 'static {
    /// Charges every bucket by one, or none of them: then how long to wait.
    async fn charge(&self, charges: &[Charge], now: Timestamp) -> Result<Result<(), Seconds>, LogError>;
    /// How long to wait, where a bucket is known without asking anyone to be full. Only buckets of wrong second factors,
    /// and for a moment those of an address's passwords, are remembered so; each process remembers its own, so each lets
    /// one more charge through.
    fn exhausted(&self, charges: &[Charge], now: Timestamp) -> Option<Seconds> {
        let _ = (charges, now);
        None
    }
    /// Gives charges back.
    async fn refund(&self, charges: &[Charge], now: Timestamp) -> Result<(), LogError>;
    /// How much a bucket holds now.
    async fn count(&self, charge: &Charge, now: Timestamp) -> Result<u32, LogError>;
    /// Whether someone signed in to the address from the network before (both under keyed hashes).
    async fn is_known_network(&self, address: &str, network: &str) -> Result<bool, LogError>;
    /// Remembers that.
    async fn remember_network(&self, address: &str, network: &str, now: Timestamp) -> Result<(), LogError>;
}

/// An answer that no append carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptAnswer {
    /// Keyed hash of the source and the idempotency key.
    pub key: [u8; 32],
    /// Keyed hash of the request's body.
    pub body: [u8; 32],
    /// The answer; nothing personal and nothing secret.
    pub answer: Vec<u8>,
    /// Kept until then.
    pub expires_at: Timestamp,
}

/// Answers to what appends nothing for some and must look the same for all: kept as durably for everybody, and seen by
/// every process.
#[async_trait]
pub trait Answers: Send + Sync + 'static {
    /// Keeps an answer unless its key has one that has not expired; what is kept afterwards.
    async fn keep(&self, answer: KeptAnswer, now: Timestamp) -> Result<KeptAnswer, LogError>;
}

/// Where a worker stands in the log.
#[async_trait]
pub trait Checkpoints: Send + Sync + 'static {
    /// The position up to which everything is done.
    async fn load(&self, name: &str) -> Result<Position, LogError>;
    /// Moves it.
    async fn save(&self, name: &str, position: Position) -> Result<(), LogError>;
}
