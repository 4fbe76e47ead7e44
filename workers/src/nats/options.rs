//! How the broker is reached and what is kept there.

use std::{fmt, path::PathBuf, time::Duration};

use domain::secret::SecretText;

use crate::backoff::Backoff;

/// The oldest server that can be used: consumers with several filters.
pub(super) const OLDEST_SERVER: (u64, u64) = (2, 10);

/// How to log in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Auth {
    /// Not at all.
    None,
    /// By a token.
    Token(SecretText),
    /// By user name and password.
    UserPassword {
        /// The user.
        user: String,
        /// The password.
        password: SecretText,
    },
    /// By a credentials file: a user's JWT and the seed that signs the server's nonce.
    CredentialsFile(PathBuf),
    /// By the text of such a file.
    Credentials(SecretText),
    /// By the seed of an `NKey`.
    NKey(SecretText),
}

impl Auth {
    /// The setting that an operator has to look at when the server refuses.
    pub(crate) const fn setting(&self) -> &'static str {
        match self {
            Self::None => "nats.user",
            Self::Token(_) => "nats.token",
            Self::UserPassword { .. } => "nats.password",
            Self::CredentialsFile(_) | Self::Credentials(_) => "nats.credentials_file",
            Self::NKey(_) => "nats.nkey_seed",
        }
    }
}

/// How the broker is reached and what is kept there. [`NatsOptions::new`] has the defaults.
#[derive(Clone, PartialEq, Eq)]
pub struct NatsOptions {
    /// `nats://host:4222` or `tls://host:4222`; several of one cluster with commas between them. No credentials.
    pub url: String,
    /// What the server calls this connection.
    pub name: String,
    /// How to log in.
    pub auth: Auth,
    /// Who may vouch for the server, instead of those whom the system trusts. Implies TLS.
    pub ca_file: Option<PathBuf>,
    /// Our certificate, for a server that asks for one. Implies TLS.
    pub client_cert_file: Option<PathBuf>,
    /// Its key.
    pub client_key_file: Option<PathBuf>,
    /// Whether a connection without TLS is refused.
    pub require_tls: bool,
    /// What messages name as their source (`CloudEvents`).
    pub source: String,
    /// Copies of the streams, in a cluster.
    pub replicas: usize,
    /// A message that comes twice within this time is kept once.
    pub dedup_window: Duration,
    /// Messages are kept this long, read or not. Longer than anything that is ordered may take.
    pub max_age: Duration,
    /// The events' stream gives up its oldest messages beyond this size; `None`: age alone decides.
    pub max_bytes: Option<u64>,
    /// What could not be carried out is kept this long.
    pub dead_max_age: Duration,
    /// A message whose worker is silent this long is handed to another.
    pub ack_wait: Duration,
    /// A message that was handed out this often goes to the dead letters.
    pub max_deliveries: u32,
    /// An order's event that is not in the log is looked for in this many deliveries.
    pub missing_deliveries: u32,
    /// How long such an order waits between them.
    pub missing_backoff: Backoff,
    /// The broker's answer is waited for this long.
    pub request_timeout: Duration,
}

impl NatsOptions {
    /// The defaults for a broker at this address.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            name: "countersign".to_owned(),
            auth: Auth::None,
            ca_file: None,
            client_cert_file: None,
            client_key_file: None,
            require_tls: false,
            source: "urn:countersign".to_owned(),
            replicas: 1,
            dedup_window: Duration::from_mins(5),
            max_age: Duration::from_hours(7 * 24),
            max_bytes: None,
            dead_max_age: Duration::from_hours(30 * 24),
            ack_wait: Duration::from_secs(10),
            max_deliveries: 500,
            missing_deliveries: 10,
            missing_backoff: Backoff { first: Duration::from_secs(1), most: Duration::from_secs(30) },
            request_timeout: Duration::from_secs(5),
        }
    }

    pub(crate) fn needs_tls(&self) -> bool {
        self.require_tls || self.ca_file.is_some() || self.client_cert_file.is_some()
    }
}

impl fmt::Debug for NatsOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The rest are numbers that say little; an address may still hold a password that is about to be refused.
        f.debug_struct("NatsOptions").field("name", &self.name).field("auth", &self.auth).finish_non_exhaustive()
    }
}
