//! Servers of `PostgreSQL` that belong to a test, and databases on them.
//!
//! A server that a test starts ends with the test's process, however that ends, and leaves no file: a shell
//! waits for the end of its standard input, which is the end of the process, and cleans up.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "a test without its server cannot go on"
)]

use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use domain::secret::{SecretText, to_hex};
use tokio::sync::OnceCell;
use tokio_postgres::{Config, NoTls, config::Host};

use event_store::postgres::DatabaseOptions;

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Names a server that is there already, by the url of a superuser.
const SERVER: &str = "COUNTERSIGN_TEST_POSTGRES";

/// What the shell does when the test's process has ended. `$1` is the server's directory.
const JANITOR: &str = r#"
cat >/dev/null
pid=$(head -n 1 "$1/data/postmaster.pid" 2>/dev/null)
if [ -n "$pid" ]; then
    kill -QUIT "$pid" 2>/dev/null
    n=0
    while kill -0 "$pid" 2>/dev/null && [ "$n" -lt 100 ]; do n=$((n + 1)); sleep 0.05; done
    kill -KILL "$pid" 2>/dev/null
fi
rm -rf "$1"
"#;

/// A server of its own, with a data directory of its own, on a free port of the loopback.
pub struct PostgresServer {
    directory: PathBuf,
    password: String,
    port: u16,
    settings: Vec<String>,
    process: Mutex<Option<Child>>,
    janitor: Child,
}

impl PostgresServer {
    /// Starts one whose commits are durable.
    pub async fn start() -> Self {
        Self::with(&[]).await
    }

    /// Starts one that does not wait for the disk: for tests that stop no machine.
    pub async fn quick() -> Self {
        Self::with(&["fsync=off", "full_page_writes=off"]).await
    }

    /// Starts one with further settings.
    pub async fn with(settings: &[&str]) -> Self {
        let directory = tempfile::Builder::new().prefix("countersign-pg-").tempdir().unwrap().keep();
        if is_root() {
            // The server refuses to run as root: the directory goes to the user that it runs as.
            run(Command::new("chown").arg("postgres:").arg(&directory));
        }
        let janitor = own_group(Command::new("sh").args(["-c", JANITOR, "janitor"]).arg(&directory))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("a shell");
        let password = to_hex(&*runtime::Runtime::system().unwrap().random_bytes::<16>().unwrap());
        let password_file = directory.join("password");
        std::fs::write(&password_file, &password).unwrap();
        if is_root() {
            run(Command::new("chown").arg("postgres:").arg(&password_file));
        }
        let mut initdb = as_server("initdb");
        initdb
            .args(["--username=postgres", "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync"])
            .arg("--pwfile")
            .arg(&password_file)
            .arg("--pgdata")
            .arg(directory.join("data"));
        let made = tokio::task::spawn_blocking(move || run(&mut initdb)).await;
        made.expect("a data directory");
        std::fs::remove_file(&password_file).unwrap();
        let settings = settings.iter().map(ToString::to_string).collect();
        let mut server = Self { directory, password, port: 0, settings, process: Mutex::new(None), janitor };
        // Another process may be quicker to take the free port.
        for _ in 0..5 {
            server.port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            if server.run_again().await {
                return server;
            }
        }
        panic!("the server does not start: {}", server.log());
    }

    /// Its port on the loopback.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The url of its superuser, with the password.
    pub fn url(&self) -> String {
        format!("postgres://postgres:{}@127.0.0.1:{}/postgres?sslmode=disable", self.password, self.port)
    }

    /// The process of the server, while it runs.
    pub fn pid(&self) -> Option<u32> {
        locked(&self.process).as_ref().map(Child::id)
    }

    /// Its data directory.
    pub fn data(&self) -> PathBuf {
        self.directory.join("data")
    }

    /// Puts a file into its data directory, for it alone.
    pub fn write(&self, name: &str, content: &[u8]) {
        let path = self.data().join(name);
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        if is_root() {
            run(Command::new("chown").arg("postgres:").arg(&path));
        }
    }

    /// What it wrote into its log.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.directory.join("log")).unwrap_or_default()
    }

    /// Stops it as an operator would: open transactions are rolled back, connections end.
    pub async fn stop(&self) {
        self.end("-INT").await;
    }

    /// Kills it, as the loss of power would.
    pub async fn kill(&self) {
        self.end("-KILL").await;
    }

    /// Starts it again after [`PostgresServer::stop`] or [`PostgresServer::kill`], on the same port.
    pub async fn restart(&self) {
        // After a kill its other processes end a moment later, and hold the memory that it wants until then.
        for _ in 0..100 {
            if self.run_again().await {
                return;
            }
        }
        panic!("the server does not start again: {}", self.log());
    }

    /// Lets it stand still (`true`), or go on: a server that neither answers nor closes.
    pub fn freeze(&self, stands: bool) {
        // The processes of its connections are of its group.
        let pid = self.pid().expect("a running server");
        let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        let signal = if stands { "-STOP" } else { "-CONT" };
        for process in children.split_whitespace().chain([pid.to_string().as_str()]) {
            drop(Command::new("kill").args([signal, process]).stderr(Stdio::null()).status());
        }
    }

    /// A new, empty database on it.
    pub async fn database(self: &Arc<Self>) -> TestDatabase {
        TestDatabase::on(self.url(), Some(Arc::clone(self))).await
    }

    async fn end(&self, signal: &str) {
        let Some(mut process) = locked(&self.process).take() else { return };
        run(Command::new("kill").args([signal, &process.id().to_string()]));
        tokio::task::spawn_blocking(move || process.wait()).await.unwrap().unwrap();
    }

    async fn run_again(&self) -> bool {
        let log = std::fs::OpenOptions::new().append(true).create(true).open(self.directory.join("log")).unwrap();
        let mut server = as_server("postgres");
        server
            .arg("-D")
            .arg(self.data())
            .args(["-p", &self.port.to_string(), "-c", "listen_addresses=127.0.0.1"])
            .args(["-c", "unix_socket_directories=", "-c", "max_connections=400", "-c", "logging_collector=off"]);
        for setting in &self.settings {
            server.args(["-c", setting]);
        }
        let server = own_group(&mut server).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let mut process = server.spawn().expect("a server");
        let url = self.url();
        let answers = async {
            loop {
                if tokio_postgres::connect(&url, NoTls).await.is_ok() {
                    return true;
                }
                if process.try_wait().unwrap().is_some() {
                    return false;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let runs = tokio::time::timeout(Duration::from_mins(1), answers).await.unwrap_or(false);
        // One that ended left nothing to stop.
        *locked(&self.process) = runs.then_some(process);
        runs
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        // The end of its input is the janitor's sign; it needs nobody to wait for it.
        self.janitor.stdin.take();
    }
}

impl std::fmt::Debug for PostgresServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostgresServer").field("port", &self.port).finish_non_exhaustive()
    }
}

/// A database that goes when it is dropped.
pub struct TestDatabase {
    name: String,
    url: String,
    /// How to get rid of it.
    server_url: String,
    _server: Option<Arc<PostgresServer>>,
}

impl TestDatabase {
    /// A new, empty one on the shared server of the tests: the one of `COUNTERSIGN_TEST_POSTGRES`, or one that
    /// this process starts for all its tests.
    pub async fn fresh() -> Self {
        static SHARED: OnceCell<Arc<PostgresServer>> = OnceCell::const_new();
        if let Ok(url) = std::env::var(SERVER) {
            return Self::on(url, None).await;
        }
        let server = SHARED.get_or_init(|| async { Arc::new(PostgresServer::quick().await) }).await;
        Self::on(server.url(), Some(Arc::clone(server))).await
    }

    async fn on(server_url: String, server: Option<Arc<PostgresServer>>) -> Self {
        let name = format!("test_{}", to_hex(&*runtime::Runtime::system().unwrap().random_bytes::<8>().unwrap()));
        administer(&server_url, &format!("CREATE DATABASE {name}")).await.expect("a database");
        let url = with_database(&server_url, &name);
        Self { name, url, server_url, _server: server }
    }

    /// How to reach it.
    pub fn options(&self) -> DatabaseOptions {
        DatabaseOptions::at(SecretText::new(self.url.clone()))
    }

    /// Its url, with the password.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A plain connection to it, as another program would have one.
    pub async fn client(&self) -> tokio_postgres::Client {
        let (client, connection) = tokio_postgres::connect(&self.url, NoTls).await.expect("a connection");
        drop(tokio::spawn(connection));
        client
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let (url, statement) = (self.server_url.clone(), format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name));
        // A thread of its own, for a runtime cannot be blocked from within. A server that is gone took it along.
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let dropped = async { tokio::time::timeout(Duration::from_secs(10), administer(&url, &statement)).await };
            drop(runtime.block_on(dropped));
        });
        drop(dropping.join());
    }
}

impl std::fmt::Debug for TestDatabase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TestDatabase").field("name", &self.name).finish_non_exhaustive()
    }
}

async fn administer(url: &str, statement: &str) -> Result<(), tokio_postgres::Error> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    let connection = tokio::spawn(connection);
    let done = client.batch_execute(statement).await;
    connection.abort();
    done
}

/// The same server, user and password, another database.
fn with_database(url: &str, name: &str) -> String {
    let config: Config = url.parse().expect("COUNTERSIGN_TEST_POSTGRES is a url");
    let Some(Host::Tcp(host)) = config.get_hosts().first() else { panic!("COUNTERSIGN_TEST_POSTGRES names no host") };
    let port = config.get_ports().first().copied().unwrap_or(5432);
    let user = config.get_user().unwrap_or("postgres");
    let password = config.get_password().map(String::from_utf8_lossy).unwrap_or_default();
    assert!(password.chars().all(|c| c.is_ascii_alphanumeric()), "the password of COUNTERSIGN_TEST_POSTGRES is plain");
    format!("postgres://{user}:{password}@{host}:{port}/{name}?sslmode=disable")
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|me| std::os::unix::fs::MetadataExt::uid(&me) == 0)
}

/// A program of the server, as the user that it runs as.
fn as_server(name: &str) -> Command {
    let program = program(name);
    let mut command = if is_root() {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=postgres", "--regid=postgres", "--init-groups", "--"]).arg(program);
        command
    } else {
        Command::new(program)
    };
    // Where we stand may be closed to that user.
    command.current_dir("/");
    command
}

/// Where a program of the server is: in `PATH`, or where Debian keeps it.
pub fn program(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut versions: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .map(|version| version.path().join("bin"))
        .collect();
    // The newest first.
    versions.sort();
    versions.reverse();
    // Debian's wrappers in PATH are no servers: `initdb` and `postgres` are not among them.
    std::env::split_paths(&path)
        .chain(versions)
        .map(|folder| folder.join(name))
        .find(|program: &PathBuf| is_file(program))
        .unwrap_or_else(|| panic!("PostgreSQL ({name}) is not installed: `./check setup` installs it"))
}

fn is_file(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|found| found.is_file())
}

/// A process of its own group: what is typed at the terminal does not reach it before its time.
fn own_group(command: &mut Command) -> &mut Command {
    std::os::unix::process::CommandExt::process_group(command, 0)
}

fn run(command: &mut Command) {
    let done = command.stdin(Stdio::null()).output().expect("a program that is installed");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}
