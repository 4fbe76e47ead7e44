//! What is neither history nor derived from it: counts of limits, networks that are known, the last use of
//! sessions, the development inbox, the workers' checkpoints. In a file beside the log, `operations.db`, or in
//! PostgreSQL, where all processes share it.
//!
//! Everything personal stands under keyed hashes or is sealed. Losing it harms nobody for long: the claims in the
//! delivery streams keep workers from sending anything twice, and limits begin to count again.

mod activity;
mod checkpoints;
mod exhausted;
mod holdings;
mod inbox;
mod keeper;
mod limiter;
#[cfg(feature = "postgres")]
mod postgres;
mod sqlite;

use std::{path::Path, sync::Arc};

use event_store::port::LogError;
use vault::{DataKey, KeyRing};

pub use self::inbox::InboxMessage;
use self::{activity::Activity, keeper::OperationsKeeper, sqlite::SqliteOperations};

/// What is kept beside the log, over a keeper, with what is kept of it in memory.
pub struct Operations {
    keeper: Arc<dyn OperationsKeeper>,
    activity: Activity,
    exhausted: exhausted::Exhausted,
    ring: Arc<KeyRing>,
    inbox_key: DataKey,
}

impl Operations {
    /// Opens the file, or makes it. The ring hashes what is looked up, and its inbox key seals messages. A damaged
    /// file is set aside and begun anew.
    pub async fn sqlite(path: &Path, ring: Arc<KeyRing>) -> Result<Self, LogError> {
        Ok(Self::over(Arc::new(SqliteOperations::open(path).await?), ring))
    }

    /// Opens what all processes share in a database of PostgreSQL, or makes it.
    #[cfg(feature = "postgres")]
    pub async fn postgres(
        database: Arc<event_store::postgres::Database>,
        ring: Arc<KeyRing>,
    ) -> Result<Self, LogError> {
        Ok(Self::over(Arc::new(postgres::PostgresOperations::open(database).await?), ring))
    }

    fn over(keeper: Arc<dyn OperationsKeeper>, ring: Arc<KeyRing>) -> Self {
        let inbox_key = ring.service_key("inbox");
        Self { keeper, activity: Activity::default(), exhausted: exhausted::Exhausted::default(), ring, inbox_key }
    }

    /// Writes what is only in memory and ends.
    pub async fn close(&self) {
        if let Err(error) = self.flush().await {
            tracing::warn!(%error, "the last use of some sessions was not written");
        }
        self.keeper.close().await;
    }
}

impl std::fmt::Debug for Operations {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Operations").finish_non_exhaustive()
    }
}
