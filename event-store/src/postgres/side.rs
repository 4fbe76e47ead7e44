//! What stands beside a log: data keys, snapshots, and receipts of a log that cannot commit them itself.

use std::sync::Arc;

use tokio::sync::Mutex;

use super::{Database, Migration, gather::Gathered, keys, snapshots};
use crate::port::{LogError, Snapshot, WrappedKey};

/// `receipts_pending` serves the log that cannot commit a receipt with its append; the log on `PostgreSQL` has
/// a table of its own. Snapshots are disposable, so they are not written to the write-ahead log.
const MIGRATIONS: [Migration; 1] = [Migration {
    name: "keys, snapshots, receipts",
    sql: r#"
CREATE TABLE data_keys (
    stream text COLLATE "C" PRIMARY KEY,
    ring_key bigint,
    bytes bytea
);
CREATE UNLOGGED TABLE snapshots (
    stream text COLLATE "C" PRIMARY KEY,
    version bigint NOT NULL,
    position bigint NOT NULL,
    format bigint NOT NULL,
    bytes bytea NOT NULL
);
CREATE TABLE receipts_pending (
    key bytea PRIMARY KEY,
    body bytea NOT NULL,
    stream text NOT NULL,
    answer bytea NOT NULL,
    at bigint NOT NULL,
    expires_at bigint NOT NULL,
    append_stream text NOT NULL,
    append_version bigint NOT NULL,
    append_event uuid NOT NULL
);
CREATE INDEX receipts_pending_by_expiry ON receipts_pending (expires_at);
"#,
}];

/// Data keys and snapshots in `PostgreSQL`, with receipts for a log that is somewhere else.
pub struct PostgresSideStore {
    pub(super) database: Arc<Database>,
    pub(super) keys: Gathered<String, Option<WrappedKey>>,
    pub(super) snapshots: Gathered<String, Option<Snapshot>>,
    /// Held by the one that clears the disk of erased keys.
    pub(super) sweeping: Mutex<()>,
}

impl PostgresSideStore {
    /// Opens it, and creates or migrates its tables. Several processes may have it open.
    pub async fn open(database: Arc<Database>) -> Result<Self, LogError> {
        database.migrate("key_store", &MIGRATIONS).await?;
        Ok(Self {
            keys: Gathered::new(Arc::clone(&database), keys::of_streams),
            snapshots: Gathered::new(Arc::clone(&database), snapshots::of_streams),
            database,
            sweeping: Mutex::new(()),
        })
    }
}

impl std::fmt::Debug for PostgresSideStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostgresSideStore").field("database", &self.database).finish_non_exhaustive()
    }
}
