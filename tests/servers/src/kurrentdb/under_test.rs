//! The adapter over the fake server, with the stores beside it in PostgreSQL.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use crate::postgres::TestDatabase;
use async_trait::async_trait;
use domain::secret::SecretText;
use event_store::{
    contract::LogUnderTest,
    kurrentdb::{KurrentOptions, KurrentStore},
    port::{EventLog, KeyStore, LogError, SnapshotStore},
    postgres::{Database, PostgresSideStore},
};

use super::FakeServer;

pub struct Kurrent {
    pub server: Arc<FakeServer>,
    database: Arc<TestDatabase>,
    pub side: Arc<PostgresSideStore>,
    pub store: Arc<KurrentStore>,
}

/// Short, so that a test of what takes too long does not.
pub fn options(url: String) -> KurrentOptions {
    KurrentOptions { timeout: Duration::from_secs(2), ..KurrentOptions::new(SecretText::new(url)) }
}

pub async fn side(database: &TestDatabase) -> Arc<PostgresSideStore> {
    let pool = Database::connect(&database.options()).await.unwrap();
    Arc::new(PostgresSideStore::open(pool).await.unwrap())
}

impl Kurrent {
    async fn over(server: Arc<FakeServer>, database: Arc<TestDatabase>) -> Self {
        let side = side(&database).await;
        let store = Arc::new(KurrentStore::open(options(server.url()), side.clone()).await.unwrap());
        Self { server, database, side, store }
    }

    pub async fn on(server: Arc<FakeServer>) -> Self {
        Self::over(server, Arc::new(TestDatabase::fresh().await)).await
    }
}

/// What a server that is not as it should be is told off with.
pub async fn refusal(options: KurrentOptions) -> LogError {
    let side = side(&TestDatabase::fresh().await).await;
    KurrentStore::open(options, side).await.unwrap_err()
}

#[async_trait]
impl LogUnderTest for Kurrent {
    async fn fresh() -> Self {
        Self::on(FakeServer::start().await).await
    }
    async fn beside(&self) -> Self {
        Self::over(Arc::clone(&self.server), Arc::clone(&self.database)).await
    }
    fn log(&self) -> Arc<dyn EventLog> {
        self.store.clone()
    }
    fn keys(&self) -> Arc<dyn KeyStore> {
        self.side.clone()
    }
    fn snapshots(&self) -> Arc<dyn SnapshotStore> {
        self.side.clone()
    }
}

/// The adapter over one server for all cases, as a real one is used.
pub struct Shared(Kurrent);

/// Set once, before the cases run.
pub static SERVER: OnceLock<Arc<FakeServer>> = OnceLock::new();

#[async_trait]
impl LogUnderTest for Shared {
    async fn fresh() -> Self {
        Self(Kurrent::on(SERVER.get().unwrap().clone()).await)
    }
    async fn beside(&self) -> Self {
        Self(self.0.beside().await)
    }
    fn log(&self) -> Arc<dyn EventLog> {
        self.0.log()
    }
    fn keys(&self) -> Arc<dyn KeyStore> {
        self.0.keys()
    }
    fn snapshots(&self) -> Arc<dyn SnapshotStore> {
        self.0.snapshots()
    }
    fn is_shared(&self) -> bool {
        true
    }
}
