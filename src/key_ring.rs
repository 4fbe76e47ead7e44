//! The key ring: given as text, in a file, or made for an empty data folder.

use std::path::PathBuf;

use event_store::keys::RingSource;
use runtime::Runtime;
use vault::{KeyRing, VaultError};

use crate::{
    config::{Config, ConfigError, EventLogEngine},
    data_folder::{KEY_RING, LOG},
};

/// The ring of a configuration. Only an empty data folder is given a fresh one: for data that is there, a new
/// ring would open nothing.
pub fn load(config: &Config, runtime: &Runtime) -> Result<KeyRing, ConfigError> {
    if let Some(text) = &config.key_ring {
        return KeyRing::parse(text.expose(), runtime).map_err(|error| unreadable("key_ring", &error));
    }
    let path = path(config);
    let setting = if config.key_ring_file.is_some() { "key_ring_file" } else { "data" };
    if let Some(ring) = KeyRing::load(&path, runtime).map_err(|error| unreadable(setting, &error))? {
        return Ok(ring);
    }
    let has_data = config.event_log != EventLogEngine::Sqlite || config.data.join(LOG).exists();
    if config.key_ring_file.is_some() || has_data {
        return Err(ConfigError::new(
            setting,
            format!("the key ring {} is missing", path.display()),
            "restore it from its backup: without it the data cannot be read. For a database that is new, make one with \
             `countersign keyring create FILE`",
        ));
    }
    KeyRing::load_or_create(&path, runtime).map_err(|error| unreadable(setting, &error))
}

/// Reads the ring's file again, for a process that meets a key which a rotation added meanwhile.
pub fn source(config: &Config, runtime: &Runtime) -> RingSource {
    let path = config.key_ring.is_none().then(|| path(config));
    let runtime = runtime.clone();
    Box::new(move || KeyRing::load(path.as_deref()?, &runtime).ok().flatten())
}

/// Where the key ring is, when it is a file.
pub fn path(config: &Config) -> PathBuf {
    config.key_ring_file.clone().unwrap_or_else(|| config.data.join(KEY_RING))
}

fn unreadable(setting: &str, error: &VaultError) -> ConfigError {
    ConfigError::new(setting, error.to_string(), "restore the key ring from its backup")
}
