//! Settings of the servers that Countersign may run on.

use std::path::PathBuf;

use domain::secret::SecretText;
use serde::Deserialize;

use super::{ConfigError, source::secret_from_file};

/// Where the event log is kept, and with it the read models: beside it in files, or in PostgreSQL.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventLogEngine {
    /// In files of the data folder: the embedded default.
    #[default]
    Sqlite,
    /// In `PostgreSQL`.
    Postgres,
    /// In KurrentDB (`EventStoreDB` from 20.6 up); everything else in PostgreSQL.
    Kurrentdb,
}

/// PostgreSQL.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Postgres {
    /// `postgres://user@host/database?sslmode=require`; it may hold the password.
    pub url: Option<SecretText>,
    /// A file that holds it.
    pub url_file: Option<PathBuf>,
    /// The password, when the url does not hold it.
    pub password: Option<SecretText>,
    /// A file that holds it.
    pub password_file: Option<PathBuf>,
    /// Certificates of those who may vouch for the server. Left out: those that the system trusts.
    pub ca_file: Option<PathBuf>,
    /// Connections, at most, besides the few that wait for news. 16.
    pub pool_size: Option<usize>,
}

impl Postgres {
    pub(super) fn resolve(&mut self) -> Result<(), ConfigError> {
        secret_from_file("postgres.url", &mut self.url, self.url_file.as_deref())?;
        secret_from_file("postgres.password", &mut self.password, self.password_file.as_deref())?;
        if self.pool_size.is_some_and(|size| size < 2) {
            return Err(ConfigError::new("postgres.pool_size", "is too small to read and write", "give at least 2"));
        }
        let Some(url) = &self.url else { return Ok(()) };
        let is_url = ["postgres://", "postgresql://"].iter().any(|scheme| url.expose().starts_with(scheme));
        if is_url {
            Ok(())
        } else {
            Err(ConfigError::new("postgres.url", "is no address of a database", "begin it with postgres://"))
        }
    }
}

/// KurrentDB.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Kurrentdb {
    /// `kurrentdb://user:password@host:2113?tls=true`, or `kurrentdb+discover://` for a cluster.
    pub url: Option<SecretText>,
    /// A file that holds it.
    pub url_file: Option<PathBuf>,
}

impl Kurrentdb {
    pub(super) fn resolve(&mut self) -> Result<(), ConfigError> {
        secret_from_file("kurrentdb.url", &mut self.url, self.url_file.as_deref())?;
        let schemes = ["kurrentdb", "kurrent", "kdb", "esdb"];
        let is_url = |url: &SecretText| {
            let scheme = url.expose().split_once("://").map_or("", |(scheme, _)| scheme);
            schemes.contains(&scheme.trim_end_matches("+discover"))
        };
        if self.url.as_ref().is_none_or(is_url) {
            Ok(())
        } else {
            Err(ConfigError::new("kurrentdb.url", "is no connection string", "begin it with kurrentdb:// or esdb://"))
        }
    }
}

/// NATS with `JetStream`, between the log and the workers.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Nats {
    /// `nats://host:4222`, or `tls://…`; several with commas between them. Left out: the workers follow the log.
    pub url: Option<String>,
    /// User name.
    pub user: Option<String>,
    /// The user's password.
    pub password: Option<SecretText>,
    /// A file that holds it.
    pub password_file: Option<PathBuf>,
    /// A token, instead of a user.
    pub token: Option<SecretText>,
    /// A file that holds it.
    pub token_file: Option<PathBuf>,
    /// A credentials file (JWT and seed), instead of a user.
    pub credentials_file: Option<PathBuf>,
    /// An `NKey`'s seed, instead of a user.
    pub nkey_seed: Option<SecretText>,
    /// A file that holds it.
    pub nkey_seed_file: Option<PathBuf>,
    /// Certificates of those who may vouch for the server. Left out: those that the system trusts.
    pub ca_file: Option<PathBuf>,
    /// Our certificate, for servers that ask for one.
    pub client_cert_file: Option<PathBuf>,
    /// Its key.
    pub client_key_file: Option<PathBuf>,
    /// Copies of the streams, in a cluster. 1.
    pub replicas: Option<usize>,
}

impl Nats {
    pub(super) fn resolve(&mut self) -> Result<(), ConfigError> {
        secret_from_file("nats.password", &mut self.password, self.password_file.as_deref())?;
        secret_from_file("nats.token", &mut self.token, self.token_file.as_deref())?;
        secret_from_file("nats.nkey_seed", &mut self.nkey_seed, self.nkey_seed_file.as_deref())?;
        let ways =
            [self.user.is_some(), self.token.is_some(), self.credentials_file.is_some(), self.nkey_seed.is_some()];
        let error = |setting: &str, problem: &str, cure: &str| Err(ConfigError::new(setting, problem, cure));
        if ways.iter().filter(|given| **given).count() > 1 {
            return error(
                "nats",
                "says more than one way to log in",
                "keep one of user, token, credentials_file, nkey_seed",
            );
        }
        if self.user.is_some() != self.password.is_some() {
            return error("nats.user", "needs a password, and a password needs a user", "give both, or neither");
        }
        if self.client_cert_file.is_some() != self.client_key_file.is_some() {
            return error("nats.client_cert_file", "needs its key, and a key its certificate", "give both, or neither");
        }
        if self.replicas.is_some_and(|count| !matches!(count, 1..=5)) {
            return error("nats.replicas", "is no number of copies that JetStream keeps", "give 1 to 5, an odd number");
        }
        Ok(())
    }
}
