//! The log on `KurrentDB` (or `EventStoreDB`, from 20.6 on), through its official client.
//!
//! Streams carry our names, a position is the commit position of its event, and `$all` is read and followed
//! through the server's filter (ADR 0014). Data keys, snapshots and receipts live in `PostgreSQL`
//! ([`PostgresSideStore`]).
//! No type of the client leaves this folder.

mod address;
mod events;
mod finished;
mod follower;
mod link;
mod log;
mod receipts;
mod tail;

use std::{sync::Arc, time::Duration};

use domain::secret::SecretText;
use schemas::envelope::Position;
use tokio_util::sync::CancellationToken;

use self::{
    link::{Link, Trouble},
    tail::Tail,
};
use crate::{
    port::LogError,
    postgres::{PostgresSideStore, Tidying},
    tail::Newest,
};

/// The first version that the client's protocol is spoken by.
const OLDEST: (usize, usize) = (20, 6);

/// Where the server is and how it is used.
#[derive(Debug, Clone)]
pub struct KurrentOptions {
    /// Connection string: `kurrentdb://user:password@host:2113?tls=true`, or `esdb://`, or `kdb://`.
    pub url: SecretText,
    /// Around every call. 5 seconds.
    pub timeout: Duration,
    /// The newest events that are kept in memory for subscribers. 2,048.
    pub tail: usize,
}

impl KurrentOptions {
    /// The server of a connection string, used as usual.
    pub fn new(url: SecretText) -> Self {
        Self { url, timeout: Duration::from_secs(5), tail: 2_048 }
    }
}

/// The event log on `KurrentDB`.
pub struct KurrentStore {
    link: Arc<Link>,
    newest: Arc<Newest<Tail>>,
    side: Arc<PostgresSideStore>,
    tidying: Arc<Tidying>,
    /// Whether the server filters reads of `$all` (from 21.10 on) and not only subscriptions.
    is_filtered: bool,
    cancel: CancellationToken,
}

impl KurrentStore {
    /// Connects, sees that it is a server that will do and that the user may read `$all`, and follows the log
    /// from its end.
    pub async fn open(options: KurrentOptions, side: Arc<PostgresSideStore>) -> Result<Self, LogError> {
        let (settings, user) = address::parse(&options.url)?;
        let link = Arc::new(Link::new(settings, user, options.timeout).await?);
        let hosts = link.hosts();
        let info = link.call(|client| async move { client.server_info().await }).await.map_err(|trouble| {
            LogError::Unavailable(format!(
                "no KurrentDB answers at {hosts} ({trouble}): check its url, and whether tls=true or tls=false fits"
            ))
        })?;
        let version = info.version();
        // Servers before 21.6 do not tell theirs.
        if version.major() != 0 && (version.major(), version.minor()) < OLDEST {
            return Err(LogError::Unavailable(format!(
                "the server at {hosts} is of version {version}: it must be 20.6 or newer"
            )));
        }
        let newest = Arc::new(Newest::new(Tail::new(Position::START, 0), Position::START));
        let cancel = CancellationToken::new();
        let mut store = Self { link, newest, side, tidying: Arc::new(Tidying::new()), is_filtered: true, cancel };
        let last = match store.last(true).await {
            Ok(last) => last,
            Err(Trouble::Denied) => return Err(Trouble::Denied.of_reading()),
            // Older servers refuse a filter here, some of them with a code that says nothing.
            Err(_) => {
                store.is_filtered = false;
                store.last(false).await.map_err(|trouble| {
                    LogError::Unavailable(format!(
                        "what answers at {hosts} is no KurrentDB that can be read ({trouble})"
                    ))
                })?
            }
        };
        *store.newest.tail() = Tail::new(last, options.tail);
        store.newest.announce(last);
        follower::spawn(Arc::clone(&store.link), Arc::clone(&store.newest), last, store.cancel.clone());
        let (side, tidying) = (Arc::clone(&store.side), Arc::clone(&store.tidying));
        tokio::spawn(receipts::tidy(side, tidying, store.cancel.clone()));
        Ok(store)
    }

    /// Stops following. What is in flight is finished.
    pub fn close(&self) {
        self.cancel.cancel();
    }
}

impl Drop for KurrentStore {
    fn drop(&mut self) {
        self.close();
    }
}

impl std::fmt::Debug for KurrentStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KurrentStore").field("position", &self.newest.position()).finish_non_exhaustive()
    }
}
