//! `keyring create` and `keyring rotate`.

use std::path::Path;

use runtime::Runtime;
use vault::KeyRing;

use super::say;
use crate::{
    Failure,
    config::{Config, ConfigError},
    engines::{Opened, Opening},
    key_ring,
};

/// Makes a ring where there is none.
pub fn create(file: &Path) -> Result<(), Failure> {
    if file.exists() {
        return Err(Failure::Other(format!("{} is there already: it is left alone", file.display())));
    }
    let runtime = Runtime::system().map_err(Failure::other)?;
    KeyRing::load_or_create(file, &runtime).map_err(Failure::other)?;
    say(format_args!("made {}; back it up apart from the database's backups", file.display()))
}

/// Adds a key to the ring, saves the ring, then wraps every data key with the new one. A running server reads the
/// ring again when it meets a key that it does not know.
pub async fn rotate(config: &Config) -> Result<(), Failure> {
    if config.key_ring.is_some() {
        return Err(ConfigError::new(
            "key_ring",
            "is given as text, which cannot be changed from here",
            "keep the ring in a file (key_ring_file) to rotate it",
        )
        .into());
    }
    // Opened once with the old ring: that proves that it is the right one before it is replaced.
    let before = Opened::open(config, Opening::Existing).await?;
    let runtime = before.runtime.clone();
    before.close().await;
    let mut ring = key_ring::load(config, &runtime)?;
    let number = ring.rotate().map_err(Failure::other)?;
    let path = key_ring::path(config);
    ring.save(&path).map_err(Failure::other)?;
    let opened = Opened::open(config, Opening::Existing).await?;
    let count = opened.keys.rewrap_all().await.map_err(Failure::other)?;
    opened.close().await;
    say(format_args!("key {number} is the current one; {count} data keys are wrapped with it"))?;
    say(format_args!("back up {} now, apart from the database's backups", path.display()))
}
