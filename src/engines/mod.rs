//! The engines that a configuration names, opened: the event log with what stands beside it.

#[cfg(feature = "kurrentdb")]
mod kurrentdb;
#[cfg(feature = "postgres")]
mod postgres;
mod sqlite;

use std::sync::Arc;

use domain::{
    ids::CommandId,
    values::{Caller, Origin},
};
use engine::{CacheOptions, Engine, EngineParts, Request};
#[cfg(feature = "kurrentdb")]
use event_store::kurrentdb::KurrentStore;
#[cfg(feature = "postgres")]
use event_store::postgres::{Database, PostgresStore};
use event_store::{
    codec,
    keys::Keys,
    port::{EventLog, KeyStore, LogError, SnapshotStore, WrappedKey},
    sqlite::SqliteStore,
};
use operations::Operations;
use projections::{ViewParts, Views};
use runtime::Runtime;
use schemas::envelope::Position;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;
use vault::{Hasher, HasherConfig, KeyRing};

use crate::{
    Failure, clock,
    config::{Config, ConfigError, EventLogEngine},
    data_folder, key_ring,
};

/// Positions at the end of the log that are looked at before anything is written.
const NEWEST: u64 = 100;

/// Data keys that are kept opened.
const OPENED_KEYS: usize = 20_000;

/// Whether data may be made where there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opening {
    /// Make it.
    Create,
    /// It must be there: a mistyped place is no empty one.
    Existing,
}

/// The log and the stores of one engine.
struct Stores {
    log: Arc<dyn EventLog>,
    key_store: Arc<dyn KeyStore>,
    snapshots: Arc<dyn SnapshotStore>,
    place: Place,
}

/// Where everything but the log is kept, and what is closed at the end.
enum Place {
    /// Files of the data folder.
    Files(Arc<SqliteStore>),
    /// PostgreSQL, with the log in it or beside it.
    #[cfg(feature = "postgres")]
    Database(Arc<Database>, ServerLog),
}

/// A log on a server.
#[cfg(feature = "postgres")]
enum ServerLog {
    /// In the same database.
    Postgres(Arc<PostgresStore>),
    /// In KurrentDB.
    #[cfg(feature = "kurrentdb")]
    Kurrentdb(Arc<KurrentStore>),
}

/// What a configuration names, opened.
pub struct Opened {
    /// The event log.
    pub log: Arc<dyn EventLog>,
    /// Where the wrapped data keys are.
    pub key_store: Arc<dyn KeyStore>,
    /// The data keys.
    pub keys: Arc<Keys>,
    /// What is kept beside the log.
    pub operations: Arc<Operations>,
    /// The one path by which a command becomes events.
    pub engine: Engine,
    /// What runs this process.
    pub runtime: Runtime,
    place: Place,
    cancel: CancellationToken,
}

impl Opened {
    /// Opens what a configuration names.
    pub async fn open(config: &Config, opening: Opening) -> Result<Self, Failure> {
        let runtime = clock::runtime()?;
        if config.event_log == EventLogEngine::Sqlite {
            sqlite::prepare(config, opening)?;
        }
        let ring = Arc::new(key_ring::load(config, &runtime)?);
        let Stores { log, key_store, snapshots, place } = stores(config).await?;
        check_ring(&ring, key_store.as_ref()).await?;
        check_newest(log.as_ref()).await?;
        let keys = Keys::new(&runtime, Arc::clone(&key_store), Arc::clone(&ring), OPENED_KEYS);
        let keys = Arc::new(keys.renewed_from(key_ring::source(config, &runtime)));
        let operations = Arc::new(place.operations(config, ring).await?);
        let cancel = CancellationToken::new();
        let parts = EngineParts {
            log: Arc::clone(&log),
            keys: Arc::clone(&keys),
            snapshots,
            hasher: Hasher::new(hasher(config), &runtime),
            limiter: Arc::<Operations>::clone(&operations),
            answers: Arc::<Operations>::clone(&operations),
            runtime: runtime.clone(),
            policy: Arc::new(config.policy.clone()),
            cache: cache(config),
        };
        let engine = Engine::start(parts, cancel.clone()).await.map_err(Failure::other)?;
        Ok(Self { log, key_store, keys, operations, engine, runtime, place, cancel })
    }

    /// Refuses a place where nothing is, before anything is opened.
    pub fn must_be_there(config: &Config) -> Result<(), ConfigError> {
        match config.event_log {
            EventLogEngine::Sqlite => sqlite::prepare(config, Opening::Existing),
            EventLogEngine::Postgres | EventLogEngine::Kurrentdb => Ok(()),
        }
    }

    /// The read models, beside a process that may be running them.
    pub async fn views(&self, config: &Config) -> Result<Arc<Views>, Failure> {
        let (log, keys) = (Arc::clone(&self.log), Arc::clone(&self.keys));
        let parts = ViewParts { log, keys, runtime: self.runtime.clone() };
        let views = match &self.place {
            Place::Files(_) => Views::sqlite(&config.data.join(data_folder::VIEWS), parts).await,
            #[cfg(feature = "postgres")]
            Place::Database(database, _) => Views::postgres(Arc::clone(database), parts).await,
        };
        views.map(Arc::new).map_err(|error| self.place.failure(&error))
    }

    /// Finishes what was handed in, and closes files and connections.
    pub async fn close(self) {
        self.cancel.cancel();
        self.operations.close().await;
        match &self.place {
            Place::Files(store) => store.close().await,
            #[cfg(feature = "postgres")]
            Place::Database(database, log) => {
                match log {
                    ServerLog::Postgres(store) => store.close().await,
                    #[cfg(feature = "kurrentdb")]
                    ServerLog::Kurrentdb(store) => store.close(),
                }
                database.close();
            }
        }
    }

    /// A new id.
    pub fn fresh_id(&self, label: &str) -> Result<Uuid, Failure> {
        Ok(self.runtime.entropy().map_err(Failure::other)?.uuid(self.runtime.now(), label))
    }

    /// A request of whoever has a shell on this machine.
    pub fn operator(&self) -> Result<Request, Failure> {
        let id = self.fresh_id("command")?;
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

impl Place {
    async fn operations(&self, config: &Config, ring: Arc<KeyRing>) -> Result<Operations, Failure> {
        match self {
            Self::Files(_) => Operations::sqlite(&config.data.join(data_folder::OPERATIONS), ring).await,
            #[cfg(feature = "postgres")]
            Self::Database(database, _) => Operations::postgres(Arc::clone(database), ring).await,
        }
        .map_err(|error| self.failure(&error))
    }

    /// What kept it from being opened, with the setting that leads there.
    fn failure(&self, error: &dyn std::fmt::Display) -> Failure {
        match self {
            Self::Files(_) => Failure::other(error),
            #[cfg(feature = "postgres")]
            Self::Database(..) => ConfigError::new("postgres.url", error.to_string(), CORRECT_IT).into(),
        }
    }
}

async fn stores(config: &Config) -> Result<Stores, Failure> {
    match config.event_log {
        EventLogEngine::Sqlite => sqlite::open(config).await,
        #[cfg(feature = "postgres")]
        EventLogEngine::Postgres => postgres::open(config).await,
        #[cfg(feature = "kurrentdb")]
        EventLogEngine::Kurrentdb => kurrentdb::open(config).await,
        #[cfg(not(all(feature = "postgres", feature = "kurrentdb")))]
        _ => Err(ConfigError::new(
            "event_log",
            "names an engine that this binary was built without",
            "build it with the feature of that name, or use sqlite",
        )
        .into()),
    }
}

/// What helps where a server cannot be used as it is, or as it was named; what is wrong says which.
#[cfg(feature = "postgres")]
const CORRECT_IT: &str = "start that server, or correct the setting";

#[cfg(feature = "postgres")]
fn unusable(setting: &str, error: &LogError) -> Failure {
    ConfigError::new(setting, error.to_string(), CORRECT_IT).into()
}

/// How much hashing goes on at once.
pub fn hasher(config: &Config) -> HasherConfig {
    let default = HasherConfig::default();
    HasherConfig {
        threads: config.hashing.threads.unwrap_or(default.threads),
        waiting: config.hashing.queue.unwrap_or(default.waiting),
        waiting_per_source: config.hashing.queue_per_source.unwrap_or(default.waiting_per_source),
        ..default
    }
}

fn cache(config: &Config) -> CacheOptions {
    let default = CacheOptions::default();
    CacheOptions { states: config.cache.accounts.unwrap_or(default.states), ..default }
}

/// The newest events are those that a later version wrote, if one did: better to stop than to write after what is
/// not understood.
async fn check_newest(log: &dyn EventLog) -> Result<(), Failure> {
    let last = log.last_position().await.map_err(Failure::other)?;
    let after = Position(last.0.saturating_sub(NEWEST));
    for event in log.read_all(after, usize::try_from(NEWEST).unwrap_or(usize::MAX)).await.map_err(Failure::other)? {
        if let Err(error) = codec::decode(&event, None) {
            return Err(ConfigError::new(
                "event_log",
                format!("the event at position {} cannot be read: {error}", event.position),
                "run the version of Countersign that wrote it, or a later one",
            )
            .into());
        }
    }
    Ok(())
}

/// A ring that opens nothing here belongs to other data; better to stop than to write with two rings.
async fn check_ring(ring: &KeyRing, key_store: &dyn KeyStore) -> Result<(), Failure> {
    let some = key_store.list_not_under(0, None, 20).await.map_err(Failure::other)?;
    for (stream, wrapped) in some {
        if let WrappedKey::Wrapped { ring_key, bytes } = wrapped
            && ring.unwrap(&stream, ring_key, &bytes).is_err()
        {
            return Err(ConfigError::new(
                "key_ring_file",
                "the key ring does not open the data that is here",
                "use the ring that belongs to it, or other data",
            )
            .into());
        }
    }
    Ok(())
}
