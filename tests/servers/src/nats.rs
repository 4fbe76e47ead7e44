//! A NATS server of the tests' own.

use std::{
    fs,
    io::{self, Write},
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use tokio::{
    io::AsyncReadExt as _,
    net::TcpStream,
    time::{Instant, sleep, timeout},
};

/// Names the server's program, where it is not in `PATH`.
pub const SERVER: &str = "COUNTERSIGN_NATS_SERVER";

/// A server that takes longer than this to answer does not come.
const START_WITHIN: Duration = Duration::from_secs(20);

/// Waits for the end of its standard input, or for a word: so the server dies with the test, however that
/// ends. `keep` leaves the folder for a restart; `quit` lets the server stop by itself.
const KEEPER: &str = r#"
"$1" -c "$2/server.conf" >"$2/log" 2>&1 &
server=$!
read -r word
if [ "$word" = quit ]; then kill -TERM $server; else kill -KILL $server; fi
wait $server 2>/dev/null
[ "$word" = keep ] || [ "$word" = quit ] || rm -rf "$2"
"#;

static FOLDERS: AtomicU32 = AtomicU32::new(0);

/// A `nats-server` on a free port of loopback, with a folder of its own. It ends with the value, and with the
/// process, however that ends.
#[derive(Debug)]
pub struct NatsServer {
    program: PathBuf,
    folder: PathBuf,
    port: u16,
    running: Option<(Child, ChildStdin)>,
}

impl NatsServer {
    /// One with `JetStream`.
    pub async fn start() -> Self {
        Self::start_with("").await
    }

    /// One with `JetStream` and these lines in its configuration.
    pub async fn start_with(configuration: &str) -> Self {
        Self::start_from(|folder| format!("jetstream {{ store_dir: \"{}\" }}\n{configuration}", folder.display())).await
    }

    /// One without `JetStream`.
    pub async fn start_without_jetstream() -> Self {
        Self::start_from(|_| String::new()).await
    }

    #[expect(clippy::panic, reason = "a test without its server cannot go on")]
    async fn start_from(configuration: impl Fn(&Path) -> String) -> Self {
        let program = program();
        let mut said = String::new();
        // A port that was free a moment ago may be taken by another test.
        for _ in 0..5 {
            let number = FOLDERS.fetch_add(1, Ordering::Relaxed);
            let folder = std::env::temp_dir().join(format!("countersign-nats-{}-{number}", std::process::id()));
            let mut server = Self { program: program.clone(), folder, port: 0, running: None };
            if let Err(error) = server.prepare(&configuration(&server.folder)) {
                panic!("a folder for the NATS server cannot be made: {error}");
            }
            if server.run().await {
                return server;
            }
            said = fs::read_to_string(server.folder.join("log")).unwrap_or_default();
        }
        panic!("the NATS server {} does not start; it said: {said}", program.display());
    }

    fn prepare(&mut self, configuration: &str) -> io::Result<()> {
        self.port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        fs::create_dir_all(&self.folder)?;
        let listen = format!("listen: \"127.0.0.1:{}\"\n", self.port);
        fs::write(self.folder.join("server.conf"), listen + configuration)
    }

    #[expect(clippy::panic, reason = "a test without its server cannot go on")]
    async fn run(&mut self) -> bool {
        let started = Command::new("sh")
            .args(["-c", KEEPER, "sh"])
            .arg(&self.program)
            .arg(&self.folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let mut child = started.unwrap_or_else(|error| panic!("sh does not start: {error}"));
        self.running = child.stdin.take().map(|input| (child, input));
        let deadline = Instant::now() + START_WITHIN;
        while Instant::now() < deadline {
            if self.answers().await {
                return true;
            }
            if self.has_given_up() {
                return false;
            }
            sleep(Duration::from_millis(10)).await;
        }
        false
    }

    /// Whether the server gave up: on its configuration, or on a port that another has.
    fn has_given_up(&self) -> bool {
        let said = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        said.lines().any(|line| line.starts_with("nats-server:") || line.contains("[FTL]"))
    }

    async fn answers(&self) -> bool {
        let Ok(mut stream) = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).await else { return false };
        let mut greeting = [0; 5];
        let read = timeout(Duration::from_secs(1), stream.read_exact(&mut greeting)).await;
        matches!(read, Ok(Ok(_))) && greeting == *b"INFO "
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its folder, with its log and, below, what `JetStream` stores.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Kills it (`kill -9`). What it stored stays for [`Self::restart`].
    pub async fn stop(&mut self) {
        self.end("keep").await;
    }

    /// Stops it as an operator would. What it stored stays.
    pub async fn quit(&mut self) {
        self.end("quit").await;
    }

    /// Starts it again on the same port with what it stored; kills it first when it runs.
    #[expect(clippy::missing_panics_doc, reason = "a test without its server cannot go on")]
    pub async fn restart(&mut self) {
        self.stop().await;
        assert!(self.run().await, "the NATS server does not start again");
    }

    /// Takes away what a stopped server stored, as the loss of its disk would.
    pub fn lose_disk(&self) {
        let _ = fs::remove_dir_all(self.folder.join("jetstream"));
    }

    async fn end(&mut self, word: &'static str) {
        let Some((mut child, mut input)) = self.running.take() else { return };
        let ended = tokio::task::spawn_blocking(move || {
            let _ = writeln!(input, "{word}");
            let _ = child.wait();
        });
        let _ = ended.await;
    }
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        if let Some((mut child, input)) = self.running.take() {
            drop(input);
            let _ = child.wait();
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// The server's program: the one that is named, or the first in `PATH`.
#[expect(clippy::panic, reason = "a test without its server cannot go on")]
fn program() -> PathBuf {
    if let Some(named) = std::env::var_os(SERVER) {
        return named.into();
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|folder| folder.join("nats-server"))
        .find(|program| program.is_file())
        .unwrap_or_else(|| panic!("no nats-server in PATH or {SERVER}: `./check setup` installs it"))
}
