//! `serve`: starts what the roles ask for, says where to go, and stops in order.

use std::{
    io::{self, Write},
    net::SocketAddr,
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use api::{ApiConfig, ApiState, ReceiptVerifiers};
use metrics_exporter_prometheus::PrometheusHandle;
use projections::Views;
use tokio::{net::TcpListener, signal::unix, task::JoinSet};
use tokio_util::sync::CancellationToken;
use workers::{InboxGateway, Source, WorkersConfig};

use crate::{
    Failure,
    config::{Config, ConfigError, DevInbox, EventLogEngine, Http},
    engines::{Opened, Opening},
    gateways::{self, Carriers},
    http::{self, Places},
    role::Role,
    telemetry,
};

/// After the first signal, what is in flight may take this long.
const STOP_WITHIN: Duration = Duration::from_secs(30);

/// Serves until told to stop.
pub async fn serve(config: &Config, metrics: PrometheusHandle) -> Result<ExitCode, Failure> {
    let mut signals = Signals::listen()?;
    let (carriers, receipts) = (Carriers::of(config)?, gateways::receipts(config)?);
    // Before anything is opened: a set-up that cannot work writes nothing.
    let source = source(config).await?;
    let listener = if config.roles().contains(&Role::Api) { Some(listen(config.listen).await?) } else { None };
    let opened = Opened::open(config, Opening::Create).await?;
    let metrics_listener = telemetry::metrics_listener(config.metrics_listen).await?;
    let views = opened.views(config).await?;

    let stop = CancellationToken::new();
    let stop_background = CancellationToken::new();
    let mut requests = JoinSet::new();
    let mut background = JoinSet::new();
    let addresses = Addresses {
        api: listener.as_ref().and_then(|listener| listener.local_addr().ok()),
        metrics: metrics_listener.local_addr().map_err(Failure::other)?,
    };
    if config.roles().contains(&Role::Projections) {
        let (views, cancel) = (Arc::clone(&views), stop_background.clone());
        background.spawn(async move {
            if let Err(error) = views.run(cancel).await {
                tracing::error!(%error, "the views stopped; everything else goes on");
            }
        });
    }
    spawn_relay(config, &opened, &source, &stop_background, &mut background);
    spawn_workers(config, &opened, (source, carriers), &stop_background, &mut background);
    background.spawn(telemetry::keep_metrics_small(metrics.clone(), stop_background.clone()));
    let router = telemetry::metrics_router(metrics);
    let places = Places::new(config.http.connections, config.http.connections_per_source, Vec::new());
    let patience = config.http.patience();
    background.spawn(http::serve(metrics_listener, router, patience, places, stop_background.clone()));
    if let Some(listener) = listener {
        let serving = Serving { config, opened: &opened, views: &views, receipts };
        spawn_api(serving, listener, stop.clone(), &mut requests)?;
    }
    addresses.tell(config)?;
    if config.dev_inbox == DevInbox::Exposed {
        tracing::warn!("dev_inbox is exposed: whoever reaches this server can read every code");
    }

    signals.wait().await;
    tracing::info!("stopping: finishing what is in flight; another signal stops at once");
    stop.cancel();
    let in_order = async {
        while requests.join_next().await.is_some() {}
        stop_background.cancel();
        while background.join_next().await.is_some() {}
        views.close().await;
        opened.close().await;
    };
    tokio::select! {
        biased;
        () = in_order => {
            tracing::info!("stopped");
            Ok(ExitCode::SUCCESS)
        }
        () = signals.wait() => Err(Failure::other("stopped at once: what was in flight is unfinished, nothing acknowledged is lost")),
        () = tokio::time::sleep(STOP_WITHIN) => Err(Failure::other("stopped after 30 seconds: something did not finish; nothing acknowledged is lost")),
    }
}

async fn listen(address: SocketAddr) -> Result<TcpListener, Failure> {
    Ok(TcpListener::bind(address).await.map_err(|error| telemetry::cannot_listen("listen", address, &error))?)
}

/// What the HTTP interface is made of.
struct Serving<'a> {
    config: &'a Config,
    opened: &'a Opened,
    views: &'a Arc<Views>,
    receipts: ReceiptVerifiers,
}

fn spawn_api(
    serving: Serving<'_>,
    listener: TcpListener,
    stop: CancellationToken,
    requests: &mut JoinSet<()>,
) -> Result<(), Failure> {
    let Serving { config, opened, views, receipts } = serving;
    let is_loopback = listener.local_addr().is_ok_and(|address| address.ip().is_loopback());
    let state = ApiState {
        engine: opened.engine.clone(),
        views: Arc::clone(views),
        operations: Arc::clone(&opened.operations),
        config: ApiConfig {
            issuer: config.issuer.clone(),
            public_url: config.public_url.clone(),
            drop_in: config.drop_in,
            trusted_proxies: config.trusted_proxies.clone(),
            dev_inbox: config.inbox_readers(is_loopback),
            receipts,
            ..ApiConfig::default()
        },
        shutdown: stop.clone(),
    };
    let router = api::router(state).map_err(Failure::other)?;
    let Http { connections, connections_per_source, .. } = config.http;
    let places = Places::new(connections, connections_per_source, config.trusted_proxies.clone());
    requests.spawn(http::serve(listener, router, config.http.patience(), places, stop));
    Ok(())
}

/// Where workers take their orders from: a broker when one is named, else the log.
async fn source(config: &Config) -> Result<Source, Failure> {
    let needs_one = config.roles().into_iter().any(|role| role == Role::Relay || worker(role).is_some());
    #[cfg(feature = "nats")]
    if needs_one && let Some(broker) = crate::broker::connect(config).await? {
        return Ok(Source::Broker(broker));
    }
    if needs_one && config.nats.url.is_some() {
        return Err(ConfigError::new(
            "nats.url",
            "names a broker, and this binary was built without it",
            "build it with the feature nats, or remove the setting",
        )
        .into());
    }
    Ok(Source::Log)
}

fn spawn_relay(
    config: &Config,
    opened: &Opened,
    source: &Source,
    cancel: &CancellationToken,
    background: &mut JoinSet<()>,
) {
    #[cfg(feature = "nats")]
    if let Source::Broker(broker) = source
        && config.roles().contains(&Role::Relay)
    {
        let checkpoints = Arc::clone(&opened.operations);
        let (runtime, log, broker) = (opened.runtime.clone(), Arc::clone(&opened.log), Arc::clone(broker));
        background.spawn(workers::nats::relay::run(runtime, log, broker, checkpoints, cancel.clone()));
    }
    #[cfg(not(feature = "nats"))]
    let _ = (config, opened, source, cancel, background);
}

fn spawn_workers(
    config: &Config,
    opened: &Opened,
    (source, carriers): (Source, Carriers),
    cancel: &CancellationToken,
    background: &mut JoinSet<()>,
) {
    let roles: Vec<workers::Role> = config.roles().into_iter().filter_map(worker).collect();
    if roles.is_empty() {
        return;
    }
    let inbox: Arc<dyn workers::Inbox> = Arc::<operations::Operations>::clone(&opened.operations);
    let gateways = carriers.over(InboxGateway::new(inbox));
    let catalogue = workers::Catalogue::new(workers::Language::En, &config.issuer, domain(config));
    let workers = WorkersConfig { roles, source, ..WorkersConfig::new(gateways, catalogue) };
    let engine = opened.engine.clone();
    let checkpoints = Arc::clone(&opened.operations);
    let cancel = cancel.clone();
    background.spawn(async move {
        if let Err(error) = workers::run(workers, engine, checkpoints, cancel).await {
            tracing::error!(%error, "nothing is sent: the workers did not start");
        }
    });
}

/// The domain that phones offer a code on, when there is one.
fn domain(config: &Config) -> Option<&str> {
    let (_, rest) = config.public_url.as_deref()?.split_once("://")?;
    rest.split(['/', ':']).next()
}

fn worker(role: Role) -> Option<workers::Role> {
    match role {
        Role::Sms => Some(workers::Role::Sms),
        Role::Email => Some(workers::Role::Email),
        Role::Notices => Some(workers::Role::Notices),
        Role::Api | Role::Projections | Role::Relay => None,
    }
}

/// Where this process can be reached.
struct Addresses {
    api: Option<SocketAddr>,
    metrics: SocketAddr,
}

impl Addresses {
    /// Says where to go: to a person on standard output, to a program in the log.
    fn tell(&self, config: &Config) -> Result<(), Failure> {
        let metrics = format!("http://{}/metrics", self.metrics);
        let url = self.api.map(|address| format!("http://{address}"));
        let data = match config.event_log {
            EventLogEngine::Sqlite => config.data.display().to_string(),
            EventLogEngine::Postgres => "PostgreSQL".to_owned(),
            EventLogEngine::Kurrentdb => "KurrentDB and PostgreSQL".to_owned(),
        };
        tracing::info!(url, metrics_url = metrics, data, "serving");
        let mut lines = vec![format!("Countersign {}\n", env!("CARGO_PKG_VERSION"))];
        if let Some(url) = url {
            lines.push(format!("  API       {url}/v1\n  Docs      {url}/docs"));
            let is_loopback = self.api.is_some_and(|address| address.ip().is_loopback());
            if config.inbox_readers(is_loopback) != api::DevInbox::Off {
                lines.push(format!("  Messages  {url}/dev/inbox"));
            }
        }
        lines.push(format!("  Metrics   {metrics}\n  Data      {data}\n"));
        lines.push("Stop with Ctrl-C. What to try first: README.md, \"Quickstart\".".to_owned());
        writeln!(io::stdout(), "{}", lines.join("\n")).map_err(Failure::other)
    }
}

/// The polite signals: Ctrl-C and `SIGTERM`.
struct Signals {
    interrupt: unix::Signal,
    terminate: unix::Signal,
}

impl Signals {
    fn listen() -> Result<Self, Failure> {
        let listen = |kind| unix::signal(kind).map_err(Failure::other);
        Ok(Self {
            interrupt: listen(unix::SignalKind::interrupt())?,
            terminate: listen(unix::SignalKind::terminate())?,
        })
    }

    async fn wait(&mut self) {
        tokio::select! {
            biased;
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
