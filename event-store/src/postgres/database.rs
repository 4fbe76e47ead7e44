//! The way to the database: a pool, and connections of one's own.

use std::{
    future::{Future, poll_fn},
    ops::Deref,
    path::PathBuf,
    pin::Pin,
    str::FromStr,
    sync::Arc,
    time::Duration,
};

use deadpool_postgres::{
    Connect, Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod, Runtime, TimeoutType, Timeouts,
};
use domain::secret::SecretText;
use tokio::{sync::mpsc, task::JoinHandle};
use tokio_postgres::{
    AsyncMessage, Client, Config, Notification, Row,
    config::{Host, SslMode, TargetSessionAttrs},
    types::ToSql,
};
use tokio_postgres_rustls::MakeRustlsConnect;
use tokio_util::sync::CancellationToken;

use super::{errors, tls};
use crate::port::LogError;

/// The oldest server that is served.
const OLDEST: u32 = 13;

/// How much longer than by the server a statement is waited for, at most.
const GRACE: Duration = Duration::from_secs(5);

/// Where the database is, and how long to wait for it.
#[derive(Debug, Clone)]
pub struct DatabaseOptions {
    /// `postgres://user@host:port/database?sslmode=require`. With `require` (or `verify-full`, the same here) the
    /// connection is encrypted; with `prefer`, the default, when the server offers it; with `disable` it is not.
    /// The certificate is verified in each case.
    pub url: SecretText,
    /// The password, when the url has none.
    pub password: Option<SecretText>,
    /// Authorities that the server's certificate may come from (PEM), in place of the system's.
    pub ca_file: Option<PathBuf>,
    /// Connections of the pool, at most. 16.
    pub pool_size: usize,
    /// How long to wait for a connection. 5 seconds.
    pub connect_timeout: Duration,
    /// How long to wait for a statement. 30 seconds.
    pub statement_timeout: Duration,
}

impl DatabaseOptions {
    /// The defaults, at this url.
    pub fn at(url: SecretText) -> Self {
        Self {
            url,
            password: None,
            ca_file: None,
            pool_size: 16,
            connect_timeout: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(30),
        }
    }

    fn config(&self) -> Result<Config, LogError> {
        // What libpq calls `verify-full` is what `require` means here.
        let url = self.url.expose().replace("sslmode=verify-full", "sslmode=require");
        let refused = |error: tokio_postgres::Error| {
            let cause = std::error::Error::source(&error).map(|cause| format!(" ({cause})")).unwrap_or_default();
            LogError::Unavailable(format!("postgres.url cannot be understood{cause}: postgres://user@host/database"))
        };
        let mut config = Config::from_str(&url).map_err(refused)?;
        if let Some(password) = &self.password {
            config.password(password.expose());
        }
        if config.get_target_session_attrs() == TargetSessionAttrs::Any {
            // Of several hosts, and after a fail-over, the one that takes writes.
            config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        }
        if config.get_application_name().is_none() {
            config.application_name("countersign");
        }
        config.connect_timeout(self.connect_timeout);
        config.tcp_user_timeout(self.statement_timeout);
        config.keepalives_idle(Duration::from_secs(30));
        Ok(config)
    }
}

/// A database that was reached: one per process, shared by everything that stands in it.
pub struct Database {
    pool: Pool,
    opener: Opener,
}

impl Database {
    /// Reaches it. A server that cannot be reached, refuses us or is too old is one clear line.
    pub async fn connect(options: &DatabaseOptions) -> Result<Arc<Self>, LogError> {
        let config = options.config()?;
        let tls = tls::connector(options.ca_file.as_deref(), config.get_ssl_mode() != SslMode::Disable)?;
        let opener = Opener {
            place: place(&config),
            config: config.clone(),
            tls,
            connect_timeout: options.connect_timeout,
            statement_timeout: options.statement_timeout,
        };
        drop(opener.dedicated().await?);
        let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let manager = Manager::from_connect(config, opener.clone(), recycling);
        let timeouts = Timeouts {
            wait: Some(options.statement_timeout),
            create: Some(options.connect_timeout),
            recycle: Some(options.connect_timeout),
        };
        let pool = Pool::builder(manager)
            .max_size(options.pool_size.max(2))
            .timeouts(timeouts)
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(|error| LogError::Unavailable(format!("{}: {error}", opener.place)))?;
        Ok(Arc::new(Self { pool, opener }))
    }

    /// A connection of the pool, for a few statements. It may be given up on at any time: a transaction that was
    /// not committed is rolled back.
    pub async fn client(&self) -> Result<Object, LogError> {
        self.pool.get().await.map_err(|error| {
            let what = match error {
                PoolError::Backend(error) => return self.describe(&error),
                PoolError::Timeout(TimeoutType::Wait) => "every connection is taken: raise postgres.pool_size",
                PoolError::Timeout(_) => "no answer within postgres.connect_timeout",
                PoolError::Closed => "closed",
                PoolError::NoRuntimeSpecified | PoolError::PostCreateHook(_) => "cannot be connected to",
            };
            LogError::Unavailable(format!("{}: {what}", self.opener.place))
        })
    }

    /// A connection of one's own, for what holds one for long: `LISTEN`, advisory locks, the log's writer.
    pub async fn dedicated(&self) -> Result<Dedicated, LogError> {
        self.opener.dedicated().await
    }

    /// Waits for a statement a little longer than the server should need to end it.
    pub async fn timed<T>(&self, work: impl Future<Output = Result<T, tokio_postgres::Error>>) -> Result<T, LogError> {
        match tokio::time::timeout(self.patience(), work).await {
            Ok(result) => result.map_err(|error| self.describe(&error)),
            Err(_) => Err(self.late()),
        }
    }

    /// An error of the driver as one line that names this server.
    pub fn describe(&self, error: &tokio_postgres::Error) -> LogError {
        errors::at(&self.opener.place, error)
    }

    /// A statement that may be carried out twice without harm: when the connection is lost, it is tried once more
    /// on another one (after a restart of the server the pool is full of lost ones).
    pub(super) async fn repeatable(
        &self,
        statement: &str,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, LogError> {
        let once = || async {
            let client = self.client().await.map_err(Once::Failed)?;
            let work = async {
                let statement = client.prepare_cached(statement).await?;
                client.query(&statement, params).await
            };
            let result = tokio::time::timeout(self.patience(), work).await;
            match result {
                Ok(Ok(rows)) => Ok(rows),
                Ok(Err(error)) if client.is_closed() => Err(Once::Lost(self.describe(&error))),
                Ok(Err(error)) => Err(Once::Failed(self.describe(&error))),
                Err(_) => {
                    // What does not answer goes back to no pool.
                    drop(Object::take(client));
                    Err(Once::Failed(self.late()))
                }
            }
        };
        match once().await {
            Err(Once::Lost(_)) => once().await.map_err(Once::into_error),
            done => done.map_err(Once::into_error),
        }
    }

    pub(super) fn patience(&self) -> Duration {
        self.opener.statement_timeout + GRACE.min(self.opener.statement_timeout)
    }

    /// How long a statement may wait for a lock: less than it may take.
    pub(super) fn lock_timeout(&self) -> Duration {
        self.opener.statement_timeout / 2
    }

    /// What to say when nothing comes back.
    pub(super) fn late(&self) -> LogError {
        errors::late(&self.opener.place, self.patience())
    }

    /// Closes the pool. What is in use ends with its user.
    pub fn close(&self) {
        self.pool.close();
    }

    pub(super) fn unreadable(&self, what: &str) -> LogError {
        LogError::Unreadable(format!("{}: {what}", self.opener.place))
    }
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Database").field("place", &self.opener.place).finish_non_exhaustive()
    }
}

/// Why a statement was not carried out.
enum Once {
    /// The connection was lost, maybe long ago.
    Lost(LogError),
    Failed(LogError),
}

impl Once {
    fn into_error(self) -> LogError {
        match self {
            Self::Lost(error) | Self::Failed(error) => error,
        }
    }
}

/// A connection outside the pool. It ends when this is dropped.
pub struct Dedicated {
    client: Client,
    notifications: mpsc::Receiver<Notification>,
    ended: CancellationToken,
    task: JoinHandle<()>,
}

impl Dedicated {
    /// Waits until the connection is lost.
    pub async fn lost(&self) {
        self.ended.cancelled().await;
    }

    /// The next notification of a channel that this connection listens to; `None` when the connection is lost.
    /// They are wake-ups: when many come at once, some are dropped.
    pub async fn notified(&mut self) -> Option<Notification> {
        self.notifications.recv().await
    }

    /// Takes a notification that is there already.
    pub fn already_notified(&mut self) -> Option<Notification> {
        self.notifications.try_recv().ok()
    }
}

impl Deref for Dedicated {
    type Target = Client;
    fn deref(&self) -> &Client {
        &self.client
    }
}

impl std::ops::DerefMut for Dedicated {
    fn deref_mut(&mut self) -> &mut Client {
        &mut self.client
    }
}

impl Drop for Dedicated {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl std::fmt::Debug for Dedicated {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dedicated").field("is_lost", &self.ended.is_cancelled()).finish_non_exhaustive()
    }
}

/// What the sessions of the pool are told: they ask for few rows of tables that may grow a thousandfold while the
/// plan of a statement stands. One that was made for a small table must not read the whole of it later.
const POOLED: &str = "SET enable_seqscan = off; SET jit = off";

/// Opens connections; the pool's too.
#[derive(Clone)]
struct Opener {
    place: String,
    config: Config,
    tls: MakeRustlsConnect,
    connect_timeout: Duration,
    statement_timeout: Duration,
}

impl Opener {
    async fn dedicated(&self) -> Result<Dedicated, LogError> {
        match tokio::time::timeout(self.connect_timeout, self.open()).await {
            Ok(Ok((connection, version))) => {
                let major = version.split(['.', ' ']).next().and_then(|major| major.parse().ok()).unwrap_or(0_u32);
                // Its beta versions are `17beta1`: those are taken as they come.
                if (1..OLDEST).contains(&major) {
                    return Err(LogError::Unavailable(format!(
                        "{}: version {version} is too old: Countersign needs PostgreSQL {OLDEST} or newer",
                        self.place
                    )));
                }
                tokio::time::timeout(self.connect_timeout, self.prepare(&connection.client, ""))
                    .await
                    .map_err(|_| errors::late(&self.place, self.connect_timeout))?
                    .map_err(|error| errors::at(&self.place, &error))?;
                Ok(connection)
            }
            Ok(Err(error)) => Err(errors::at(&self.place, &error)),
            Err(_) => Err(errors::late(&self.place, self.connect_timeout)),
        }
    }

    /// A connection, and the version that the server says it has.
    async fn open(&self) -> Result<(Dedicated, String), tokio_postgres::Error> {
        let (client, mut connection) = self.config.connect(self.tls.clone()).await?;
        let version = connection.parameter("server_version").unwrap_or_default().to_owned();
        let (notify, notifications) = mpsc::channel(64);
        let ended = CancellationToken::new();
        let ends = ended.clone().drop_guard();
        let task = tokio::spawn(async move {
            let _ends = ends;
            loop {
                match poll_fn(|context| connection.poll_message(context)).await {
                    // Full is enough: whoever listens wakes up anyway.
                    Some(Ok(AsyncMessage::Notification(told))) => drop(notify.try_send(told)),
                    Some(Ok(_)) => {}
                    Some(Err(error)) => {
                        tracing::debug!(%error, "a connection to the database ended");
                        return;
                    }
                    None => return,
                }
            }
        });
        Ok((Dedicated { client, notifications, ended, task }, version))
    }

    /// What every session says first, and this one besides, in one message. A server on which commits do not wait for
    /// the disk is told to wait.
    async fn prepare(&self, client: &Client, besides: &str) -> Result<(), tokio_postgres::Error> {
        let settings = format!(
            "SET statement_timeout = {}; SET idle_in_transaction_session_timeout = {}; SET client_min_messages = warning; \
             SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'; \
             {besides}",
            self.statement_timeout.as_millis(),
            (self.statement_timeout * 2).as_millis(),
        );
        client.batch_execute(&settings).await
    }
}

impl Connect for Opener {
    fn connect(
        &self,
        _config: &Config,
    ) -> Pin<Box<dyn Future<Output = Result<(Client, JoinHandle<()>), tokio_postgres::Error>> + Send + '_>> {
        Box::pin(async move {
            let (client, connection) = self.config.connect(self.tls.clone()).await?;
            let task = tokio::spawn(async move {
                if let Err(error) = connection.await {
                    tracing::debug!(%error, "a connection to the database ended");
                }
            });
            match self.prepare(&client, POOLED).await {
                Ok(()) => Ok((client, task)),
                Err(error) => {
                    task.abort();
                    Err(error)
                }
            }
        })
    }
}

/// How messages call the server.
fn place(config: &Config) -> String {
    let host = match config.get_hosts().first() {
        Some(Host::Tcp(host)) => host.clone(),
        #[cfg(unix)]
        Some(Host::Unix(path)) => path.display().to_string(),
        None => config.get_hostaddrs().first().map(ToString::to_string).unwrap_or_default(),
    };
    format!("PostgreSQL at {host}:{}", config.get_ports().first().unwrap_or(&5432))
}

/// The server counts in signed numbers; ours stay far below the difference.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
