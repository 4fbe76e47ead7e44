//! Where a measurement keeps its data: a folder, or a PostgreSQL server of its own.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use clap::ValueEnum;
use event_store::{
    keys::Keys,
    port::{EventLog, KeyStore, SnapshotStore},
    postgres::{Database, PostgresOptions, PostgresStore},
    sqlite::{SqliteOptions, SqliteStore},
};
use runtime::Runtime;
use servers::postgres::{PostgresServer, TestDatabase};
use vault::KeyRing;

use crate::{Failure, now};

/// Data keys that are kept opened.
const OPENED_KEYS: usize = 1_000;
/// A log to which nothing was appended for so long rests.
const AT_REST: Duration = Duration::from_secs(2);
/// It rests within this time, and the views are current.
pub const PATIENCE: Duration = Duration::from_mins(5);

/// What keeps the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Engine {
    /// The embedded default.
    Sqlite,
    /// A server that the measurement starts, with durable commits, and its own settings but for room to
    /// write: a checkpoint in the middle would be measured otherwise.
    Postgres,
}

/// Where the data is.
#[derive(Debug)]
pub struct Place {
    folder: PathBuf,
    server: Option<(Arc<PostgresServer>, TestDatabase)>,
}

impl Place {
    /// A new place, with nothing in it.
    pub async fn new(engine: Engine, folder: &Path) -> Result<Self, Failure> {
        std::fs::create_dir_all(folder)?;
        let server = match engine {
            Engine::Sqlite => None,
            Engine::Postgres => {
                let server = Arc::new(PostgresServer::with(&["max_wal_size=8GB", "shared_buffers=512MB"]).await);
                let database = server.database().await;
                Some((server, database))
            }
        };
        Ok(Self { folder: folder.to_owned(), server })
    }

    /// Its name, for reports.
    pub fn name(&self) -> &'static str {
        if self.server.is_some() { "postgres" } else { "sqlite" }
    }

    /// The database, where there is one.
    pub fn database(&self) -> Option<&TestDatabase> {
        self.server.as_ref().map(|(_, database)| database)
    }

    /// The folder of the embedded log, or of the key ring alone.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    fn ring(&self) -> PathBuf {
        self.folder.join("keyring.toml")
    }

    /// Opens what is there, or makes it.
    pub async fn open(&self) -> Result<Store, Failure> {
        let runtime = Runtime::system()?;
        let ring = Arc::new(KeyRing::load_or_create(&self.ring(), &runtime)?);
        let store = match &self.server {
            None => {
                let store = SqliteStore::open(&self.folder.join("log.db"), SqliteOptions::default()).await?;
                Stored::Sqlite(Arc::new(store))
            }
            Some((_, database)) => {
                let database = Database::connect(&database.options()).await?;
                Stored::Postgres(Arc::new(PostgresStore::open(database, PostgresOptions::default()).await?))
            }
        };
        let keys = Arc::new(Keys::new(&runtime, store.key_store(), ring, OPENED_KEYS));
        Ok(Store { stored: store, keys, runtime })
    }

    /// Waits until a server that runs here has done everything that follows from what is in the log, and appends
    /// no more; where the log ends then.
    pub async fn at_rest(&self) -> Result<u64, Failure> {
        let store = self.open().await?;
        let log = store.log();
        let settled = async {
            let (mut last, mut since) = (log.last_position().await?, now::instant());
            while since.elapsed() < AT_REST {
                tokio::time::sleep(AT_REST / 20).await;
                let now = log.last_position().await?;
                if now != last {
                    (last, since) = (now, now::instant());
                }
            }
            Ok::<_, Failure>(last.0)
        };
        let last = tokio::time::timeout(PATIENCE, settled).await??;
        store.close().await;
        Ok(last)
    }

    /// What tells the server where its data is: arguments and environment.
    pub fn settings(&self) -> (Vec<String>, Vec<(&'static str, String)>) {
        let Some((_, database)) = &self.server else {
            return (vec!["--data".to_owned(), self.folder.display().to_string()], Vec::new());
        };
        let environment = vec![
            ("COUNTERSIGN__EVENT_LOG", "postgres".to_owned()),
            ("COUNTERSIGN__POSTGRES__URL", database.url().to_owned()),
            ("COUNTERSIGN__KEY_RING_FILE", self.ring().display().to_string()),
        ];
        (Vec::new(), environment)
    }

    /// Bytes on the disk, of the files or of the database.
    pub async fn bytes(&self) -> Result<u64, Failure> {
        if let Some(database) = self.database() {
            let row = database.client().await.query_one("SELECT pg_database_size(current_database())", &[]).await?;
            return Ok(row.get::<_, i64>(0).unsigned_abs());
        }
        let mut bytes = 0;
        for file in std::fs::read_dir(&self.folder)? {
            bytes += file?.metadata()?.len();
        }
        Ok(bytes)
    }
}

#[derive(Clone)]
enum Stored {
    Sqlite(Arc<SqliteStore>),
    Postgres(Arc<PostgresStore>),
}

impl Stored {
    fn key_store(&self) -> Arc<dyn KeyStore> {
        match self {
            Self::Sqlite(store) => Arc::<SqliteStore>::clone(store),
            Self::Postgres(store) => Arc::<PostgresStore>::clone(store),
        }
    }
}

/// A place, opened.
#[derive(Clone)]
pub struct Store {
    stored: Stored,
    /// The keys.
    pub keys: Arc<Keys>,
    /// What runs this program.
    pub runtime: Runtime,
}

impl Store {
    /// The log.
    pub fn log(&self) -> Arc<dyn EventLog> {
        match &self.stored {
            Stored::Sqlite(store) => Arc::<SqliteStore>::clone(store),
            Stored::Postgres(store) => Arc::<PostgresStore>::clone(store),
        }
    }

    /// The snapshots.
    pub fn snapshots(&self) -> Arc<dyn SnapshotStore> {
        match &self.stored {
            Stored::Sqlite(store) => Arc::<SqliteStore>::clone(store),
            Stored::Postgres(store) => Arc::<PostgresStore>::clone(store),
        }
    }

    /// Finishes and closes.
    pub async fn close(&self) {
        match &self.stored {
            Stored::Sqlite(store) => store.close().await,
            Stored::Postgres(store) => store.close().await,
        }
    }
}
