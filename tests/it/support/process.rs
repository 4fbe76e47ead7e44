//! The binary as a child process.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, atomic::AtomicU64, mpsc},
    thread,
    time::{SystemTime, UNIX_EPOCH},
};

use serde_json::Value;
use tempfile::TempDir;

use super::{Client, DEADLINE, USER_AGENT, leaks, leaks::Secrets};

/// The binary, with a clean environment.
pub fn binary() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("COUNTERSIGN")) {
        command.env_remove(name);
    }
    command
}

/// Settings of one server, as environment variables after the prefix.
#[derive(Debug, Clone, Default)]
pub struct Settings(BTreeMap<String, String>);

impl Settings {
    /// One more setting: `("policy.code_lives", "300")`.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.0.insert(format!("COUNTERSIGN__{}", name.replace('.', "__").to_ascii_uppercase()), value.to_owned());
        self
    }
}

/// A running server.
pub struct Server {
    child: Child,
    base: String,
    metrics: String,
    folder: Arc<TempDir>,
    settings: Settings,
    log: Arc<Mutex<Vec<String>>>,
    position: Arc<AtomicU64>,
    secrets: Arc<Secrets>,
}

impl Server {
    /// A server on an empty data folder.
    pub fn start() -> Self {
        Self::start_with(Settings::default())
    }

    /// The same with other settings.
    pub fn start_with(settings: Settings) -> Self {
        let folder = Arc::new(tempfile::tempdir().expect("a folder can be made"));
        std::fs::write(folder.path().join("clock"), "0").unwrap();
        Self::launch(folder, settings, Arc::default(), Arc::default())
    }

    fn launch(folder: Arc<TempDir>, settings: Settings, log: Arc<Mutex<Vec<String>>>, secrets: Arc<Secrets>) -> Self {
        let mut command = binary();
        command
            .arg("serve")
            .arg("--data")
            .arg(folder.path().join("data"))
            .args(["--listen", "127.0.0.1:0"])
            .env("COUNTERSIGN__METRICS_LISTEN", "127.0.0.1:0")
            .env("COUNTERSIGN__LOG__FORMAT", "json")
            .env("COUNTERSIGN__LOG__LEVEL", "debug")
            .env("COUNTERSIGN_TEST_CLOCK", folder.path().join("clock"))
            .envs(&settings.0)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary starts");
        let (told, started) = mpsc::channel();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let lines = Arc::clone(&log);
        thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                if let Ok(entry) = serde_json::from_str::<Value>(&line)
                    && entry["message"] == "serving"
                {
                    let _ = told.send(entry);
                }
                lines.lock().unwrap().push(line);
            }
        });
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let lines = Arc::clone(&log);
        thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                lines.lock().unwrap().push(line);
            }
        });
        let Ok(entry) = started.recv_timeout(DEADLINE) else {
            let _ = child.kill();
            panic!("the server did not start:\n{}", log.lock().unwrap().join("\n"));
        };
        let url = |field: &str| entry[field].as_str().unwrap_or_default().to_owned();
        Self {
            child,
            base: url("url"),
            metrics: url("metrics_url"),
            folder,
            settings,
            log,
            position: Arc::default(),
            secrets,
        }
    }

    /// Stops it as `kill -9` does and starts another one on the same data.
    #[must_use]
    pub fn kill_and_restart(self) -> Self {
        let settings = self.settings.clone();
        self.kill_and_restart_with(settings)
    }

    /// The same with other settings.
    #[must_use]
    pub fn kill_and_restart_with(mut self, settings: Settings) -> Self {
        self.kill();
        Self::launch(Arc::clone(&self.folder), settings, Arc::clone(&self.log), Arc::clone(&self.secrets))
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// The first polite signal, as `kill` sends it; waits for the end.
    pub fn terminate(&mut self) -> std::process::ExitStatus {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").arg(id).status().expect("kill runs");
        assert!(sent.success());
        self.child.wait().expect("it ends")
    }

    /// A client without a credential.
    pub fn client(&self) -> Client {
        Client::new(self.base.clone(), Arc::clone(&self.position), Arc::clone(&self.secrets))
    }

    /// A client with a fresh API key of these scopes.
    pub fn client_with(&self, scopes: &str) -> Client {
        self.client().with(&self.api_key(scopes))
    }

    /// A fresh API key, made beside the running server.
    pub fn api_key(&self, scopes: &str) -> String {
        let output = self.command(&["keys", "create", "--name", "test", "--scopes", scopes]);
        output.trim().to_owned()
    }

    /// Runs an administrative command beside the server; its standard output.
    pub fn command(&self, arguments: &[&str]) -> String {
        let (ok, stdout, stderr) = self.try_command(arguments);
        assert!(ok, "{arguments:?} failed: {stderr}{stdout}");
        stdout
    }

    /// Runs an administrative command: whether it went well, standard output, standard error.
    pub fn try_command(&self, arguments: &[&str]) -> (bool, String, String) {
        let output = binary()
            .args(arguments)
            .arg("--data")
            .arg(self.data())
            .env("COUNTERSIGN_TEST_CLOCK", self.folder.path().join("clock"))
            .envs(&self.settings.0)
            .output()
            .expect("the binary starts");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
        (output.status.success(), text(output.stdout), text(output.stderr))
    }

    /// Moves the clock of the server and of every command beside it.
    pub fn advance(&self, seconds: i64) {
        let clock = self.folder.path().join("clock");
        let moved = self.offset() + seconds;
        let next = self.folder.path().join("clock.next");
        std::fs::write(&next, moved.to_string()).unwrap();
        std::fs::rename(next, clock).unwrap();
    }

    fn offset(&self) -> i64 {
        std::fs::read_to_string(self.folder.path().join("clock")).unwrap().trim().parse().unwrap()
    }

    /// The moved time, in seconds since 1970.
    #[expect(clippy::disallowed_methods, reason = "the test's own clock, beside the one it moves")]
    pub fn now(&self) -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        since.checked_add_signed(self.offset()).unwrap()
    }

    /// The code that an app shows now; the clock is moved first, so that no step is used twice.
    pub fn fresh_totp(&self, secret: &str) -> String {
        self.advance(30);
        super::totp_at(secret, self.now())
    }

    /// Where the server keeps its data.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// A file beside the data.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Its address.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Everything it has logged or printed so far, over restarts.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().join("\n")
    }

    /// One more value that no file may hold.
    pub fn remember(&self, value: &str) {
        self.secrets.remember(value);
    }

    /// Its metrics.
    pub async fn metrics(&self) -> String {
        reqwest::get(&self.metrics).await.expect("metrics answer").text().await.expect("text")
    }
}

impl Server {
    /// Ends the test: no secret, code, address, number or free text that it used stands in a file of the
    /// data folder, in the log or in the metrics.
    pub async fn leaves_nothing_behind(mut self) {
        let metrics = self.metrics().await;
        assert!(self.terminate().success(), "it stops politely");
        self.secrets.remember(USER_AGENT);
        assert!(self.secrets.count() > 1, "the test used secrets");
        let findings = leaks::find(&self.secrets, &self.data(), &self.log(), &metrics);
        assert!(findings.is_empty(), "{}", findings.join("\n"));
    }
}

#[expect(clippy::print_stderr, reason = "the test runner shows it with the failure")]
impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
        if thread::panicking() {
            // The reader of a failed test wants to know what the server thought of it.
            let log = self.log.lock().unwrap();
            let from = log.len().saturating_sub(40);
            eprintln!("--- the server's last words\n{}\n---", log[from..].join("\n"));
        }
    }
}
