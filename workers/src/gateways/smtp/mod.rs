//! Mail by SMTP.
//!
//! TLS is required unless it is switched off by name: a server that does not offer STARTTLS is refused, never used
//! in clear. The adapter drives the transaction itself, since only then a failure can be told apart: until the
//! content begins nothing was sent, and after its last line only the server knows.

mod connection;
mod mail;

use std::{fmt, path::PathBuf, sync::Arc, time::Duration};

use async_trait::async_trait;
use domain::secret::SecretText;
use lettre::{
    message::Mailbox,
    transport::smtp::{
        authentication::Credentials,
        client::{Certificate, CertificateStore, TlsParameters},
    },
};
use tokio::time::{Instant, timeout_at};

use self::{
    connection::{Connections, Server, Taken},
    mail::Composed,
};
use super::{InvalidOption, checked_timeout};
use crate::gateway::{Accepted, EmailGateway, EmailMessage, GatewayError};

/// How the connection is protected.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SmtpTls {
    /// Begun in clear and changed to TLS, always (RFC 3207); usual on port 587.
    #[default]
    Starttls,
    /// TLS from the first byte (RFC 8314); usual on port 465.
    Implicit,
    /// None. For a mail catcher on this machine.
    None,
}

impl SmtpTls {
    const fn port(self) -> u16 {
        match self {
            Self::Starttls => 587,
            Self::Implicit => 465,
            Self::None => 25,
        }
    }
}

/// How mail leaves.
#[derive(Debug, Clone)]
pub struct SmtpOptions {
    /// The mail server.
    pub host: String,
    /// Its port; left out, the usual one of `tls`.
    pub port: Option<u16>,
    /// How the connection is protected.
    pub tls: SmtpTls,
    /// User name; needs a password, and TLS.
    pub user: Option<String>,
    /// The user's password.
    pub password: Option<SecretText>,
    /// Who mails are from: `Example Shop <no-reply@example.com>`.
    pub from: String,
    /// Certificates (PEM) of those who may vouch for the server; left out, those that the system trusts.
    pub ca_file: Option<PathBuf>,
    /// A send that took this long is over: up to the content it was not sent, after it nobody knows. At most 20 s.
    pub timeout: Duration,
    /// Connections at a time, and those that are kept for the next mail.
    pub pool_size: usize,
}

impl SmtpOptions {
    /// Options for this server and sender, everything else as it is by default.
    pub fn new(host: impl Into<String>, from: impl Into<String>) -> Self {
        Self {
            host: host.into(),
            port: None,
            tls: SmtpTls::default(),
            user: None,
            password: None,
            from: from.into(),
            ca_file: None,
            timeout: Duration::from_secs(15),
            pool_size: 4,
        }
    }
}

/// The gateway.
pub struct SmtpGateway {
    from: Mailbox,
    connections: Arc<Connections>,
    timeout: Duration,
}

impl SmtpGateway {
    /// Its name in events, views and metrics.
    pub const NAME: &'static str = "smtp";

    /// A gateway by these options. It connects when there is something to send.
    pub fn new(options: SmtpOptions) -> Result<Self, InvalidOption> {
        checked_timeout(options.timeout)?;
        let cure = "give an address such as Example Shop <no-reply@example.com>";
        let from: Mailbox =
            options.from.parse().map_err(|_| InvalidOption::new("from", "is no sender's address", cure))?;
        if options.host.trim().is_empty() || options.host.contains(['/', ':', ' ']) && !options.host.contains("::") {
            return Err(InvalidOption::new("host", "is no name of a server", "give its name alone, without a port"));
        }
        if options.pool_size == 0 {
            return Err(InvalidOption::new("pool_size", "is 0, so no mail could leave", "give at least 1"));
        }
        if options.user.is_some() && options.tls == SmtpTls::None {
            let cure = "set it to starttls or implicit";
            return Err(InvalidOption::new("tls", "is none, so the password would travel in clear", cure));
        }
        let credentials = match (&options.user, &options.password) {
            (Some(user), Some(password)) => Some(Credentials::new(user.clone(), password.expose().clone())),
            (None, None) => None,
            _ => {
                let problem = "needs a password, and a password needs a user";
                return Err(InvalidOption::new("user", problem, "give both, or neither"));
            }
        };
        let tls = if options.tls == SmtpTls::None { None } else { Some(tls_of(&options)?) };
        let server = Server {
            port: options.port.unwrap_or(options.tls.port()),
            host: options.host,
            mode: options.tls,
            tls,
            credentials,
        };
        let connections = Connections::new(server, options.pool_size);
        Ok(Self { from, connections, timeout: options.timeout })
    }

    /// The mail server's address, without what is secret.
    pub fn server(&self) -> String {
        self.connections.server().address()
    }

    /// Reaches the server and logs in, sends nothing: for those who check a set-up.
    pub async fn check(&self) -> Result<(), GatewayError> {
        let deadline = Instant::now() + self.timeout;
        timeout_at(deadline, self.connections.check()).await.unwrap_or(Err(GatewayError::transient("no_answer")))
    }

    /// What is wrong with the set-up by what [`SmtpGateway::check`] says, and which settings to look at.
    pub fn cure(error: &GatewayError) -> &'static str {
        connection::cure(error.reason)
    }
}

fn tls_of(options: &SmtpOptions) -> Result<TlsParameters, InvalidOption> {
    let cure = "name a PEM file with the certificates of those who may vouch for the server";
    let mut builder = TlsParameters::builder(options.host.clone());
    if let Some(file) = &options.ca_file {
        let pem = std::fs::read(file)
            .map_err(|error| InvalidOption::new("ca_file", format!("cannot be read: {}", error.kind()), cure))?;
        let holds_one = String::from_utf8_lossy(&pem).contains("-----BEGIN CERTIFICATE-----");
        let certificates = Certificate::from_pem(&pem).ok().filter(|_| holds_one);
        let certificates = certificates.ok_or_else(|| InvalidOption::new("ca_file", "holds no certificate", cure))?;
        builder = builder.certificate_store(CertificateStore::None).add_root_certificate(certificates);
    }
    builder.build_rustls().map_err(|_| InvalidOption::new("ca_file", "holds a certificate that is none", cure))
}

#[async_trait]
impl EmailGateway for SmtpGateway {
    fn name(&self) -> &str {
        Self::NAME
    }

    async fn send(&self, message: &EmailMessage) -> Result<Accepted, GatewayError> {
        let composed = Composed::new(&self.from, message)?;
        // A third of the time is left for the content's answer: a mail whose content began too late to hear of it
        // would be sent again.
        let now = Instant::now();
        let (begin_by, end_by) = (now + self.timeout * 2 / 3, now + self.timeout);
        let mut taken: Taken = timeout_at(begin_by, self.connections.begin(&composed))
            .await
            .unwrap_or(Err(GatewayError::transient("no_answer")))?;
        let ended = timeout_at(end_by, taken.content(&composed.content)).await;
        ended.unwrap_or(Err(GatewayError::timed_out()))?;
        self.connections.keep(taken);
        Ok(Accepted { provider_message_id: Some(composed.message_id), is_delivered: false })
    }
}

impl fmt::Debug for SmtpGateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SmtpGateway({})", self.server())
    }
}
