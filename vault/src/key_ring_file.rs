//! The key ring as text and as a file.
//!
//! ```toml
//! version = 1
//! current = 2
//! lookup = "<64 hex digits>"
//!
//! [keys]
//! 1 = "<64 hex digits>"
//! 2 = "<64 hex digits>"
//! ```

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs::{File, OpenOptions},
    io::{ErrorKind, Read as _, Write as _},
    path::{Path, PathBuf},
};

use domain::secret::{Secret, from_hex, to_hex};
use runtime::Runtime;
use serde::Deserialize;
use zeroize::{Zeroize, Zeroizing};

use crate::{KeyRing, VaultError, key_ring::Key};

const VERSION: u32 = 1;
const ABOUT: &str = "\
# Countersign key ring. Whoever has this file and the database can read everything; without it nobody can.
# Keep a copy in another place than the database's backups. Never delete a key that still wraps data.
";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    version: u32,
    current: u32,
    lookup: Secret<String>,
    keys: BTreeMap<String, Secret<String>>,
}

impl KeyRing {
    /// Reads a ring from text (a file's, or an environment variable's).
    pub fn parse(text: &str, runtime: &Runtime) -> Result<Self, VaultError> {
        // The parser's own message quotes the line, and the line may be a key.
        let written: Written =
            toml::from_str(text).map_err(|_| VaultError::Malformed("key ring: not in the form of a key ring file"))?;
        if written.version != VERSION {
            return Err(VaultError::Malformed("key ring: its version is not 1"));
        }
        let mut keys = BTreeMap::new();
        for (number, key) in &written.keys {
            let number = match number.parse::<u32>() {
                // Only the canonical form: "01" next to "1" would hide one of them.
                Ok(n) if n > 0 && n.to_string() == *number => n,
                _ => return Err(VaultError::Malformed("key ring: keys are numbered 1, 2, 3 …")),
            };
            keys.insert(number, parse_key(key)?);
        }
        if !keys.contains_key(&written.current) {
            return Err(VaultError::Malformed("key ring: `current` names a key that it does not hold"));
        }
        Ok(Self { current: written.current, keys, lookup: parse_key(&written.lookup)?, runtime: runtime.clone() })
    }

    /// The ring as text, keys in clear.
    pub fn to_text(&self) -> Zeroizing<String> {
        // Large enough that it never grows: growing would leave copies behind.
        let mut text = Zeroizing::new(String::with_capacity(512 + 96 * self.keys.len()));
        text.push_str(ABOUT);
        let _ = writeln!(text, "version = {VERSION}\ncurrent = {}", self.current);
        push_key(&mut text, "lookup", &self.lookup);
        text.push_str("\n[keys]\n");
        for (number, key) in &self.keys {
            push_key(&mut text, &number.to_string(), key);
        }
        text
    }

    /// Reads the ring from its file; `None` when there is no file. Refused: a file that others than its owner
    /// and group can read, or that others than its owner can write.
    pub fn load(path: &Path, runtime: &Runtime) -> Result<Option<Self>, VaultError> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed("open", path, &error)),
        };
        refuse_open_permissions(&file, path)?;
        let mut text = Zeroizing::new(String::with_capacity(16 * 1024));
        (&file).take(1024 * 1024).read_to_string(&mut text).map_err(|error| failed("read", path, &error))?;
        Self::parse(&text, runtime).map(Some)
    }

    /// Reads the ring from its file, or writes a fresh one when there is none.
    ///
    /// Whoever already holds data uses [`KeyRing::load`] instead: a fresh ring opens none of it.
    pub fn load_or_create(path: &Path, runtime: &Runtime) -> Result<Self, VaultError> {
        if let Some(ring) = Self::load(path, runtime)? {
            return Ok(ring);
        }
        let ring = Self::generate(runtime)?;
        let written = Temporary::of(&ring, path)?;
        // A link fails where a rename would replace: of two processes that start at once, one ring wins
        // and both use it.
        match std::fs::hard_link(&written.0, path) {
            Ok(()) => sync_folder(path).map(|()| ring),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                Self::load(path, runtime)?.ok_or_else(|| failed("read", path, &error))
            }
            // A file system without links: no protection against the race, but none against starting either.
            Err(_) => written.replace(path).map(|()| ring),
        }
    }

    /// Writes the ring to its file in place of what was there: afterwards the file holds the old ring or this
    /// one, whole, whatever happens meanwhile.
    pub fn save(&self, path: &Path) -> Result<(), VaultError> {
        Temporary::of(self, path)?.replace(path)
    }
}

fn parse_key(text: &Secret<String>) -> Result<Key, VaultError> {
    let malformed = VaultError::Malformed("key ring: a key is not 64 hex digits");
    let bytes = Zeroizing::new(from_hex(text.expose()).ok_or(malformed.clone())?);
    bytes.as_slice().try_into().map(Zeroizing::new).map_err(|_| malformed)
}

fn push_key(text: &mut String, name: &str, key: &Key) {
    let mut hex = to_hex(&**key);
    let _ = writeln!(text, "{name} = \"{hex}\"");
    hex.zeroize();
}

/// A file beside the real one, readable by its owner alone, durable; gone when dropped.
struct Temporary(PathBuf);

impl Temporary {
    fn of(ring: &KeyRing, path: &Path) -> Result<Self, VaultError> {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{}.tmp", to_hex(&*ring.runtime.random_bytes::<8>()?)));
        let temporary = Self(PathBuf::from(name));
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&temporary.0).map_err(|error| failed("create", &temporary.0, &error))?;
        file.write_all(ring.to_text().as_bytes())
            .and_then(|()| file.sync_all())
            .map_err(|error| failed("write", &temporary.0, &error))?;
        Ok(temporary)
    }

    fn replace(self, path: &Path) -> Result<(), VaultError> {
        std::fs::rename(&self.0, path).map_err(|error| failed("replace", path, &error))?;
        sync_folder(path)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // After a rename there is nothing left to remove.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Makes a new name in a folder durable.
fn sync_folder(path: &Path) -> Result<(), VaultError> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    if cfg!(unix) {
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(|error| failed("sync", folder, &error))?;
    }
    Ok(())
}

#[cfg(unix)]
fn refuse_open_permissions(file: &File, path: &Path) -> Result<(), VaultError> {
    use std::os::unix::fs::PermissionsExt;
    let mode = file.metadata().map_err(|error| failed("inspect", path, &error))?.permissions().mode() & 0o777;
    // Reading by the group is how containers are handed secrets; everything wider is a mistake.
    if mode & 0o027 != 0 {
        return Err(VaultError::Io(format!(
            "the key ring {} can be read or changed by others (mode {mode:04o}): run chmod 600 on it",
            path.display()
        )));
    }
    Ok(())
}

#[cfg(not(unix))]
fn refuse_open_permissions(_: &File, _: &Path) -> Result<(), VaultError> {
    Ok(())
}

fn failed(what: &str, path: &Path, error: &std::io::Error) -> VaultError {
    VaultError::Io(format!("cannot {what} the key ring {}: {error}", path.display()))
}

#[cfg(test)]
mod tests;
