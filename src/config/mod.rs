//! Settings: a TOML file, then the environment, then the command line. What is unknown, missing or
//! impossible stops the start with one line that names the setting and the cure.

mod engines;
mod error;
mod gateways;
mod http;
mod source;
#[cfg(test)]
mod tests;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use domain::{policy::Policy, secret::SecretText};
use ipnet::IpNet;
use serde::Deserialize;
use toml::Table;

pub use self::{
    engines::{EventLogEngine, Kurrentdb, Nats, Postgres},
    error::ConfigError,
    gateways::{Sms, Smtp, SmtpTls},
    http::Http,
};
use crate::{
    cli::{Place, ServeArgs},
    role::Role,
};

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
    /// Whether the two-factor API of vast.ai is served under `/api/v0/`.
    pub drop_in: bool,
    /// Proxies whose word about the source address counts.
    #[serde(deserialize_with = "source::list")]
    pub trusted_proxies: Vec<IpNet>,
    /// Who may read the development inbox.
    pub dev_inbox: DevInbox,
    /// Connections.
    pub http: Http,
    /// What this process does. Left out: everything.
    #[serde(deserialize_with = "source::optional_list")]
    pub roles: Option<Vec<Role>>,
    /// Where the event log is kept.
    pub event_log: EventLogEngine,
    /// PostgreSQL, for the event log or beside KurrentDB.
    pub postgres: Postgres,
    /// KurrentDB.
    pub kurrentdb: Kurrentdb,
    /// NATS with `JetStream`.
    pub nats: Nats,
    /// Mail.
    pub smtp: Smtp,
    /// Text messages.
    pub sms: Vec<Sms>,
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
            drop_in: true,
            trusted_proxies: Vec::new(),
            dev_inbox: DevInbox::Loopback,
            http: Http::default(),
            roles: None,
            event_log: EventLogEngine::default(),
            postgres: Postgres::default(),
            kurrentdb: Kurrentdb::default(),
            nats: Nats::default(),
            smtp: Smtp::default(),
            sms: Vec::new(),
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
    /// Requests to a loopback listener with a loopback `Host`, as long as nothing is said of a proxy before it.
    Loopback,
    /// Everyone who reaches the server. For demonstrations.
    Exposed,
    /// Nobody.
    Off,
}

/// Hashing of passwords and recovery codes.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Hashing {
    /// Threads; left out: as many as cores.
    pub threads: Option<usize>,
    /// Hashes that may wait for one; a burst beyond it is told to come back later.
    pub queue: Option<usize>,
    /// Hashes of one source that may wait; 16 when left out.
    pub queue_per_source: Option<usize>,
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
            config.roles = Some(roles.clone());
        }
        config.validate()?;
        Ok(config)
    }

    fn read(file: Option<&Path>, environment: impl Iterator<Item = (String, String)>) -> Result<Self, ConfigError> {
        let mut config: Self = source::read(file, environment)?;
        config.postgres.resolve()?;
        config.kurrentdb.resolve()?;
        config.nats.resolve()?;
        config.smtp.resolve()?;
        for (place, sms) in config.sms.iter_mut().enumerate() {
            sms.resolve(place)?;
        }
        Ok(config)
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
        self.http.validate()?;
        self.validate_roles()?;
        self.validate_engines()?;
        if self.key_ring.is_some() && self.key_ring_file.is_some() {
            return Err(ConfigError::new("key_ring", "is given twice", "remove key_ring or key_ring_file"));
        }
        let hashing = [
            ("hashing.threads", self.hashing.threads),
            ("hashing.queue", self.hashing.queue),
            ("hashing.queue_per_source", self.hashing.queue_per_source),
        ];
        for (setting, value) in hashing {
            if value == Some(0) {
                return Err(ConfigError::new(setting, "is 0, so nobody could sign in", "give at least 1"));
            }
        }
        validate_policy(&self.policy)
    }

    /// Who may read the development inbox of a listener. A proxy before it asks for everybody, and may look like a
    /// program of this machine, so naming one shuts the inbox.
    pub fn inbox_readers(&self, is_loopback: bool) -> api::DevInbox {
        let stands_alone = is_loopback && self.public_url.is_none() && self.trusted_proxies.is_empty();
        match self.dev_inbox {
            DevInbox::Exposed => api::DevInbox::Exposed,
            DevInbox::Loopback if stands_alone => api::DevInbox::Loopback,
            DevInbox::Loopback | DevInbox::Off => api::DevInbox::Off,
        }
    }

    /// What this process does.
    pub fn roles(&self) -> Vec<Role> {
        let all = || Role::ALL.into_iter().filter(|role| *role != Role::Relay || self.nats.url.is_some()).collect();
        self.roles.clone().unwrap_or_else(all)
    }

    fn validate_roles(&self) -> Result<(), ConfigError> {
        let Some(roles) = &self.roles else { return Ok(()) };
        if roles.is_empty() {
            return Err(ConfigError::new("roles", "names nothing to do", "leave it out to do everything"));
        }
        if roles.contains(&Role::Relay) && self.nats.url.is_none() {
            return Err(ConfigError::new(
                "nats.url",
                "is missing, and the role relay publishes to NATS",
                "name the server, or leave the role out",
            ));
        }
        Ok(())
    }

    fn validate_engines(&self) -> Result<(), ConfigError> {
        let missing = |setting: &str, why: &str, cure: &str| Err(ConfigError::new(setting, why, cure));
        if self.event_log == EventLogEngine::Sqlite {
            if self.postgres.url.is_some() {
                return missing(
                    "event_log",
                    "is sqlite, and would leave the PostgreSQL that is named unused",
                    "set it to postgres or kurrentdb, or remove postgres.url",
                );
            }
        } else {
            if self.postgres.url.is_none() {
                return missing("postgres.url", "is missing", "name the database, or set event_log to sqlite");
            }
            if self.key_ring.is_none() && self.key_ring_file.is_none() {
                return missing(
                    "key_ring_file",
                    "is missing: on a server's database the key ring is kept apart from the data",
                    "make one with `countersign keyring create FILE` and name it",
                );
            }
        }
        if self.event_log == EventLogEngine::Kurrentdb && self.kurrentdb.url.is_none() {
            return missing("kurrentdb.url", "is missing", "name the server, or set event_log to postgres");
        }
        for (place, sms) in self.sms.iter().enumerate() {
            if self.sms[..place].iter().any(|other| other.name() == sms.name()) {
                return missing(
                    &format!("sms[{place}].name"),
                    &format!("{} is another gateway's name too", sms.name()),
                    "give each a name of its own",
                );
            }
        }
        Ok(())
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
const MAY_BE_ZERO: [&str; 8] = [
    "claim_takeover_after",
    "resend_after",
    "stranger_mail_every",
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
