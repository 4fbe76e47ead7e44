//! Everything in `PostgreSQL`.

use std::sync::Arc;

use event_store::postgres::{Database, DatabaseOptions, PostgresOptions, PostgresStore};

use super::{Place, ServerLog, Stores};
use crate::{
    Failure,
    config::{Config, ConfigError},
};

/// Reaches the database of a configuration.
pub async fn connect(config: &Config) -> Result<Arc<Database>, Failure> {
    let settings = &config.postgres;
    let Some(url) = &settings.url else {
        return Err(ConfigError::new("postgres.url", "is missing", "name the database").into());
    };
    let mut options = DatabaseOptions::at(url.clone());
    options.password.clone_from(&settings.password);
    options.ca_file.clone_from(&settings.ca_file);
    if let Some(size) = settings.pool_size {
        options.pool_size = size;
    }
    Database::connect(&options).await.map_err(|error| super::unusable("postgres.url", &error))
}

/// Opens the log in it.
pub async fn open(config: &Config) -> Result<Stores, Failure> {
    let database = connect(config).await?;
    let store = PostgresStore::open(Arc::clone(&database), PostgresOptions::default()).await;
    let store = Arc::new(store.map_err(|error| super::unusable("postgres.url", &error))?);
    Ok(Stores {
        log: Arc::<PostgresStore>::clone(&store),
        key_store: Arc::<PostgresStore>::clone(&store),
        snapshots: Arc::<PostgresStore>::clone(&store),
        place: Place::Database(database, ServerLog::Postgres(store)),
    })
}
