//! One process of the real binary.

use std::{
    io::{BufRead, BufReader, Read},
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, mpsc},
    thread,
};

use serde_json::Value;

use super::{DEADLINE, Settings};

/// What processes have logged and printed so far, each line with the process that wrote it.
#[derive(Debug, Clone, Default)]
pub struct Log(Arc<Mutex<Vec<(String, String)>>>);

impl Log {
    /// All lines.
    pub fn text(&self) -> String {
        let lines = self.0.lock().unwrap();
        lines.iter().map(|(_, line)| line.as_str()).collect::<Vec<_>>().join("\n")
    }

    /// The last lines, each with its process.
    pub fn last_words(&self, count: usize) -> String {
        let lines = self.0.lock().unwrap();
        let from = lines.len().saturating_sub(count);
        lines[from..].iter().map(|(process, line)| format!("{process}: {line}")).collect::<Vec<_>>().join("\n")
    }

    /// The processes that said so, in order.
    pub fn who_said(&self, words: &str) -> Vec<String> {
        let lines = self.0.lock().unwrap();
        lines.iter().filter(|(_, line)| line.contains(words)).map(|(process, _)| process.clone()).collect()
    }

    fn push(&self, process: &str, line: String) {
        self.0.lock().unwrap().push((process.to_owned(), line));
    }
}

/// A process that serves.
pub struct Process {
    /// What the log calls it.
    pub name: String,
    /// What it does; none: everything.
    pub roles: Option<String>,
    child: Child,
    started: mpsc::Receiver<Value>,
    log: Log,
    base: Option<String>,
    metrics: String,
}

impl Process {
    /// Starts one. It serves once [`Process::wait_until_it_serves`] returns.
    pub fn spawn(folder: &Path, settings: &Settings, roles: Option<String>, name: String, log: &Log) -> Self {
        let mut command = settings.command();
        command
            .arg("serve")
            .arg("--data")
            .arg(folder.join("data"))
            .args(["--listen", "127.0.0.1:0"])
            .env("COUNTERSIGN__METRICS_LISTEN", "127.0.0.1:0")
            .env("COUNTERSIGN__LOG__FORMAT", "json")
            .env("COUNTERSIGN__LOG__LEVEL", "debug")
            .env("COUNTERSIGN_TEST_CLOCK", folder.join("clock"))
            .envs(settings.variables())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if let Some(roles) = &roles {
            command.env("COUNTERSIGN__ROLES", roles);
        }
        let mut child = command.spawn().expect("the binary starts");
        let (told, started) = mpsc::channel();
        read(child.stderr.take().unwrap(), log.clone(), name.clone(), Some(told));
        read(child.stdout.take().unwrap(), log.clone(), name.clone(), None);
        Self { name, roles, child, started, log: log.clone(), base: None, metrics: String::new() }
    }

    /// Waits for the line that says where it serves.
    pub fn wait_until_it_serves(&mut self) {
        let Ok(entry) = self.started.recv_timeout(DEADLINE) else {
            self.kill();
            panic!("{:?} did not start:\n{}", self.roles, self.log.last_words(40));
        };
        let url = |field: &str| entry[field].as_str().map(str::to_owned);
        self.base = url("url");
        self.metrics = url("metrics_url").unwrap_or_default();
    }

    /// Where it answers HTTP, if it does.
    pub fn base(&self) -> Option<&str> {
        self.base.as_deref()
    }

    /// Where its metrics are.
    pub fn metrics(&self) -> &str {
        &self.metrics
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// The first polite signal, as `kill` sends it.
    pub fn ask_to_end(&self) {
        self.signal("-TERM");
    }

    /// Lets it stand still, or go on: `-STOP`, `-CONT`.
    pub fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.child.id().to_string()]).status().expect("kill runs");
        assert!(sent.success());
    }

    /// Waits for the end.
    pub fn wait(&mut self) -> ExitStatus {
        self.child.wait().expect("it ends")
    }
}

/// Reads what a process writes into the log, and passes on where it serves.
fn read(from: impl Read + Send + 'static, log: Log, process: String, told: Option<mpsc::Sender<Value>>) {
    thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            let entry = told.as_ref().and_then(|_| serde_json::from_str::<Value>(&line).ok());
            log.push(&process, line);
            if let (Some(told), Some(entry)) = (&told, entry)
                && entry["message"] == "serving"
            {
                let _ = told.send(entry);
            }
        }
    });
}
