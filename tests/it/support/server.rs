//! A running server for one test: one process or several, on data of its own, with a clock that the test moves.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::{Arc, Mutex, atomic::AtomicU64},
    thread,
    time::{SystemTime, UNIX_EPOCH},
};

use tempfile::TempDir;

use super::{
    Client, Settings, USER_AGENT, leaks,
    leaks::Secrets,
    process::{Log, Process},
    setup::{Engines, files},
};

/// A running server.
pub struct Server {
    processes: Vec<Process>,
    base: Arc<Mutex<String>>,
    folder: Arc<TempDir>,
    engines: Engines,
    settings: Settings,
    log: Log,
    position: Arc<AtomicU64>,
    secrets: Arc<Secrets>,
}

impl Server {
    /// The embedded default on an empty data folder.
    pub fn start() -> Self {
        Self::start_with(Settings::default())
    }

    /// The same with other settings.
    pub fn start_with(settings: Settings) -> Self {
        Self::launch_on(Engines::default(), settings)
    }

    /// The embedded default with its data in `data` of this folder.
    pub fn start_in(folder: TempDir, settings: Settings) -> Self {
        Self::launch_in(folder, Engines::default(), settings)
    }

    /// A server over these.
    pub fn launch_on(engines: Engines, settings: Settings) -> Self {
        Self::launch_in(tempfile::tempdir().expect("a folder can be made"), engines, settings)
    }

    fn launch_in(folder: TempDir, engines: Engines, settings: Settings) -> Self {
        let folder = Arc::new(folder);
        std::fs::write(folder.path().join("clock"), "0").unwrap();
        let secrets = Secrets::default();
        engines.passwords().iter().for_each(|password| secrets.remember(password));
        let mut server = Self {
            processes: Vec::new(),
            base: Arc::default(),
            folder,
            engines,
            settings,
            log: Log::default(),
            position: Arc::default(),
            secrets: Arc::new(secrets),
        };
        server.launch();
        server
    }

    fn launch(&mut self) {
        let roles = self.engines.processes(self.settings.get("roles"));
        let named = |roles: Option<String>| {
            let name = roles.clone().unwrap_or_else(|| "server".to_owned());
            self.spawn(roles, name)
        };
        self.processes = roles.into_iter().map(named).collect();
        for process in &mut self.processes {
            process.wait_until_it_serves();
        }
        self.point_clients();
    }

    fn spawn(&self, roles: Option<String>, name: String) -> Process {
        Process::spawn(self.folder.path(), &self.all_settings(), roles, name, &self.log)
    }

    /// Clients go on with whoever answers now.
    fn point_clients(&self) {
        if let Some(base) = self.processes.iter().find_map(Process::base) {
            base.clone_into(&mut self.base.lock().unwrap());
        }
    }

    fn all_settings(&self) -> Settings {
        self.engines.settings(self.folder.path(), self.settings.clone())
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
        self.settings = settings;
        self.position = Arc::default();
        self.launch();
        self
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        self.processes.iter_mut().for_each(Process::kill);
    }

    /// `kill -9` of the process with this role, which then starts again on the same data.
    pub fn kill_and_restart_role(&mut self, role: &str) {
        self.kill_one(role);
        self.start_again(role);
    }

    /// One more process with this role, under a name of its own.
    pub fn one_more(&mut self, role: &str, name: &str) {
        let mut process = self.spawn(Some(role.to_owned()), name.to_owned());
        process.wait_until_it_serves();
        self.processes.push(process);
    }

    /// `kill -9` of the process of this name: that of its role, unless it was given another.
    pub fn kill_one(&mut self, name: &str) {
        self.process(name).kill();
    }

    /// Starts it again on the same data.
    pub fn start_again(&mut self, name: &str) {
        let roles = self.process(name).roles.clone();
        let mut process = self.spawn(roles, name.to_owned());
        process.wait_until_it_serves();
        *self.process(name) = process;
        self.point_clients();
    }

    /// Lets it stand still, or go on: `-STOP`, `-CONT`.
    pub fn signal(&mut self, name: &str, signal: &str) {
        self.process(name).signal(signal);
    }

    fn process(&mut self, name: &str) -> &mut Process {
        self.processes.iter_mut().find(|process| process.name == name).expect("a process of that name")
    }

    /// The first polite signal, as `kill` sends it, to every process; waits for the end, and tells the worst one.
    pub fn terminate(&mut self) -> ExitStatus {
        self.processes.iter().for_each(Process::ask_to_end);
        let ends: Vec<ExitStatus> = self.processes.iter_mut().map(Process::wait).collect();
        ends.iter().find(|end| !end.success()).or(ends.first()).copied().expect("there were processes")
    }

    /// A client without a credential.
    pub fn client(&self) -> Client {
        let mail = self.engines.mail.clone();
        Client::new(Arc::clone(&self.base), Arc::clone(&self.position), Arc::clone(&self.secrets), mail)
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
        let output = self.run_with(arguments, |settings| settings);
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
        (output.status.success(), text(output.stdout), text(output.stderr))
    }

    /// Runs the binary on the same data with changed settings.
    pub fn run_with(&self, arguments: &[&str], change: impl FnOnce(Settings) -> Settings) -> Output {
        self.prepared(arguments, &change(self.all_settings())).output().expect("the binary starts")
    }

    /// Starts an administrative command, and leaves it to the test what becomes of it.
    pub fn begin_command(&self, arguments: &[&str]) -> Child {
        let mut command = self.prepared(arguments, &self.all_settings());
        command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("the binary starts")
    }

    fn prepared(&self, arguments: &[&str], settings: &Settings) -> Command {
        let mut command = settings.beside();
        command
            .args(arguments)
            .arg("--data")
            .arg(self.data())
            .env("COUNTERSIGN_TEST_CLOCK", self.folder.path().join("clock"))
            .envs(settings.variables());
        command
    }

    /// The servers below it.
    pub fn engines(&self) -> &Engines {
        &self.engines
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

    /// The roles of its processes, where each has its own.
    pub fn roles(&self) -> Vec<String> {
        self.processes.iter().filter_map(|process| process.roles.clone()).collect()
    }

    /// Its processes: the role, where it answers HTTP, if it does, and where its metrics are, each as host and port.
    pub fn addresses(&self) -> Vec<(String, Option<String>, String)> {
        let address = |url: &str| url.split('/').nth(2).unwrap_or_default().to_owned();
        let of =
            |process: &Process| Some((process.roles.clone()?, process.base().map(address), address(process.metrics())));
        self.processes.iter().filter_map(of).collect()
    }

    /// Its address.
    pub fn base(&self) -> String {
        self.base.lock().unwrap().clone()
    }

    /// Everything its processes have logged or printed so far, over restarts.
    pub fn log(&self) -> String {
        self.log.text()
    }

    /// The processes that logged these words, in order.
    pub fn who_said(&self, words: &str) -> Vec<String> {
        self.log.who_said(words)
    }

    /// One more value that no file may hold.
    pub fn remember(&self, value: &str) {
        self.secrets.remember(value);
    }

    /// The metrics of its processes, one after the other.
    pub async fn metrics(&self) -> String {
        let mut metrics = String::new();
        for process in &self.processes {
            let answer = reqwest::get(process.metrics()).await.expect("metrics answer");
            metrics.push_str(&answer.text().await.expect("text"));
        }
        metrics
    }

    /// Ends the test: no secret, code, address, number or free text that it used stands in a file of the data
    /// folder, in the database, in what the broker stores, in a log or in the metrics.
    pub async fn leaves_nothing_behind(mut self) {
        let metrics = self.metrics().await;
        assert!(self.terminate().success(), "it stops politely");
        self.secrets.remember(USER_AGENT);
        assert!(self.secrets.count() > 1, "the test used secrets");
        let mut places = files(&self.data());
        places.extend(self.engines.contents());
        assert!(!places.is_empty(), "there is data");
        places.push(("the metrics".to_owned(), metrics.into_bytes()));
        let findings = leaks::find(&self.secrets, &places, &self.log());
        assert!(findings.is_empty(), "{}", findings.join("\n"));
    }
}

#[expect(clippy::print_stderr, reason = "the test runner shows it with the failure")]
impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
        if thread::panicking() {
            // The reader of a failed test wants to know what the server thought of it.
            eprintln!("--- the server's last words\n{}\n---", self.log.last_words(60));
        }
    }
}
