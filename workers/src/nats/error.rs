//! Why the broker cannot be used: one line that names the setting and the cure.

use std::{error::Error as _, fmt};

use async_nats::{
    ConnectError, ConnectErrorKind,
    jetstream::{
        ErrorCode,
        context::{AccountError, AccountErrorKind},
    },
    rustls,
};

use super::options::{NatsOptions, OLDEST_SERVER};

/// Why the broker cannot be used: what is wrong with which setting, and what helps. Never a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokerError {
    setting: &'static str,
    problem: String,
    cure: &'static str,
}

impl BrokerError {
    pub(crate) fn new(setting: &'static str, problem: impl Into<String>, cure: &'static str) -> Self {
        Self { setting, problem: problem.into(), cure }
    }
    /// The setting to look at.
    pub const fn setting(&self) -> &'static str {
        self.setting
    }
    /// What is wrong.
    pub fn problem(&self) -> &str {
        &self.problem
    }
    /// What helps.
    pub const fn cure(&self) -> &'static str {
        self.cure
    }
}

impl fmt::Display for BrokerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "setting {}: {}; {}", self.setting, self.problem, self.cure)
    }
}

impl std::error::Error for BrokerError {}

/// Why no connection came about.
pub(super) fn of_connect(options: &NatsOptions, error: &ConnectError) -> BrokerError {
    let url = &options.url;
    match error.kind() {
        ConnectErrorKind::ServerParse => {
            BrokerError::new("nats.url", format!("{url} is no address of a NATS server"), "write nats://host:4222")
        }
        ConnectErrorKind::Dns => {
            BrokerError::new("nats.url", format!("the host of {url} is not known"), "correct the name, or the DNS")
        }
        ConnectErrorKind::Authentication => BrokerError::new(
            options.auth.setting(),
            "cannot be used to log in: it does not sign the server's challenge",
            "give the credentials as the tool that made them wrote them",
        ),
        ConnectErrorKind::AuthorizationViolation => refused(options),
        ConnectErrorKind::TimedOut => unreachable(options, "it did not answer"),
        ConnectErrorKind::Tls => tls(options, &innermost(error)),
        ConnectErrorKind::Io | ConnectErrorKind::MaxReconnects => {
            let text = innermost(error);
            let is_tls = is_tls(error);
            let lower = text.to_ascii_lowercase();
            if is_tls {
                tls(options, &text)
            } else if lower.contains("authentic") || lower.contains("authoriz") {
                refused(options)
            } else if lower.contains("secure connection") {
                tls(options, "the server insists on it")
            } else {
                unreachable(options, &text)
            }
        }
    }
}

fn unreachable(options: &NatsOptions, why: &str) -> BrokerError {
    BrokerError::new(
        "nats.url",
        format!("no NATS server can be reached at {}: {why}", options.url),
        "start it, or correct the address",
    )
}

fn refused(options: &NatsOptions) -> BrokerError {
    let problem = match options.auth {
        super::Auth::None => "the NATS server asks for credentials, and none are configured",
        _ => "the NATS server refuses these credentials",
    };
    BrokerError::new(
        options.auth.setting(),
        problem,
        "give those of a user of its account (user, token, credentials_file or nkey_seed)",
    )
}

fn tls(options: &NatsOptions, why: &str) -> BrokerError {
    if options.client_cert_file.is_none() && why.contains("CertificateRequired") {
        return BrokerError::new(
            "nats.client_cert_file",
            "the NATS server asks for a certificate, and none is configured",
            "give one that it knows, and its key",
        );
    }
    BrokerError::new(
        "nats.ca_file",
        format!("no TLS connection to {}: {why}", options.url),
        "name the file of those who vouch for the server's certificate, and the server as its certificate does",
    )
}

/// Why its answer about `JetStream` was none.
pub(super) fn of_account(options: &NatsOptions, error: &AccountError, server_error: Option<&str>) -> BrokerError {
    let off = "run the server with JetStream (`nats-server -js`, or jetstream { store_dir: … } in its file)";
    match error.kind() {
        AccountErrorKind::JetStream(inner) if inner.error_code() == ErrorCode::JETSTREAM_NOT_ENABLED_FOR_ACCOUNT => {
            BrokerError::new(
                options.auth.setting(),
                "JetStream is not enabled for this user's account",
                "give the account JetStream limits, or log in to one that has them",
            )
        }
        AccountErrorKind::JetStream(_) | AccountErrorKind::JetStreamUnavailable => {
            BrokerError::new("nats.url", format!("the NATS server at {} has no JetStream", options.url), off)
        }
        AccountErrorKind::TimedOut | AccountErrorKind::Other => match server_error {
            Some(text) => not_permitted(options, text),
            None => unreachable(options, "it did not say whether it has JetStream"),
        },
    }
}

/// The user lacks a permission.
pub(super) fn not_permitted(options: &NatsOptions, refused: &str) -> BrokerError {
    BrokerError::new(
        options.auth.setting(),
        format!("the user may not do what is needed: {refused}"),
        "permit it to publish to $JS.> and countersign.> and to subscribe to _INBOX.>",
    )
}

/// The server lacks what consumers need.
pub(super) fn too_old(version: &str) -> BrokerError {
    let (major, minor) = OLDEST_SERVER;
    BrokerError::new(
        "nats.url",
        format!("the NATS server is version {version}, and {major}.{minor} is the oldest that can be used"),
        "run a later server",
    )
}

fn innermost(error: &dyn std::error::Error) -> String {
    let mut last = error.to_string();
    let mut at = error.source();
    while let Some(inner) = at {
        last = inner.to_string();
        at = inner.source();
    }
    last
}

fn is_tls(error: &ConnectError) -> bool {
    let mut at = error.source();
    while let Some(inner) = at {
        let within = inner.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        if inner.is::<rustls::Error>() || within.is_some_and(<dyn std::error::Error + Send + Sync>::is::<rustls::Error>)
        {
            return true;
        }
        at = inner.source();
    }
    false
}
