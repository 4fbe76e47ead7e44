//! The connection: one client at a time, replaced when it is of no more use, and a time-out around every call.

use std::{
    fmt,
    panic::AssertUnwindSafe,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use eventstore::{
    AppendToStreamOptions, Authentication, Client, ClientSettings, Error, EventData, Position as ServerPosition,
    ReadAllOptions, ReadStream, ReadStreamOptions, ResolvedEvent, StreamPosition, StreamState, SubscribeToAllOptions,
    Subscription, SubscriptionFilter,
};
use futures::FutureExt;
use tokio::{runtime::Handle, time::Instant};

use super::{address, events::PREFIXES};
use crate::port::LogError;

/// A node that does not lead names the one that does, and the client turns to it: so often is it followed.
const REDIRECTIONS: u32 = 4;
/// Between them, while a cluster makes up its mind.
const REDIRECTED: Duration = Duration::from_millis(50);
/// A client is not replaced sooner than this after the last: what it cannot reach, the next cannot either.
const RENEWAL: Duration = Duration::from_millis(250);
/// How far the server looks for our events in one go, and after how many of others it says where it is.
const WINDOW: u32 = 512;

/// What went wrong in a call, as far as anyone here tells the difference.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The stream does not look as expected.
    WrongVersion,
    /// There is no such stream.
    Missing,
    /// The stream was deleted for good.
    Deleted,
    /// Wrong user or password, or a user without the right.
    Denied,
    /// The server does not lead, and who does cannot be found.
    NotLeader,
    /// The server refused it as it stands: it certainly did not happen.
    Refused(String),
    /// It never left this process.
    NotSent(String),
    /// The answer is missing: it may have happened.
    Lost(String),
    /// There was an answer that the client could not read: it may have happened.
    Garbled,
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        match error {
            Error::WrongExpectedVersion { .. } => Self::WrongVersion,
            Error::ResourceNotFound => Self::Missing,
            Error::ResourceDeleted => Self::Deleted,
            Error::AccessDenied => Self::Denied,
            Error::NotLeaderException(_) => Self::NotLeader,
            Error::UnsupportedFeature => Self::Refused("the server does not know this call".to_owned()),
            // Codes by which a server turns a request down unread. (3 invalid argument, 9 failed precondition,
            // 11 out of range.)
            Error::Grpc { code, message } if matches!(code as i32, 3 | 9 | 11) => Self::Refused(message),
            Error::Grpc { message, .. } => Self::Lost(message),
            Error::ConnectionClosed => Self::NotSent("no connection".to_owned()),
            Error::GrpcConnectionError(error) => Self::NotSent(short(&error.to_string())),
            Error::DeadlineExceeded => Self::Lost("the server took too long".to_owned()),
            Error::ServerError(status) => Self::Lost(short(&status)),
            other => Self::Lost(other.to_string()),
        }
    }
}

impl Trouble {
    /// Whether another connection may help.
    fn is_of_the_connection(&self) -> bool {
        matches!(self, Self::NotSent(_) | Self::Lost(_) | Self::NotLeader)
    }

    /// As an error of a reader.
    pub(super) fn of_reading(self) -> LogError {
        match self {
            Self::Deleted => LogError::Unreadable("the stream was deleted from KurrentDB".to_owned()),
            other => LogError::Unavailable(other.to_string()),
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WrongVersion => f.write_str("KurrentDB: the stream moved on"),
            Self::Missing => f.write_str("KurrentDB: no such stream"),
            Self::Deleted => f.write_str("KurrentDB: the stream was deleted"),
            Self::Denied => f.write_str(
                "KurrentDB refuses the user: check user and password of its url, and that the user may read $all \
                 and write streams",
            ),
            Self::NotLeader => f.write_str("KurrentDB: the cluster has no leader that can be reached"),
            Self::Refused(why) => write!(f, "KurrentDB refuses the request: {why}"),
            Self::NotSent(why) | Self::Lost(why) => write!(f, "KurrentDB: {why}"),
            Self::Garbled => f.write_str("KurrentDB sent an answer that its client cannot read"),
        }
    }
}

/// The message alone: what the client prints goes on with the headers of the answer.
fn short(status: &str) -> String {
    let message =
        status.split_once("message: \"").and_then(|(_, rest)| rest.split_once('"')).map(|(message, _)| message);
    let text = message.filter(|message| !message.is_empty()).unwrap_or(status);
    text.chars().take(200).collect()
}

/// The way to the server, or to the leader of a cluster.
///
/// The crate's client gives up for good when it once cannot connect, and stays with a node that died; so one
/// that failed is replaced by a new one, which looks for the members of the cluster again.
pub(super) struct Link {
    settings: ClientSettings,
    user: Option<Authentication>,
    timeout: Duration,
    current: Mutex<Current>,
    renewal: tokio::sync::Mutex<()>,
}

#[derive(Clone)]
struct Current {
    client: Client,
    number: u64,
    since: Instant,
}

impl Link {
    pub(super) async fn new(
        settings: ClientSettings,
        user: Option<Authentication>,
        timeout: Duration,
    ) -> Result<Self, LogError> {
        let client = client(&settings).await?;
        let current = Mutex::new(Current { client, number: 0, since: Instant::now() });
        Ok(Self { settings, user, timeout, current, renewal: tokio::sync::Mutex::new(()) })
    }

    /// The hosts it was given, for messages.
    pub(super) fn hosts(&self) -> String {
        address::hosts(&self.settings)
    }

    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    fn current(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Replaces the client of this number, unless someone did.
    pub(super) async fn renew(&self, number: u64) {
        let _alone = self.renewal.lock().await;
        let known = self.current().clone();
        if known.number != number || (number > 0 && known.since.elapsed() < RENEWAL) {
            return;
        }
        match client(&self.settings).await {
            Ok(client) => *self.current() = Current { client, number: number + 1, since: Instant::now() },
            Err(error) => tracing::warn!(%error, "the connection to KurrentDB was not replaced"),
        }
    }

    /// Asks, within the time-out, and the leader.
    pub(super) async fn call<T, F>(&self, mut ask: impl FnMut(Client) -> F) -> Result<T, Trouble>
    where
        F: Future<Output = eventstore::Result<T>>,
    {
        let mut redirections = 0;
        loop {
            let Current { client, number, .. } = self.current().clone();
            // The client takes some answers for granted and panics when they are not so.
            let asked = AssertUnwindSafe(ask(client)).catch_unwind();
            let trouble = match tokio::time::timeout(self.timeout, asked).await {
                Ok(Ok(Ok(answer))) => return Ok(answer),
                Ok(Ok(Err(error))) => error.into(),
                Ok(Err(_)) => Trouble::Garbled,
                Err(_) => Trouble::Lost(format!("no answer within {} ms", self.timeout.as_millis())),
            };
            if matches!(trouble, Trouble::NotLeader) && redirections < REDIRECTIONS {
                redirections += 1;
                tokio::time::sleep(REDIRECTED).await;
                continue;
            }
            if trouble.is_of_the_connection() {
                self.renew(number).await;
            }
            return Err(trouble);
        }
    }

    /// Appends at an expected revision; answers the last event's revision and position.
    pub(super) async fn append(
        &self,
        stream: &str,
        expected: StreamState,
        events: &[EventData],
    ) -> Result<(u64, ServerPosition), Trouble> {
        let options =
            AppendToStreamOptions::default().stream_state(expected).deadline(self.timeout).requires_leader(true);
        let options = match &self.user {
            Some(user) => options.authenticated(user.clone()),
            None => options,
        };
        let written = self
            .call(|client| {
                let (events, options) = (events.to_vec(), options.clone());
                async move { client.append_to_stream(stream, &options, events).await }
            })
            .await?;
        Ok((written.next_expected_version, written.position))
    }

    /// Events of a stream from a place on.
    pub(super) async fn read_stream(
        &self,
        stream: &str,
        from: StreamPosition<u64>,
        is_backwards: bool,
        count: usize,
    ) -> Result<Vec<ResolvedEvent>, Trouble> {
        let options = ReadStreamOptions::default().position(from).max_count(count);
        let options = if is_backwards { options.backwards() } else { options.forwards() };
        let options = options.deadline(self.timeout).requires_leader(true);
        let options = match &self.user {
            Some(user) => options.authenticated(user.clone()),
            None => options,
        };
        self.call(|client| {
            let options = options.clone();
            async move { collected(client.read_stream(stream, &options).await?, count).await }
        })
        .await
    }

    /// Events of all streams from a place on; forwards that is included, backwards it is not.
    pub(super) async fn read_all(
        &self,
        from: StreamPosition<ServerPosition>,
        is_backwards: bool,
        is_filtered: bool,
        count: usize,
    ) -> Result<Vec<ResolvedEvent>, Trouble> {
        let options = ReadAllOptions::default().position(from).max_count(count);
        let options = if is_backwards { options.backwards() } else { options.forwards() };
        let options = if is_filtered { options.filter(filter()) } else { options };
        let options = options.deadline(self.timeout).requires_leader(true);
        let options = match &self.user {
            Some(user) => options.authenticated(user.clone()),
            None => options,
        };
        self.call(|client| {
            let options = options.clone();
            async move { collected(client.read_all(&options).await?, count).await }
        })
        .await
    }

    /// A subscription after a place, and the number of the client that it goes over.
    pub(super) async fn subscribe(&self, after: StreamPosition<ServerPosition>) -> (Subscription, u64) {
        let Current { client, number, .. } = self.current().clone();
        // No retries of the client's own: it would stay with a node that died.
        let options = SubscribeToAllOptions::default().position(after).filter(filter()).requires_leader(true);
        let options = match &self.user {
            Some(user) => options.authenticated(user.clone()),
            None => options,
        };
        (client.subscribe_to_all(&options).await, number)
    }
}

fn filter() -> SubscriptionFilter {
    PREFIXES.iter().fold(SubscriptionFilter::on_stream_name().max(WINDOW), SubscriptionFilter::add_prefix)
}

async fn collected(mut stream: ReadStream, count: usize) -> eventstore::Result<Vec<ResolvedEvent>> {
    let mut events = Vec::with_capacity(count.min(1024));
    // A stream that does not exist shows here, not when it is opened.
    while let Some(event) = stream.next().await? {
        events.push(event);
    }
    Ok(events)
}

/// A new client. Making one reads certificates from the disk, and panics on a file that holds none.
async fn client(settings: &ClientSettings) -> Result<Client, LogError> {
    let settings = settings.clone();
    let made = tokio::task::spawn_blocking(move || Client::with_runtime_handle(Handle::current(), settings)).await;
    match made {
        Ok(Ok(client)) => Ok(client),
        Ok(Err(error)) => Err(LogError::Unavailable(format!("the KurrentDB url cannot be used: {error}"))),
        Err(_) => Err(LogError::Unavailable(
            "the KurrentDB url cannot be used: its tlsCaFile holds no certificate that can be read".to_owned(),
        )),
    }
}
