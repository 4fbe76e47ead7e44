//! The embedded default: everything in files of the data folder.

use std::{fs, os::unix::fs::DirBuilderExt, path::Path, sync::Arc};

use event_store::sqlite::{SqliteOptions, SqliteStore};

use super::{Opening, Place, Stores};
use crate::{
    Failure,
    config::{Config, ConfigError},
    data_folder::LOG,
};

/// Looks whether the data may be opened, before anything is written; makes the folder where that is asked.
pub fn prepare(config: &Config, opening: Opening) -> Result<(), ConfigError> {
    if opening == Opening::Create {
        return make_folder(&config.data);
    }
    if config.data.join(LOG).exists() {
        return Ok(());
    }
    Err(ConfigError::new(
        "data",
        format!("{} holds no Countersign data", config.data.display()),
        "name the right folder with --data, or serve there first",
    ))
}

/// Opens the log's file.
pub async fn open(config: &Config) -> Result<Stores, Failure> {
    let store = SqliteStore::open(&config.data.join(LOG), SqliteOptions::default()).await;
    let store = Arc::new(store.map_err(Failure::other)?);
    Ok(Stores {
        log: Arc::<SqliteStore>::clone(&store),
        key_store: Arc::<SqliteStore>::clone(&store),
        snapshots: Arc::<SqliteStore>::clone(&store),
        place: Place::Files(store),
    })
}

/// Nobody else on the machine may look in.
fn make_folder(path: &Path) -> Result<(), ConfigError> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|error| {
        ConfigError::new(
            "data",
            format!("{} cannot be used: {error}", path.display()),
            "name a folder that can be written",
        )
    })
}
