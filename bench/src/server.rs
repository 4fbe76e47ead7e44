//! The server that is measured, as a child process.

use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use serde_json::Value;

use crate::{
    Failure, now,
    place::{PATIENCE, Place},
};

/// A running server.
pub struct Server {
    child: Child,
    binary: PathBuf,
    arguments: Vec<String>,
    environment: Vec<(&'static str, String)>,
    /// Its address.
    pub address: SocketAddr,
    /// How long it took from the start of the process to the line that says where it serves.
    pub took: Duration,
}

impl Server {
    /// Starts it on a place. Limits that count sources are raised: the load comes from one.
    pub fn start(binary: &Path, place: &Place) -> Result<Self, Failure> {
        let generous = "{ count = 100000000, window = 3600 }";
        Self::start_with(
            binary,
            place,
            &[
                ("COUNTERSIGN__POLICY__LIMITS__REGISTRATIONS_PER_SOURCE", generous),
                ("COUNTERSIGN__POLICY__LIMITS__SENDS_PER_SOURCE", generous),
            ],
        )
    }

    /// Starts it with the limits that it has by itself, behind a proxy of this machine that says who its clients are.
    pub fn start_behind_a_proxy(binary: &Path, place: &Place) -> Result<Self, Failure> {
        let settings = [("COUNTERSIGN__TRUSTED_PROXIES", "127.0.0.1/32"), ("COUNTERSIGN__DEV_INBOX", "exposed")];
        Self::start_with(binary, place, &settings)
    }

    fn start_with(binary: &Path, place: &Place, settings: &[(&str, &str)]) -> Result<Self, Failure> {
        let (arguments, environment) = place.settings();
        let began = now::instant();
        let mut child = Command::new(binary)
            .args(["serve", "--listen", "127.0.0.1:0"])
            .args(&arguments)
            .envs(environment.clone())
            .env("COUNTERSIGN__METRICS_LISTEN", "127.0.0.1:0")
            .env("COUNTERSIGN__LOG__FORMAT", "json")
            .envs(settings.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{}: {error}; cargo build --release makes it", binary.display()))?;
        let mut lines = BufReader::new(child.stderr.take().ok_or("no log")?).lines();
        let address = loop {
            let line = lines.next().ok_or("the server ended")??;
            let Ok(entry) = serde_json::from_str::<Value>(&line) else { return Err(line.into()) };
            if let Some(url) = entry["url"].as_str().filter(|_| entry["message"] == "serving") {
                break url.trim_start_matches("http://").parse()?;
            }
        };
        let took = began.elapsed();
        std::thread::spawn(move || for _ in lines.by_ref() {});
        Ok(Self { child, binary: binary.to_owned(), arguments, environment, address, took })
    }

    /// A fresh API key, made beside it.
    pub fn api_key(&self, scopes: &str) -> Result<String, Failure> {
        Ok(self.command(&["keys", "create", "--name", "bench", "--scopes", scopes])?.trim().to_owned())
    }

    /// Waits until all views have every event that is in the log now.
    pub async fn views_are_current(&self) -> Result<(), Failure> {
        let current = async {
            loop {
                let status = self.command(&["projections", "status", "--json"])?;
                let behind = status
                    .lines()
                    .map(|line| Ok(serde_json::from_str::<Value>(line)?["lag"].as_u64().ok_or("no lag")?))
                    .sum::<Result<u64, Failure>>()?;
                if behind == 0 {
                    return Ok(());
                }
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
        };
        tokio::time::timeout(PATIENCE, current).await?
    }

    /// What a command prints that is run beside it.
    fn command(&self, arguments: &[&str]) -> Result<String, Failure> {
        let output =
            Command::new(&self.binary).args(arguments).args(&self.arguments).envs(self.environment.clone()).output()?;
        if !output.status.success() {
            return Err(String::from_utf8(output.stderr)?.into());
        }
        Ok(String::from_utf8(output.stdout)?)
    }

    /// Resident memory in MB.
    #[expect(clippy::cast_precision_loss, reason = "megabytes")]
    pub fn resident_mb(&self) -> Result<f64, Failure> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).ok_or("no VmRSS")?;
        let kib: u64 = line.split_whitespace().nth(1).ok_or("no number")?.parse()?;
        Ok(kib as f64 / 1_024.0)
    }

    /// Processor time that it has used, in seconds.
    pub fn processor_seconds(&self) -> Result<f64, Failure> {
        seconds(&self.child.id().to_string(), 11)
    }

    /// How many threads it has.
    pub fn threads(&self) -> Result<usize, Failure> {
        Ok(std::fs::read_dir(format!("/proc/{}/task", self.child.id()))?.count())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Processor time of the processes that this one has waited for, in seconds.
pub fn seconds_of_ended() -> Result<f64, Failure> {
    seconds("self", 13)
}

/// Two fields that follow each other, of those after the name in brackets; Linux counts in hundredths of a second for
/// every program.
#[expect(clippy::cast_precision_loss, reason = "a measurement")]
fn seconds(process: &str, first: usize) -> Result<f64, Failure> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    let (_, fields) = stat.rsplit_once(')').ok_or("no name")?;
    let ticks = fields.split_whitespace().skip(first).take(2).map(str::parse::<u64>);
    Ok(ticks.sum::<Result<u64, _>>()? as f64 / 100.0)
}
