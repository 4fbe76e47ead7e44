//! Connections to the mail server: made, kept, and used for one transaction at a time.
//!
//! A transaction owns its connection and gives it back only after the server's last word. One that is dropped on
//! the way (a time-out, a worker that stops) closes it: a connection with an answer outstanding would give that
//! answer to the next mail.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use lettre::transport::smtp::{
    Error,
    authentication::{Credentials, DEFAULT_MECHANISMS},
    client::{AsyncSmtpConnection, TlsParameters},
    commands::{Data, Mail, Rcpt},
    extension::ClientId,
    response::Response,
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};

use super::{SmtpTls, mail::Composed};
use crate::gateway::GatewayError;

/// Servers close what is idle after some minutes (RFC 5321, 4.5.3.2.7: five); we do it earlier.
const IDLE: Duration = Duration::from_mins(1);

/// Where mail is handed in.
pub(super) struct Server {
    pub host: String,
    pub port: u16,
    pub mode: SmtpTls,
    pub tls: Option<TlsParameters>,
    pub credentials: Option<Credentials>,
}

/// The connections to one server.
pub(super) struct Connections {
    server: Server,
    idle: Mutex<Vec<(AsyncSmtpConnection, Instant)>>,
    permits: Arc<Semaphore>,
}

/// A connection with a transaction under way: sender and recipient are taken, the content may follow.
pub(super) struct Taken {
    connection: AsyncSmtpConnection,
    _permit: OwnedSemaphorePermit,
}

/// Why a transaction did not begin.
enum Failure {
    /// The server's word on this mail.
    Refused(GatewayError),
    /// The connection is of no use. An old one may only have been closed meanwhile.
    Broken,
}

impl Server {
    pub fn address(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// A connection that is protected and logged in.
    async fn connect(&self) -> Result<AsyncSmtpConnection, GatewayError> {
        let hello = ClientId::default();
        let implicit = self.tls.clone().filter(|_| self.mode == SmtpTls::Implicit);
        let server = (self.host.as_str(), self.port);
        let mut connection = AsyncSmtpConnection::connect_tokio1(server, None, &hello, implicit, None)
            .await
            .map_err(|error| self.unusable(if is_tls(&error) { "tls_refused" } else { "unreachable" }))?;
        if self.mode == SmtpTls::Starttls {
            let Some(tls) = self.tls.clone().filter(|_| connection.can_starttls()) else {
                return Err(self.unusable("no_starttls"));
            };
            connection.starttls(tls, &hello).await.map_err(|_| self.unusable("tls_refused"))?;
        }
        if let Some(credentials) = &self.credentials {
            connection.auth(DEFAULT_MECHANISMS, credentials).await.map_err(|error| {
                self.unusable(if error.is_permanent() || error.is_client() { "login_refused" } else { "unreachable" })
            })?;
        }
        Ok(connection)
    }

    /// A fault of the set-up, not of a mail: it is worth an operator's look, and the mail may wait for the cure.
    fn unusable(&self, word: &'static str) -> GatewayError {
        let cure = cure(word);
        tracing::warn!(server = self.address(), cure, "no mail can be handed in");
        GatewayError::transient(word)
    }
}

/// What is wrong with the set-up, and where to look.
pub(super) fn cure(word: &str) -> &'static str {
    match word {
        "no_starttls" => "it offers no STARTTLS: set smtp.tls to implicit, or mend the server",
        "tls_refused" => "its certificate is not trusted: see smtp.ca_file and smtp.host",
        "login_refused" => "it takes none of our credentials: see smtp.user and smtp.password",
        "no_answer" => "it does not answer in time: see smtp.host, smtp.port and smtp.tls",
        _ => "it cannot be reached: see smtp.host and smtp.port",
    }
}

/// Whether TLS was what failed: rustls tells of it as invalid data.
fn is_tls(error: &Error) -> bool {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(inner) = source {
        if inner.downcast_ref::<std::io::Error>().is_some_and(|io| io.kind() == std::io::ErrorKind::InvalidData) {
            return true;
        }
        source = inner.source();
    }
    error.is_tls()
}

impl Connections {
    pub fn new(server: Server, most: usize) -> Arc<Self> {
        Arc::new(Self { server, idle: Mutex::default(), permits: Arc::new(Semaphore::new(most)) })
    }

    pub const fn server(&self) -> &Server {
        &self.server
    }

    pub async fn check(&self) -> Result<(), GatewayError> {
        let connection = self.server.connect().await?;
        self.put_back(connection);
        Ok(())
    }

    /// Begins a transaction: sender, recipient, and the server's word that the content may follow.
    pub async fn begin(&self, mail: &Composed) -> Result<Taken, GatewayError> {
        let busy = || GatewayError::transient("busy");
        let permit = Arc::clone(&self.permits).acquire_owned().await.map_err(|_| busy())?;
        while let Some(mut connection) = self.kept() {
            match announce(&mut connection, mail).await {
                Ok(()) => return Ok(Taken { connection, _permit: permit }),
                Err(Failure::Refused(error)) => return Err(error),
                Err(Failure::Broken) => {}
            }
        }
        let mut connection = self.server.connect().await?;
        match announce(&mut connection, mail).await {
            Ok(()) => Ok(Taken { connection, _permit: permit }),
            Err(Failure::Refused(error)) => Err(error),
            Err(Failure::Broken) => Err(GatewayError::transient("unreachable")),
        }
    }

    /// Keeps a connection for the next mail.
    pub fn keep(&self, taken: Taken) {
        self.put_back(taken.connection);
    }

    fn put_back(&self, connection: AsyncSmtpConnection) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.push((connection, Instant::now()));
    }

    /// The connection that was used last, unless it is too old; older ones are closed.
    fn kept(&self) -> Option<AsyncSmtpConnection> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|(_, since)| since.elapsed() < IDLE);
        idle.pop().map(|(connection, _)| connection)
    }
}

impl Taken {
    /// Sends the content. From its last line on only the server knows whether it has taken the mail.
    pub async fn content(&mut self, content: &[u8]) -> Result<(), GatewayError> {
        match self.connection.message(content).await {
            Ok(response) if response.has_code(250) => Ok(()),
            Err(error) if error.is_permanent() => Err(GatewayError::hard("content_refused")),
            Err(error) if error.is_transient() => Err(GatewayError::transient("put_off")),
            Ok(_) | Err(_) => Err(GatewayError::timed_out()),
        }
    }
}

/// Each answer must be the one to its command, by its code: an answer that was smuggled in before TLS began (as
/// into many clients, CVE-2021-33515 and its kin) would shift all others, and a refusal pass for a yes.
async fn announce(connection: &mut AsyncSmtpConnection, mail: &Composed) -> Result<(), Failure> {
    let sender = connection.command(Mail::new(Some(mail.from.clone()), Vec::new())).await;
    expect(sender, &[250], "sender_refused")?;
    let recipient = connection.command(Rcpt::new(mail.to.clone(), Vec::new())).await;
    expect(recipient, &[250, 251], "address_refused")?;
    expect(connection.command(Data).await, &[354], "content_refused")
}

fn expect(answer: Result<Response, Error>, codes: &[u16], hard: &'static str) -> Result<(), Failure> {
    match answer {
        Ok(response) if codes.iter().any(|code| response.has_code(*code)) => Ok(()),
        // 421: the server is closing the connection, whatever was asked (RFC 5321, 3.8).
        Err(error) if error.status().is_some_and(|code| u16::from(code) == 421) => Err(Failure::Broken),
        Err(error) if error.is_permanent() => Err(Failure::Refused(GatewayError::hard(hard))),
        Err(error) if error.is_transient() => Err(Failure::Refused(GatewayError::transient("put_off"))),
        Ok(_) | Err(_) => Err(Failure::Broken),
    }
}
