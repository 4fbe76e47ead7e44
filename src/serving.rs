//! Whether a server runs on a data folder: it holds a shared lock for as long as it lives.

use std::{
    fs::{File, OpenOptions, TryLockError},
    path::Path,
};

use crate::{Failure, config::ConfigError};

const FILE: &str = "serving.lock";

/// A lock on a data folder; the operating system takes it back when the process ends, however it ends.
#[derive(Debug)]
pub struct Serving {
    _locked: File,
}

impl Serving {
    /// Says that a server runs here. Several may.
    pub fn here(data: &Path) -> Result<Self, Failure> {
        let file = open(data)?;
        file.lock_shared().map_err(Failure::other)?;
        Ok(Self { _locked: file })
    }

    /// Says that none runs here, and that none may begin while this lives.
    pub fn none(data: &Path) -> Result<Self, Failure> {
        let file = open(data)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _locked: file }),
            Err(TryLockError::WouldBlock) => Err(Failure::Other(format!(
                "a server is running on {}: stop it, rotate, start it again",
                data.display()
            ))),
            Err(TryLockError::Error(error)) => Err(Failure::other(error)),
        }
    }
}

fn open(data: &Path) -> Result<File, ConfigError> {
    let path = data.join(FILE);
    OpenOptions::new().create(true).truncate(false).write(true).open(&path).map_err(|error| {
        ConfigError::new(
            "data",
            format!("{} cannot be written: {error}", path.display()),
            "name a folder that can be written",
        )
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn rotation_waits_for_nobody_and_keeps_servers_out() {
        let folder = tempfile::tempdir().unwrap();
        let first = Serving::here(folder.path()).unwrap();
        let second = Serving::here(folder.path()).unwrap();
        assert!(Serving::none(folder.path()).unwrap_err().to_string().contains("a server is running"));
        drop((first, second));
        Serving::none(folder.path()).unwrap();
    }
}
