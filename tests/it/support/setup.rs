//! What a server runs on: files, a database, or a database and a broker with every role a process of its own.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use servers::nats::NatsServer;
use servers::postgres::{self, TestDatabase};
use tokio::sync::Mutex;

use super::{MailCatcher, Server, Settings};

/// The roles, each a process of its own in a cluster.
pub const ROLES: [&str; 6] = ["api", "projections", "relay", "sms", "email", "notices"];

/// One of the shapes that Countersign runs in. The same test over another one is the same test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setup {
    /// The embedded default: one process, files in a folder.
    Sqlite,
    /// One process over PostgreSQL.
    Postgres,
    /// PostgreSQL and NATS, every role a process of its own.
    Cluster,
}

impl Setup {
    /// A server on nothing yet.
    pub async fn server(self) -> Server {
        self.server_with(Settings::default()).await
    }

    /// The same with other settings.
    pub async fn server_with(self, settings: Settings) -> Server {
        Server::launch_on(self.engines().await, settings)
    }

    /// The servers below it.
    pub async fn engines(self) -> Engines {
        match self {
            Self::Sqlite => Engines::default(),
            Self::Postgres => Engines { database: Some(Arc::new(TestDatabase::fresh().await)), ..Engines::default() },
            Self::Cluster => Engines {
                database: Some(Arc::new(TestDatabase::fresh().await)),
                broker: Some(Arc::new(Broker::start_with("").await)),
                ..Engines::default()
            },
        }
    }
}

/// The servers below a server. They go with the last who holds them.
#[derive(Debug, Clone, Default)]
pub struct Engines {
    /// Its database.
    pub database: Option<Arc<TestDatabase>>,
    /// Its broker.
    pub broker: Option<Arc<Broker>>,
    /// Its mail server; without one mails go to the development inbox.
    pub mail: Option<MailCatcher>,
}

/// A broker of its own.
#[derive(Debug)]
pub struct Broker {
    /// The server, to be stopped and started.
    pub server: Mutex<NatsServer>,
    /// Where it is.
    pub url: String,
    folder: PathBuf,
}

impl Broker {
    /// One with these lines in its configuration.
    pub async fn start_with(configuration: &str) -> Self {
        let server = NatsServer::start_with(configuration).await;
        Self { url: server.url(), folder: server.folder().to_owned(), server: Mutex::new(server) }
    }
}

impl Engines {
    /// What each process does; none: everything.
    pub fn processes(&self, roles: Option<&str>) -> Vec<Option<String>> {
        if self.broker.is_none() {
            return vec![roles.map(str::to_owned)];
        }
        let roles = roles.map_or_else(|| ROLES.to_vec(), |roles| roles.split(',').chain(["relay"]).collect());
        roles.into_iter().map(|role| Some(role.to_owned())).collect()
    }

    /// The settings that lead there, where a test does not say otherwise.
    pub fn settings(&self, folder: &Path, settings: Settings) -> Settings {
        let Some(database) = &self.database else { return settings };
        let ring = folder.join("keyring.toml");
        vault::KeyRing::load_or_create(&ring, &runtime::Runtime::system().unwrap()).expect("a key ring");
        let mut own = Settings::default()
            .with("event_log", "postgres")
            .with("postgres.url", database.url())
            .with("postgres.pool_size", "6")
            .with("key_ring_file", ring.to_str().expect("a path"));
        if let Some(broker) = &self.broker {
            own = own.with("nats.url", &broker.url);
        }
        settings.or(own)
    }

    /// Secrets of the servers, which are nobody else's business either.
    pub fn passwords(&self) -> Vec<String> {
        let url = self.database.iter().map(|database| database.url().to_owned());
        url.filter_map(|url| Some(url.split_once("://")?.1.split_once('@')?.0.split_once(':')?.1.to_owned())).collect()
    }

    /// Everything they keep, each with its name: for a search of what should not be there.
    pub fn contents(&self) -> Vec<(String, Vec<u8>)> {
        let mut contents = Vec::new();
        if let Some(database) = &self.database {
            let dump = Command::new(postgres::program("pg_dump"))
                .args(["--data-only", "--inserts", "--no-owner", "--dbname", database.url()])
                .output()
                .expect("pg_dump runs");
            assert!(dump.status.success(), "{}", String::from_utf8_lossy(&dump.stderr));
            contents.push(("the database".to_owned(), data_of(&dump.stdout)));
        }
        if let Some(broker) = &self.broker {
            let mut stored = files(&broker.folder);
            // The test's own words.
            stored.retain(|(name, _)| !name.ends_with("/server.conf"));
            assert!(
                stored.iter().any(|(name, bytes)| name.contains("/msgs/") && !bytes.is_empty()),
                "JetStream stores"
            );
            contents.extend(stored);
        }
        contents
    }
}

/// A dump without the lines that are other ones each time: a fresh word, against commands hidden in the data.
fn data_of(dump: &[u8]) -> Vec<u8> {
    let is_data = |line: &&[u8]| !line.starts_with(b"\\restrict ") && !line.starts_with(b"\\unrestrict ");
    dump.split_inclusive(|byte| *byte == b'\n').filter(is_data).flatten().copied().collect()
}

/// Every file below a folder with its bytes.
pub fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if let Ok(bytes) = fs::read(&path) {
                files.push((path.display().to_string(), bytes));
            }
        }
    }
    files
}

/// Makes of every named story a test over each set-up: `journeys::sign_in::cluster::…`. A story that is not named
/// is never run, and the compiler says so.
macro_rules! over_every_setup {
    ($($story:ident),+ $(,)?) => {
        crate::support::over_both_logs![$($story),+];
        crate::support::over_setup! { cluster Cluster: $($story),+ }
    };
}

/// The same over files and over a database: for what knows of no broker.
macro_rules! over_both_logs {
    ($($story:ident),+ $(,)?) => {
        crate::support::over_setup! { sqlite Sqlite: $($story),+ }
        crate::support::over_setup! { postgres Postgres: $($story),+ }
    };
}

/// The tests over one set-up, in a module of its name.
macro_rules! over_setup {
    ($module:ident $setup:ident: $($story:ident),+) => {
        mod $module {
            // On several threads: where a story waits for a process to start again, its load goes on.
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $story() { super::$story(crate::support::Setup::$setup).await })+
        }
    };
}
pub(crate) use {over_both_logs, over_every_setup, over_setup};
