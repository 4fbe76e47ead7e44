//! Logs, metrics and traces.

use std::{
    io::{self, IsTerminal},
    net::SocketAddr,
    time::Duration,
};

use axum::{Router, http::header, routing::get};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{SpanExporter, WithExportConfig};
use opentelemetry_sdk::{Resource, trace::SdkTracerProvider};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing_subscriber::{EnvFilter, Layer, layer::SubscriberExt, util::SubscriberInitExt};

use crate::config::{Config, ConfigError, Log, LogFormat};

/// Where `/metrics` is unless told otherwise.
pub const METRICS_LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 9464);

/// Upper bounds of the duration histograms, in seconds: from one fsync to what nobody waits for.
const BUCKETS: [f64; 14] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0];

/// What has to be flushed in the end.
#[derive(Debug)]
pub struct Telemetry {
    traces: Option<SdkTracerProvider>,
}

impl Telemetry {
    /// Sets up logs, and traces when a collector is configured. Logs go to standard error, so that
    /// standard output holds answers alone.
    pub fn start(config: &Config) -> Result<Self, ConfigError> {
        let traces = config.otlp.endpoint.as_deref().map(exporter).transpose()?;
        let filter = filter(&config.log)?;
        let for_people = match config.log.format {
            LogFormat::Human => true,
            LogFormat::Json => false,
            LogFormat::Auto => io::stderr().is_terminal(),
        };
        let logs = tracing_subscriber::fmt::layer().with_writer(io::stderr);
        let logs = if for_people {
            logs.with_ansi(io::stderr().is_terminal()).with_target(false).boxed()
        } else {
            logs.json().flatten_event(true).boxed()
        };
        let spans =
            traces.as_ref().map(|provider| tracing_opentelemetry::layer().with_tracer(provider.tracer("countersign")));
        // A second subscriber in one process happens in tests only; the first stays.
        let _ = tracing_subscriber::registry().with(logs.with_filter(filter)).with(spans).try_init();
        Ok(Self { traces })
    }

    /// Hands over what is still here. Last of all, so that the end is told too.
    pub fn flush(self) {
        if let Some(traces) = self.traces
            && let Err(error) = traces.shutdown()
        {
            tracing::warn!(%error, "traces could not be handed over");
        }
    }
}

fn filter(log: &Log) -> Result<EnvFilter, ConfigError> {
    // The broker's client logs what we say ourselves, with the setting and the cure.
    let quiet = if log.level.contains("async_nats") { "" } else { ",async_nats=off" };
    EnvFilter::try_new(format!("{}{quiet}", log.level)).map_err(|error| {
        ConfigError::new("log.level", error.to_string(), "give error, warn, info, debug or trace, or such directives")
    })
}

fn exporter(endpoint: &str) -> Result<SdkTracerProvider, ConfigError> {
    let exporter = SpanExporter::builder().with_http().with_endpoint(endpoint).build().map_err(|error| {
        ConfigError::new("otlp.endpoint", error.to_string(), "name a collector such as http://127.0.0.1:4318/v1/traces")
    })?;
    let resource =
        Resource::builder_empty().with_attribute(opentelemetry::KeyValue::new("service.name", "countersign"));
    Ok(SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource.build()).build())
}

/// Starts to count. Before anything else that counts, or it counts nothing.
pub fn count() -> Result<PrometheusHandle, String> {
    PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("seconds".to_owned()), &BUCKETS)
        .and_then(PrometheusBuilder::install_recorder)
        .map_err(|error| error.to_string())
}

/// Listens for `/metrics`: at the configured address, else at the usual one, else at any free one.
pub async fn metrics_listener(configured: Option<SocketAddr>) -> Result<TcpListener, ConfigError> {
    let address = configured.unwrap_or(METRICS_LISTEN);
    match TcpListener::bind(address).await {
        Ok(listener) => Ok(listener),
        Err(error) if configured.is_none() && error.kind() == io::ErrorKind::AddrInUse => {
            let free = TcpListener::bind((METRICS_LISTEN.ip(), 0)).await;
            let listener = free.map_err(|error| cannot_listen("metrics_listen", METRICS_LISTEN, &error))?;
            tracing::info!(usual = %METRICS_LISTEN, "the usual metrics port is taken; using a free one");
            Ok(listener)
        }
        Err(error) => Err(cannot_listen("metrics_listen", address, &error)),
    }
}

/// An address that cannot be listened on.
pub fn cannot_listen(setting: &str, address: SocketAddr, error: &io::Error) -> ConfigError {
    ConfigError::new(setting, format!("cannot listen on {address}: {error}"), "stop what uses it, or choose another")
}

/// `/metrics`, on a listener of its own.
pub fn metrics_router(handle: PrometheusHandle) -> Router {
    let render = move || {
        let text = handle.render();
        async move { ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text) }
    };
    Router::new().route("/metrics", get(render))
}

/// Histograms drain their buffers when told to.
pub async fn keep_metrics_small(handle: PrometheusHandle, stop: CancellationToken) {
    let mut tick = tokio::time::interval(Duration::from_secs(5));
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            _ = tick.tick() => handle.run_upkeep(),
        }
    }
}
