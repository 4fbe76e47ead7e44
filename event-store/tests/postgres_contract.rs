//! The contract over `PostgreSQL`; a second handle has a pool of its own, as another process would.
#![cfg(feature = "postgres")]
#![expect(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;

use async_trait::async_trait;
use event_store::{
    contract::LogUnderTest,
    port::{EventLog, KeyStore, SnapshotStore},
    postgres::{Database, PostgresOptions, PostgresStore},
};
use servers::postgres::TestDatabase;

struct Postgres {
    store: Arc<PostgresStore>,
    database: Arc<TestDatabase>,
}

impl Postgres {
    async fn over(test: Arc<TestDatabase>) -> Self {
        let database = Database::connect(&test.options()).await.unwrap();
        let store = PostgresStore::open(database, PostgresOptions::default()).await.unwrap();
        Self { store: Arc::new(store), database: test }
    }
}

#[async_trait]
impl LogUnderTest for Postgres {
    async fn fresh() -> Self {
        Self::over(Arc::new(TestDatabase::fresh().await)).await
    }
    async fn beside(&self) -> Self {
        Self::over(Arc::clone(&self.database)).await
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

event_store::contract!(Postgres);
