//! The data folder, opened: log, keys, and the engine over them.

use std::{
    fs, io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use domain::{
    ids::CommandId,
    values::{Caller, Origin},
};
use event_store::{
    engine::{CacheOptions, Engine, EngineParts, Request},
    keys::{Keys, RingSource},
    port::{Clock, EventLog, KeyStore, WrappedKey},
    sqlite::{SqliteOptions, SqliteStore},
};
use projections::operations::Operations;
use tokio_util::sync::CancellationToken;
use vault::{Hasher, HasherConfig, KeyRing, VaultError};

use crate::{
    Failure,
    clock::SystemClock,
    config::{Config, ConfigError},
};

/// The log with the data keys.
pub const LOG: &str = "log.db";
/// The read models.
pub const VIEWS: &str = "views.db";
/// What is neither history nor derived from it: limits, last uses, the inbox, checkpoints.
pub const OPERATIONS: &str = "operations.db";

/// Data keys that are kept opened.
const OPENED_KEYS: usize = 20_000;

/// Whether data may be made where there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opening {
    /// Make it.
    Create,
    /// It must be there: a mistyped folder is no empty one.
    Existing,
}

/// The data folder, opened.
pub struct Opened {
    /// The log, with keys and snapshots.
    pub store: Arc<SqliteStore>,
    /// The data keys.
    pub keys: Arc<Keys>,
    /// What is kept beside the log.
    pub operations: Arc<Operations>,
    /// The one path by which a command becomes events.
    pub engine: Engine,
    /// The time.
    pub clock: Arc<SystemClock>,
    cancel: CancellationToken,
}

impl Opened {
    /// Opens the folder of a configuration.
    pub async fn open(config: &Config, opening: Opening) -> Result<Self, Failure> {
        let clock = Arc::new(SystemClock::from_environment()?);
        if opening == Opening::Create {
            make_folder(&config.data)?;
        } else if !config.data.join(LOG).exists() {
            return Err(ConfigError::new(
                "data",
                format!("{} holds no Countersign data", config.data.display()),
                "name the right folder with --data, or serve there first",
            )
            .into());
        }
        let ring = Arc::new(key_ring(config)?);
        let store = SqliteStore::open(&config.data.join(LOG), SqliteOptions::default()).await;
        let store = Arc::new(store.map_err(Failure::other)?);
        check_ring(&ring, store.as_ref()).await?;
        let keys = Keys::new(Arc::<SqliteStore>::clone(&store), Arc::clone(&ring), OPENED_KEYS);
        let keys = Arc::new(keys.renewed_from(ring_source(config)));
        let operations = Operations::sqlite(&config.data.join(OPERATIONS), Arc::clone(&ring)).await;
        let operations = Arc::new(operations.map_err(Failure::other)?);
        let cancel = CancellationToken::new();
        let parts = EngineParts {
            log: Arc::<SqliteStore>::clone(&store),
            keys: Arc::clone(&keys),
            snapshots: Arc::<SqliteStore>::clone(&store),
            hasher: Hasher::new(hasher(config)),
            limiter: Arc::<Operations>::clone(&operations),
            clock: Arc::<SystemClock>::clone(&clock),
            policy: Arc::new(config.policy.clone()),
            cache: cache(config),
        };
        let engine = Engine::start(parts, cancel.clone()).await.map_err(Failure::other)?;
        Ok(Self { store, keys, operations, engine, clock, cancel })
    }

    /// The log.
    pub fn log(&self) -> Arc<dyn EventLog> {
        Arc::<SqliteStore>::clone(&self.store)
    }

    /// The time, as other rooms ask for it.
    pub fn shared_clock(&self) -> Arc<dyn Clock> {
        Arc::<SystemClock>::clone(&self.clock)
    }

    /// Finishes what was handed in, and closes the files.
    pub async fn close(self) {
        self.cancel.cancel();
        self.operations.close().await;
        self.store.close().await;
    }

    /// A request of whoever has a shell on this machine.
    pub fn operator(&self) -> Result<Request, Failure> {
        let id = vault::random_entropy().map_err(Failure::other)?.uuid(self.clock.now(), "command");
        Ok(Request {
            caller: Caller::Operator,
            origin: Origin::default(),
            command_id: CommandId(id),
            idempotency: None,
            correlation_id: id,
            causation_id: None,
            trace_parent: None,
        })
    }
}

fn hasher(config: &Config) -> HasherConfig {
    let default = HasherConfig::default();
    HasherConfig {
        threads: config.hashing.threads.unwrap_or(default.threads),
        waiting: config.hashing.queue.unwrap_or(default.waiting),
        ..default
    }
}

fn cache(config: &Config) -> CacheOptions {
    let default = CacheOptions::default();
    CacheOptions { states: config.cache.accounts.unwrap_or(default.states), ..default }
}

/// Nobody else on the machine may look in.
fn make_folder(path: &Path) -> Result<(), ConfigError> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|error| unusable(path, &error))
}

fn unusable(path: &Path, error: &io::Error) -> ConfigError {
    ConfigError::new("data", format!("{} cannot be used: {error}", path.display()), "name a folder that can be written")
}

/// The key ring: given as text, in a file, or made for an empty data folder. A folder with data and no ring is
/// not given a fresh one: that would open nothing.
pub fn key_ring(config: &Config) -> Result<KeyRing, ConfigError> {
    if let Some(text) = &config.key_ring {
        return KeyRing::parse(text.expose()).map_err(|error| unreadable("key_ring", &error));
    }
    let path = key_ring_path(config);
    let setting = if config.key_ring_file.is_some() { "key_ring_file" } else { "data" };
    if let Some(ring) = KeyRing::load(&path).map_err(|error| unreadable(setting, &error))? {
        return Ok(ring);
    }
    if config.key_ring_file.is_some() || config.data.join(LOG).exists() {
        return Err(ConfigError::new(
            setting,
            format!("the key ring {} is missing", path.display()),
            "restore it from its backup: without it the data cannot be read",
        ));
    }
    KeyRing::load_or_create(&path).map_err(|error| unreadable(setting, &error))
}

/// Reads the ring's file again, for a process that meets a key which a rotation added meanwhile.
fn ring_source(config: &Config) -> RingSource {
    let path = config.key_ring.is_none().then(|| key_ring_path(config));
    Box::new(move || KeyRing::load(path.as_deref()?).ok().flatten())
}

/// Where the key ring is, when it is a file.
pub fn key_ring_path(config: &Config) -> PathBuf {
    config.key_ring_file.clone().unwrap_or_else(|| config.data.join("keyring.toml"))
}

fn unreadable(setting: &str, error: &VaultError) -> ConfigError {
    ConfigError::new(setting, error.to_string(), "restore the key ring from its backup")
}

/// A ring that opens nothing here belongs to other data; better to stop than to write with two rings.
async fn check_ring(ring: &KeyRing, store: &SqliteStore) -> Result<(), Failure> {
    let some = store.list_not_under(0, None, 20).await.map_err(Failure::other)?;
    for (stream, wrapped) in some {
        if let WrappedKey::Wrapped { ring_key, bytes } = wrapped
            && ring.unwrap(&stream, ring_key, &bytes).is_err()
        {
            return Err(ConfigError::new(
                "key_ring_file",
                "the key ring does not open the data in this folder",
                "use the ring that belongs to it, or another folder",
            )
            .into());
        }
    }
    Ok(())
}
