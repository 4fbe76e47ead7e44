//! What the endpoints work with.

use std::{collections::BTreeMap, net::IpAddr, sync::Arc, time::Duration};

use domain::{
    api_key::ApiKey,
    entropy::Entropy,
    ids::{ApiKeyId, StreamId},
    time::{Seconds, Timestamp},
};
use engine::Engine;
use ipnet::IpNet;
use operations::Operations;
use projections::Views;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use crate::{problem::Problem, receipts::ReceiptVerifiers};

/// API keys that are kept ready.
const KEYS_KEPT: usize = 1_000;

/// What [`router`](crate::router) is given.
#[derive(Clone)]
pub struct ApiState {
    /// The one path by which a command becomes events.
    pub engine: Engine,
    /// The read models.
    pub views: Arc<Views>,
    /// What is kept beside the log: last use of sessions, the inbox.
    pub operations: Arc<Operations>,
    /// Settings.
    pub config: ApiConfig,
    /// Ends streams of events, which would otherwise outlast every patience.
    pub shutdown: CancellationToken,
}

/// Settings of the HTTP interface.
#[derive(Debug, Clone)]
pub struct ApiConfig {
    /// What authenticator apps show as the issuer.
    pub issuer: String,
    /// Where the service is reached, for the OpenAPI document; relative when left out.
    pub public_url: Option<String>,
    /// Whether the two-factor API of vast.ai is served beside ours.
    pub drop_in: bool,
    /// Peers whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Who may read the development inbox.
    pub dev_inbox: DevInbox,
    /// The gateways that send receipts.
    pub receipts: ReceiptVerifiers,
    /// The largest body in bytes.
    pub body_limit: usize,
    /// A request that takes longer is answered as unavailable. Streams of events are exempt once they began.
    pub request_timeout: Duration,
    /// How long a query waits for its view.
    pub view_wait: Duration,
}

impl Default for ApiConfig {
    fn default() -> Self {
        Self {
            issuer: "Countersign".to_owned(),
            public_url: None,
            drop_in: true,
            trusted_proxies: Vec::new(),
            dev_inbox: DevInbox::Off,
            receipts: ReceiptVerifiers::default(),
            body_limit: 64 * 1024,
            request_timeout: Duration::from_secs(30),
            view_wait: Duration::from_secs(2),
        }
    }
}

/// Who may read the development inbox.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum DevInbox {
    /// Nobody: messages go elsewhere, or the listener is open to the network.
    #[default]
    Off,
    /// Programs of this machine, with a loopback `Host` and without a proxy. Only for a loopback listener.
    Loopback,
    /// Whoever reaches the listener.
    Exposed,
}

/// The state behind every handler: one pointer to clone.
pub(crate) type App = Arc<AppState>;

pub(crate) struct AppState {
    pub engine: Engine,
    pub views: Arc<Views>,
    pub operations: Arc<Operations>,
    pub config: ApiConfig,
    pub shutdown: CancellationToken,
    keys: Mutex<BTreeMap<ApiKeyId, (Timestamp, Arc<ApiKey>)>>,
}

impl AppState {
    pub fn new(state: ApiState) -> App {
        let ApiState { engine, views, operations, config, shutdown } = state;
        Arc::new(Self { engine, views, operations, config, shutdown, keys: Mutex::default() })
    }
    pub fn now(&self) -> Timestamp {
        self.engine.now()
    }
    /// The random part of something new.
    pub fn entropy(&self) -> Result<Entropy, Problem> {
        self.engine.runtime().entropy().map_err(|error| Problem::unavailable(error.to_string()))
    }
    /// An API client's key, at most a second behind the log: its stream is short, but it is asked for with
    /// every request of a client.
    pub async fn api_key(&self, id: ApiKeyId) -> Result<Arc<ApiKey>, Problem> {
        let now = self.now();
        let fresh = |read_at: Timestamp| now >= read_at && now < read_at.plus(Seconds(1));
        if let Some((read_at, key)) = self.keys.lock().await.get(&id)
            && fresh(*read_at)
        {
            return Ok(Arc::clone(key));
        }
        let loaded = self.engine.load_stream::<ApiKey>(&StreamId::ApiKey(id)).await?;
        let key = loaded.state;
        if key.issued.is_some() {
            let mut keys = self.keys.lock().await;
            if keys.len() >= KEYS_KEPT {
                keys.retain(|_, (read_at, _)| fresh(*read_at));
            }
            if keys.len() < KEYS_KEPT {
                keys.insert(id, (now, Arc::clone(&key)));
            }
        }
        Ok(key)
    }
    /// Forgets a key that was just ended here.
    pub async fn forget_api_key(&self, id: ApiKeyId) {
        self.keys.lock().await.remove(&id);
    }
    /// Carries work to its end in a task of its own: a caller that hangs up, or a time-out, drops the request
    /// but not what must follow once the log has it.
    pub async fn to_its_end<T: Send + 'static>(
        &self,
        name: &'static str,
        work: impl Future<Output = Result<T, Problem>> + Send + 'static,
    ) -> Result<T, Problem> {
        self.engine.runtime().spawn(name, work).await.map_err(|_| Problem::internal("a command was interrupted"))?
    }
    /// Whether nothing is said of a proxy before us.
    pub fn stands_alone(&self) -> bool {
        self.config.public_url.is_none() && self.config.trusted_proxies.is_empty()
    }
    pub fn is_trusted_proxy(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        self.config.trusted_proxies.iter().any(|net| net.contains(&peer))
    }
}
