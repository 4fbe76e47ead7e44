//! The contract over `SQLite`; a second handle is a second process, as far as the file can tell.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;

use async_trait::async_trait;
use event_store::{
    contract::LogUnderTest,
    port::{EventLog, KeyStore, SnapshotStore},
    sqlite::{SqliteOptions, SqliteStore},
    testing::Scratch,
};

struct Sqlite {
    scratch: Arc<Scratch>,
    store: Arc<SqliteStore>,
}

impl Sqlite {
    async fn over(scratch: Arc<Scratch>) -> Self {
        let store = SqliteStore::open(&scratch.file("log.db"), SqliteOptions::default()).await.unwrap();
        Self { scratch, store: Arc::new(store) }
    }
}

#[async_trait]
impl LogUnderTest for Sqlite {
    async fn fresh() -> Self {
        Self::over(Arc::new(Scratch::new().unwrap())).await
    }
    async fn beside(&self) -> Self {
        Self::over(Arc::clone(&self.scratch)).await
    }
    fn log(&self) -> Arc<dyn EventLog> {
        self.store.clone()
    }
    fn keys(&self) -> Arc<dyn KeyStore> {
        self.store.clone()
    }
    fn snapshots(&self) -> Arc<dyn SnapshotStore> {
        self.store.clone()
    }
}

event_store::contract!(Sqlite);
