//! Settings: a TOML file, then the environment, then the command line. What is unknown, missing or
//! impossible stops the start with one line that names the setting and the cure.

use std::{
    collections::BTreeMap,
    fmt,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use domain::{policy::Policy, secret::SecretText};
use ipnet::IpNet;
use serde::{Deserialize, Deserializer, de::Error as _};
use toml::{Table, Value};

use crate::cli::{Place, ServeArgs};

/// Before every setting in the environment; two underscores stand between the levels of a name.
const PREFIX: &str = "COUNTERSIGN__";

/// All settings.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Address of the HTTP interface.
    pub listen: SocketAddr,
    /// Address of `/metrics`. Left out: port 9464 of loopback, or a free port when that is taken.
    pub metrics_listen: Option<SocketAddr>,
    /// Folder of the log, the views and the keys.
    pub data: PathBuf,
    /// What authenticator apps show beside the account, and messages as their sender.
    pub issuer: String,
    /// Where people and programs reach this server, when a proxy stands before it.
    pub public_url: Option<String>,
    /// Proxies whose word about the source address counts.
    #[serde(deserialize_with = "list")]
    pub trusted_proxies: Vec<IpNet>,
    /// Who may read the development inbox.
    pub dev_inbox: DevInbox,
    /// What this process does.
    #[serde(deserialize_with = "list")]
    pub roles: Vec<Role>,
    /// The key ring itself, instead of a file.
    pub key_ring: Option<SecretText>,
    /// The key ring's file. Left out: `keyring.toml` in the data folder, made on the first start.
    pub key_ring_file: Option<PathBuf>,
    /// Hashing of passwords and recovery codes.
    pub hashing: Hashing,
    /// States of accounts that are kept in memory.
    pub cache: Cache,
    /// Logs.
    pub log: Log,
    /// Traces.
    pub otlp: Otlp,
    /// The rules' numbers.
    pub policy: Policy,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            metrics_listen: None,
            data: PathBuf::from("countersign-data"),
            issuer: "Countersign".to_owned(),
            public_url: None,
            trusted_proxies: Vec::new(),
            dev_inbox: DevInbox::Loopback,
            roles: Role::ALL.to_vec(),
            key_ring: None,
            key_ring_file: None,
            hashing: Hashing::default(),
            cache: Cache::default(),
            log: Log::default(),
            otlp: Otlp::default(),
            policy: Policy::default(),
        }
    }
}

/// Who may read the development inbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DevInbox {
    /// Requests to a loopback listener with a loopback `Host`.
    Loopback,
    /// Everyone who reaches the server. For demonstrations.
    Exposed,
    /// Nobody.
    Off,
}

/// What a process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Answers HTTP.
    Api,
    /// Keeps the read models.
    Projections,
    /// Sends codes by SMS.
    Sms,
    /// Sends codes by email.
    Email,
    /// Sends notices.
    Notices,
}

impl Role {
    /// All of them: the embedded default.
    pub const ALL: [Self; 5] = [Self::Api, Self::Projections, Self::Sms, Self::Email, Self::Notices];
}

/// Hashing of passwords and recovery codes.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Hashing {
    /// Threads; left out: as many as cores.
    pub threads: Option<usize>,
    /// Hashes that may wait for one; a burst beyond it is told to come back later.
    pub queue: Option<usize>,
}

/// States of accounts that are kept in memory.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Cache {
    /// How many; 0 keeps none.
    pub accounts: Option<usize>,
}

/// Logs.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// For whom.
    pub format: LogFormat,
    /// What is logged: a level, or directives such as `info,event_store=debug`.
    pub level: String,
}

impl Default for Log {
    fn default() -> Self {
        Self { format: LogFormat::Auto, level: "info".to_owned() }
    }
}

/// For whom logs are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people on a terminal, for programs elsewhere.
    Auto,
    /// For people.
    Human,
    /// For programs: one JSON object a line.
    Json,
}

/// Traces.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Otlp {
    /// A collector's address for traces, such as `http://127.0.0.1:4318/v1/traces`.
    pub endpoint: Option<String>,
}

/// A setting that stops the start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    setting: String,
    problem: String,
    cure: String,
}

impl ConfigError {
    /// What is wrong with which setting, and what helps.
    pub fn new(setting: impl Into<String>, problem: impl Into<String>, cure: impl Into<String>) -> Self {
        Self { setting: setting.into(), problem: problem.into(), cure: cure.into() }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "setting {}: {}; {}", self.setting, one_line(&self.problem), self.cure)
    }
}

impl std::error::Error for ConfigError {}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

impl Config {
    /// The settings of this process.
    pub fn load(place: &Place, serve: &ServeArgs) -> Result<Self, ConfigError> {
        let mut config = Self::read(place.config.as_deref(), std::env::vars())?;
        if let Some(data) = &place.data {
            config.data.clone_from(data);
        }
        if let Some(listen) = serve.listen {
            config.listen = listen;
        }
        if let Some(roles) = &serve.roles {
            config.roles.clone_from(roles);
        }
        config.validate()?;
        Ok(config)
    }

    fn read(file: Option<&Path>, environment: impl Iterator<Item = (String, String)>) -> Result<Self, ConfigError> {
        let mut table = file.map_or_else(|| Ok(Table::new()), read_file)?;
        let mut from_environment = BTreeMap::new();
        for (name, value) in environment {
            if let Some(rest) = name.strip_prefix(PREFIX) {
                let path: Vec<String> = rest.split("__").map(str::to_ascii_lowercase).collect();
                set(&mut table, &path, environment_value(&value), &name)?;
                from_environment.insert(path.join("."), name);
            }
        }
        serde_path_to_error::deserialize(Value::Table(table)).map_err(|error| {
            let path = error.path().to_string();
            let setting = match (from_environment.get(&path), file) {
                (Some(name), _) => name.clone(),
                (None, Some(file)) => format!("{path} in {}", file.display()),
                (None, None) => path,
            };
            let problem = error.into_inner().message().to_owned();
            let cure = if problem.starts_with("unknown field") {
                "remove it, or correct its name"
            } else {
                "give it a value of that kind"
            };
            ConfigError::new(setting, problem, cure)
        })
    }

    fn validate(&self) -> Result<(), ConfigError> {
        if self.issuer.trim().is_empty() || self.issuer.chars().count() > 64 || self.issuer.contains(':') {
            return Err(ConfigError::new(
                "issuer",
                "authenticator apps cannot show it",
                "give 1 to 64 characters without a colon",
            ));
        }
        if let Some(url) = &self.public_url
            && !(url.starts_with("https://") || url.starts_with("http://"))
        {
            return Err(ConfigError::new("public_url", "is no web address", "begin it with https://"));
        }
        if let Some(url) = &self.otlp.endpoint
            && !url.starts_with("http://")
        {
            return Err(ConfigError::new(
                "otlp.endpoint",
                "is no plain HTTP address",
                "name a collector on this machine or network, such as http://127.0.0.1:4318/v1/traces",
            ));
        }
        if self.roles.is_empty() {
            return Err(ConfigError::new("roles", "names nothing to do", "leave it out to do everything"));
        }
        if self.key_ring.is_some() && self.key_ring_file.is_some() {
            return Err(ConfigError::new("key_ring", "is given twice", "remove key_ring or key_ring_file"));
        }
        for (setting, value) in [("hashing.threads", self.hashing.threads), ("hashing.queue", self.hashing.queue)] {
            if value == Some(0) {
                return Err(ConfigError::new(setting, "is 0, so nobody could sign in", "give at least 1"));
            }
        }
        validate_policy(&self.policy)
    }

    /// The same for a command that runs once: quiet but for what is wrong, without traces, and with one thread
    /// for the little that it hashes.
    pub fn administer(&mut self) {
        "warn".clone_into(&mut self.log.level);
        self.otlp.endpoint = None;
        self.hashing.threads = Some(1);
    }
}

/// Rules that make no sense with 0: all but these.
const MAY_BE_ZERO: [&str; 7] = [
    "claim_takeover_after",
    "resend_after",
    "totp_skew_steps",
    "totp_drift_search",
    "password_rejected_every",
    "first_method_numbers_per_day",
    "first_method_texts_per_day",
];

fn validate_policy(policy: &Policy) -> Result<(), ConfigError> {
    let numbers = Table::try_from(policy).unwrap_or_default();
    for (name, value) in &numbers {
        if value.as_integer() == Some(0) && !MAY_BE_ZERO.contains(&name.as_str()) {
            return Err(ConfigError::new(format!("policy.{name}"), "is 0", "give at least 1"));
        }
    }
    let most = [
        ("totp_skew_steps", policy.totp_skew_steps, 10),
        ("recovery_codes", policy.recovery_codes, 100),
        ("code_attempts", policy.code_attempts, 1_000),
        ("totp_attempts", policy.totp_attempts, 1_000),
    ];
    for (name, value, most) in most {
        if value > most {
            return Err(ConfigError::new(
                format!("policy.{name}"),
                format!("{value} gives a guesser too many tries"),
                format!("give at most {most}"),
            ));
        }
    }
    Ok(())
}

fn read_file(path: &Path) -> Result<Table, ConfigError> {
    let setting = || format!("--config {}", path.display());
    let text = std::fs::read_to_string(path).map_err(|error| {
        ConfigError::new(setting(), format!("cannot be read: {error}"), "name a file that this user may read")
    })?;
    text.parse::<Table>().map_err(|error| {
        let line = error.span().map_or(1, |span| text[..span.start].matches('\n').count() + 1);
        ConfigError::new(setting(), format!("line {line} is no TOML: {}", error.message()), "correct that line")
    })
}

/// A TOML value where the text is one (`8`, `true`, `["a"]`), else the text itself.
fn environment_value(text: &str) -> Value {
    text.parse().unwrap_or_else(|_| Value::String(text.to_owned()))
}

fn set(table: &mut Table, path: &[String], value: Value, name: &str) -> Result<(), ConfigError> {
    let Some((last, parents)) = path.split_last() else { return Ok(()) };
    let mut table = table;
    for parent in parents {
        let entry = table.entry(parent.clone()).or_insert_with(|| Value::Table(Table::new()));
        table = entry.as_table_mut().ok_or_else(|| {
            ConfigError::new(name, format!("{parent} has no settings of its own"), "remove it, or correct its name")
        })?;
    }
    table.insert(last.clone(), value);
    Ok(())
}

/// A list, or a text with commas between its items (as the environment gives it).
fn list<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: serde::de::DeserializeOwned,
{
    let items = match Value::deserialize(deserializer)? {
        Value::Array(items) => items,
        Value::String(text) => {
            text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(Value::from).collect()
        }
        _ => return Err(D::Error::custom("expected a list")),
    };
    items.into_iter().map(|item| T::deserialize(item).map_err(|error| D::Error::custom(error.message()))).collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn read(file: &str, environment: &[(&str, &str)]) -> Result<Config, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("countersign.toml");
        std::fs::write(&path, file).unwrap();
        let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let config = Config::read(Some(&path), environment).and_then(|config| config.validate().map(|()| config));
        config.map_err(|error| error.to_string().replace(&path.display().to_string(), "FILE"))
    }

    #[test]
    fn the_environment_comes_after_the_file() {
        let config = read(
            "listen = \"127.0.0.1:9000\"\nissuer = \"Shop\"\n[policy]\ncode_lives = 300\n",
            &[("COUNTERSIGN__LISTEN", "127.0.0.1:9001"), ("COUNTERSIGN__POLICY__TOTP_ATTEMPTS", "7"), ("HOME", "/")],
        )
        .unwrap();
        assert_eq!(config.listen.port(), 9001);
        assert_eq!(config.issuer, "Shop");
        assert_eq!(config.policy.code_lives.0, 300);
        assert_eq!(config.policy.totp_attempts, 7);
        assert_eq!(config.policy.code_attempts, Policy::default().code_attempts);
    }

    #[test]
    fn lists_and_nested_values_can_stand_in_the_environment() {
        let config = read(
            "",
            &[
                ("COUNTERSIGN__ROLES", "api,projections"),
                ("COUNTERSIGN__TRUSTED_PROXIES", "[\"10.0.0.0/8\"]"),
                ("COUNTERSIGN__POLICY__LIMITS__SENDS_PER_SOURCE", "{ count = 9, window = 60 }"),
            ],
        )
        .unwrap();
        assert_eq!(config.roles, [Role::Api, Role::Projections]);
        assert_eq!(config.trusted_proxies.len(), 1);
        assert_eq!(config.policy.limits.sends_per_source.count, 9);
    }

    #[test]
    fn an_unknown_setting_stops_the_start_and_is_named() {
        let error = read("[policy]\ncode_live = 300\n", &[]).unwrap_err();
        assert!(error.starts_with("setting policy.code_live in FILE: unknown field `code_live`"), "{error}");
        assert!(error.ends_with("remove it, or correct its name"), "{error}");
        let error = read("", &[("COUNTERSIGN__LISTN", "127.0.0.1:1")]).unwrap_err();
        assert!(error.starts_with("setting COUNTERSIGN__LISTN: unknown field"), "{error}");
        let error = read("", &[("COUNTERSIGN__LISTEN__PORT", "1")]).unwrap_err();
        assert!(error.starts_with("setting"), "{error}");
    }

    #[test]
    fn a_value_of_another_kind_stops_the_start_and_is_named() {
        let error = read("", &[("COUNTERSIGN__POLICY__CODE_LIVES", "soon")]).unwrap_err();
        assert!(error.starts_with("setting COUNTERSIGN__POLICY__CODE_LIVES: invalid type"), "{error}");
        let error = read("dev_inbox = \"public\"", &[]).unwrap_err();
        assert!(error.contains("dev_inbox") && error.contains("exposed"), "{error}");
        assert!(read("listen = \n", &[]).unwrap_err().contains("line 1 is no TOML"));
    }

    #[test]
    fn impossible_values_stop_the_start() {
        for (file, setting) in [
            ("issuer = \"a:b\"", "issuer"),
            ("public_url = \"example.com\"", "public_url"),
            ("roles = []", "roles"),
            ("key_ring = \"x\"\nkey_ring_file = \"y\"", "key_ring"),
            ("[otlp]\nendpoint = \"https://collector\"", "otlp.endpoint"),
            ("[hashing]\nqueue = 0", "hashing.queue"),
            ("[policy]\ncode_lives = 0", "policy.code_lives"),
            ("[policy]\ntotp_skew_steps = 600", "policy.totp_skew_steps"),
        ] {
            let error = read(file, &[]).unwrap_err();
            assert!(error.starts_with(&format!("setting {setting}: ")), "{error}");
            assert_eq!(error.lines().count(), 1, "{error}");
        }
    }

    #[test]
    fn a_secret_never_shows_in_debug() {
        let config = read("key_ring = \"hunter2\"", &[]).unwrap();
        assert!(!format!("{config:?}").contains("hunter2"));
    }
}
