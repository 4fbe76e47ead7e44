//! The connection to the broker.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_nats::{
    Client, ConnectOptions, Event, HeaderMap, ServerAddr, ServerError,
    jetstream::{Context, context::ContextBuilder},
    rustls,
};
use tokio::sync::watch;

use super::{
    declare::{self, Reads},
    error::{self, BrokerError},
    options::{Auth, NatsOptions, OLDEST_SERVER},
};

/// Publishes whose acknowledgement may be outstanding.
const MOST_UNACKNOWLEDGED: usize = 8_192;

/// A server that was left is looked for again at most this long after the last try.
const LONGEST_RECONNECT_PAUSE: Duration = Duration::from_millis(500);

/// The connection to the broker; it comes back by itself.
pub struct Broker {
    pub(super) client: Client,
    pub(super) context: Context,
    pub(super) options: NatsOptions,
    link: Arc<Link>,
}

/// What a look at the broker found, nothing changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokerState {
    /// The server's version.
    pub version: String,
    /// What the next start would declare or change.
    pub differences: Vec<String>,
    /// Messages that could not be carried out and wait for someone.
    pub dead_letters: u64,
}

/// What is known of the connection.
struct Link {
    /// Rises with every return after a loss.
    returns: watch::Sender<u64>,
    last_error: Mutex<Option<String>>,
    is_lost: Mutex<bool>,
}

impl Link {
    fn note(&self, event: &Event) {
        let mut is_lost = self.is_lost.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::Connected if *is_lost => {
                *is_lost = false;
                tracing::info!("the broker is back");
                self.returns.send_modify(|count| *count += 1);
            }
            Event::Disconnected => {
                *is_lost = true;
                tracing::warn!("the connection to the broker is lost, connecting again");
            }
            Event::ServerError(ServerError::Other(text)) => {
                tracing::warn!(error = text, "the broker refused something");
                *self.last_error.lock().unwrap_or_else(PoisonError::into_inner) = Some(text.clone());
            }
            event => tracing::debug!(%event, "the broker's connection"),
        }
    }
}

impl Broker {
    /// Reaches the broker and declares the streams, changing what is declared otherwise.
    pub async fn connect(options: &NatsOptions) -> Result<Arc<Self>, BrokerError> {
        let broker = Self::reach(options).await?;
        broker.declare_streams().await?;
        Ok(Arc::new(broker))
    }

    /// Looks at the broker and changes nothing.
    pub async fn look(options: &NatsOptions) -> Result<BrokerState, BrokerError> {
        let broker = Self::reach(options).await?;
        let (differences, dead_letters) = declare::look(&broker).await?;
        Ok(BrokerState { version: broker.client.server_info().version, differences, dead_letters })
    }

    /// Reaches a broker that was set up before; nothing is declared.
    pub async fn reach(options: &NatsOptions) -> Result<Self, BrokerError> {
        // Which of several TLS implementations is meant has to be said once in a process.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let addresses = addresses(&options.url)?;
        let link =
            Arc::new(Link { returns: watch::channel(0).0, last_error: Mutex::default(), is_lost: Mutex::new(false) });
        let noted = Arc::clone(&link);
        let connect = connect_options(options).await?.event_callback(move |event| {
            let link = Arc::clone(&noted);
            async move { link.note(&event) }
        });
        let client = connect.connect(addresses).await.map_err(|error| error::of_connect(options, &error))?;
        let version = client.server_info().version;
        if is_too_old(&version) {
            return Err(error::too_old(&version));
        }
        let context = ContextBuilder::new()
            .timeout(options.request_timeout)
            .max_ack_inflight(MOST_UNACKNOWLEDGED)
            .build(client.clone());
        let broker = Self { client, context, options: options.clone(), link };
        broker
            .context
            .query_account()
            .await
            .map_err(|error| error::of_account(options, &error, broker.last_error().as_deref()))?;
        Ok(broker)
    }

    /// Declares the streams, changing what is declared otherwise; says what was changed.
    pub async fn declare_streams(&self) -> Result<Vec<String>, BrokerError> {
        declare::streams(self).await
    }

    pub(super) async fn declare_consumer(&self, reads: &Reads) -> Result<declare::PullConsumer, BrokerError> {
        declare::consumer(self, reads).await
    }

    /// Moves whenever the connection came back after a loss: what was under way may be gone.
    pub(super) fn returns(&self) -> watch::Receiver<u64> {
        self.link.returns.subscribe()
    }

    pub(super) fn is_connected(&self) -> bool {
        self.client.connection_state() == async_nats::connection::State::Connected
    }

    /// The last thing that the server refused outside an answer.
    pub(super) fn last_error(&self) -> Option<String> {
        self.link.last_error.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl fmt::Debug for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Broker").field("options", &self.options).finish_non_exhaustive()
    }
}

/// Text of a header, empty where there is none.
pub(super) fn header<'a>(headers: Option<&'a HeaderMap>, name: &str) -> &'a str {
    headers.and_then(|headers| headers.get(name)).map_or("", async_nats::HeaderValue::as_str)
}

fn addresses(url: &str) -> Result<Vec<ServerAddr>, BrokerError> {
    if url.contains('@') {
        return Err(BrokerError::new(
            "nats.url",
            "holds credentials, which would show up in logs",
            "put them into nats.user and nats.password_file",
        ));
    }
    let parse = |part: &str| part.trim().parse::<ServerAddr>().ok().filter(|_| !part.trim().is_empty());
    url.split(',').map(parse).collect::<Option<Vec<_>>>().ok_or_else(|| {
        BrokerError::new("nats.url", format!("{url} is no address of a NATS server"), "write nats://host:4222")
    })
}

fn is_too_old(version: &str) -> bool {
    let mut numbers = version.split('.').map_while(|part| part.parse::<u64>().ok());
    let Some(major) = numbers.next() else { return false };
    (major, numbers.next().unwrap_or(0)) < OLDEST_SERVER
}

async fn connect_options(options: &NatsOptions) -> Result<ConnectOptions, BrokerError> {
    let unreadable = |cause: &std::io::Error| {
        BrokerError::new(options.auth.setting(), format!("cannot be read: {cause}"), "give a file of JWT and seed")
    };
    let mut connect = ConnectOptions::new()
        .name(&options.name)
        .connection_timeout(options.request_timeout)
        .request_timeout(Some(options.request_timeout))
        .ping_interval(Duration::from_secs(10))
        .require_tls(options.needs_tls())
        .reconnect_delay_callback(|attempts| {
            let doublings = u32::try_from(attempts).unwrap_or(u32::MAX).min(9);
            if attempts <= 1 {
                Duration::ZERO
            } else {
                Duration::from_millis(1 << doublings).min(LONGEST_RECONNECT_PAUSE)
            }
        });
    connect = match &options.auth {
        Auth::None => connect,
        Auth::Token(token) => connect.token(token.expose().clone()),
        Auth::UserPassword { user, password } => connect.user_and_password(user.clone(), password.expose().clone()),
        Auth::CredentialsFile(path) => connect.credentials_file(path).await.map_err(|error| unreadable(&error))?,
        Auth::Credentials(text) => connect.credentials(text.expose()).map_err(|error| unreadable(&error))?,
        Auth::NKey(seed) => connect.nkey(seed.expose().trim().to_owned()),
    };
    for (setting, file) in [
        ("nats.ca_file", &options.ca_file),
        ("nats.client_cert_file", &options.client_cert_file),
        ("nats.client_key_file", &options.client_key_file),
    ] {
        if let Some(path) = file {
            tokio::fs::metadata(path).await.map_err(|error| {
                BrokerError::new(setting, format!("{} cannot be read: {error}", path.display()), "name a PEM file")
            })?;
        }
    }
    if let Some(path) = &options.ca_file {
        connect = connect.add_root_certificates(path.clone());
    }
    if let (Some(cert), Some(key)) = (&options.client_cert_file, &options.client_key_file) {
        connect = connect.add_client_certificate(cert.clone(), key.clone());
    }
    Ok(connect)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_before_the_oldest_are_told_from_later_ones() {
        for version in ["2.9.25", "1.4.1", "2.9.0-beta.1"] {
            assert!(is_too_old(version), "{version}");
        }
        for version in ["2.10.0", "2.15.1", "3.0.0", "2.12.0-preview.1", "unknown"] {
            assert!(!is_too_old(version), "{version}");
        }
    }

    #[test]
    fn an_address_with_a_password_is_refused_and_not_repeated() {
        let Err(error) = addresses("nats://ada:hunter2@example.com") else { unreachable!() };
        assert!(!error.to_string().contains("hunter2"));
        assert_eq!(error.setting(), "nats.url");
        assert!(addresses("nats://a:4222, tls://b:4222").is_ok_and(|addresses| addresses.len() == 2));
        assert!(addresses("").is_err());
    }
}
