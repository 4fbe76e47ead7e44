//! The log in KurrentDB, everything else in `PostgreSQL`.

use std::sync::Arc;

use event_store::{
    kurrentdb::{KurrentOptions, KurrentStore},
    postgres::PostgresSideStore,
};

use super::{Place, ServerLog, Stores, postgres};
use crate::{
    Failure,
    config::{Config, ConfigError},
};

/// Opens the log there.
pub async fn open(config: &Config) -> Result<Stores, Failure> {
    let Some(url) = &config.kurrentdb.url else {
        return Err(ConfigError::new("kurrentdb.url", "is missing", "name the server").into());
    };
    let database = postgres::connect(config).await?;
    let side = PostgresSideStore::open(Arc::clone(&database)).await;
    let side = Arc::new(side.map_err(|error| super::unusable("postgres.url", &error))?);
    let store = KurrentStore::open(KurrentOptions::new(url.clone()), Arc::clone(&side)).await;
    let store = Arc::new(store.map_err(|error| super::unusable("kurrentdb.url", &error))?);
    Ok(Stores {
        log: Arc::<KurrentStore>::clone(&store),
        key_store: Arc::<PostgresSideStore>::clone(&side),
        snapshots: side,
        place: Place::Database(database, ServerLog::Kurrentdb(store)),
    })
}
