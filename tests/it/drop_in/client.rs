//! `vastai`, kept apart from the machine: its own home, no key of anybody's, no question to a host of its vendor.

use std::{
    io::Write,
    path::PathBuf,
    process::{Command, Stdio},
};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{Person, Server};

/// The command line of one person.
pub struct Vastai {
    home: TempDir,
    url: String,
    key: Option<String>,
}

/// What it printed.
#[derive(Debug)]
pub struct Printed {
    pub text: String,
    pub code: i32,
}

fn program() -> PathBuf {
    let program = std::env::var_os("COUNTERSIGN_VASTAI").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/tools/vastai/bin/vastai"),
        PathBuf::from,
    );
    assert!(program.exists(), "the command line of vast.ai is missing: ./check setup installs it");
    program
}

impl Vastai {
    pub fn new(server: &Server, key: &str) -> Self {
        let home = tempfile::tempdir().expect("a folder can be made");
        let cache = home.path().join(".cache/vastai");
        std::fs::create_dir_all(&cache).unwrap();
        // Without it the first start asks a remote host.
        std::fs::write(cache.join("gpu_names_cache.json"), r#"{"gpu_names": []}"#).unwrap();
        server.remember(key);
        Self { home, url: server.base().trim_end_matches('/').to_owned(), key: Some(key.to_owned()) }
    }

    /// The same home without `--api-key`: the saved session or key counts.
    pub fn without_key(self) -> Self {
        Self { key: None, ..self }
    }

    /// Saves the key, as `vastai set api-key` does.
    pub fn save_key(&self, key: &str) {
        let printed = self.run_with(&["set", "api-key", key], "");
        assert_eq!(printed.code, 0, "{}", printed.text);
    }

    /// Whether it holds a session.
    pub fn has_session(&self) -> bool {
        self.home.path().join(".config/vastai/vast_tfa_key").exists()
    }

    /// `vastai tfa …`
    pub fn tfa(&self, arguments: &[&str]) -> Printed {
        self.tfa_with(arguments, "")
    }

    /// The same with answers to its questions.
    pub fn tfa_with(&self, arguments: &[&str], input: &str) -> Printed {
        let mut all = vec!["tfa"];
        all.extend(arguments);
        self.run_with(&all, input)
    }

    fn run_with(&self, arguments: &[&str], input: &str) -> Printed {
        let mut command = Command::new(program());
        command.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", self.home.path()).env("LANG", "C.UTF-8");
        command.env("VASTAI_NO_UPDATE_CHECK", "1").env("VAST_URL", &self.url).args(["--url", &self.url]);
        if let Some(key) = &self.key {
            command.args(["--api-key", key]);
        }
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("vastai starts");
        // It may end without reading.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        let output = child.wait_with_output().expect("vastai ends");
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(!text.contains("Traceback"), "{text}");
        Printed { text, code: output.status.code().unwrap_or(-1) }
    }

    /// `vastai --raw tfa …`, as JSON.
    pub fn raw(&self, command: &str) -> Value {
        let printed = self.run_with(&["--raw", "tfa", command], "");
        serde_json::from_str(&printed.text).unwrap_or_else(|error| panic!("{error}: {}", printed.text))
    }

    /// Sets an authenticator app up; its key.
    pub fn set_up_app(&self, server: &Server) -> String {
        let secret = self.raw("totp-setup")["secret"].as_str().expect("a key").to_owned();
        server.remember(&secret);
        secret
    }

    /// Begins the authorization to add a method; its secret. The code is not typed at once.
    pub fn authorize(&self, server: &Server, arguments: &[&str]) -> String {
        let mut all = vec!["auth-new"];
        all.extend(arguments);
        let secret = self.tfa(&all).after("2FA Secret: ");
        server.remember(&secret);
        secret
    }

    pub fn finish_authorization(&self, secret: &str, code: &str) {
        self.tfa(&["auth-new", "--secret", secret, "--code", code]).says("Successfully authorized account");
    }
}

impl Printed {
    #[track_caller]
    pub fn says(self, words: &str) -> Self {
        assert!(self.text.contains(words), "{words:?} is not in: {}", self.text);
        self
    }
    #[track_caller]
    pub fn says_not(self, words: &str) -> Self {
        assert!(!self.text.contains(words), "{words:?} is in: {}", self.text);
        self
    }
    /// The word after these words.
    #[track_caller]
    pub fn after(&self, words: &str) -> String {
        let rest = self.text.split_once(words).unwrap_or_else(|| panic!("{words:?} is not in: {}", self.text)).1;
        rest.split_whitespace().next().expect("a word").to_owned()
    }
    /// The ten backup codes that it printed.
    #[track_caller]
    pub fn backup_codes(&self, server: &Server) -> Vec<String> {
        let codes: Vec<String> = (1..=10).map(|n| self.after(&format!("  {n:2}. "))).collect();
        for code in &codes {
            server.remember(code);
        }
        codes
    }
}

/// How the codes are saved: to the screen, and sure of it.
pub const PRINT: &str = "3\nyes\n";
/// The same after the question whether to go on.
pub const YES_PRINT: &str = "y\n3\nyes\n";

/// Someone with a personal access token, and the command line that holds it.
pub async fn newcomer(server: &Server, name: &str) -> (Person, Vastai, String) {
    let person = Person::sign_up(server, name).await;
    let verification = person.verify_by_mail("issue_access_token").await;
    let issued = person.access_token("vastai", &verification).await;
    let key = issued["token"].as_str().expect("a token").to_owned();
    let vastai = Vastai::new(server, &key);
    (person, vastai, key)
}

/// The same with an authenticator app as the first method: its key and the backup codes.
pub async fn with_app(server: &Server, name: &str) -> (Person, Vastai, String, Vec<String>) {
    let (mut person, vastai, _) = newcomer(server, name).await;
    let mails = person.codes_mailed_to(&server.client()).await;
    let secret = vastai.authorize(server, &[]);
    vastai.finish_authorization(&secret, &server.client().code(&person.email, mails + 1).await);
    let app = vastai.set_up_app(server);
    let code = server.fresh_totp(&app);
    let printed = vastai.tfa_with(&["activate", "--secret", &app, "--label", "App", &code], PRINT);
    let codes = printed.says("activated successfully").backup_codes(server);
    person.totp = Some(app.clone());
    (person, vastai, app, codes)
}
