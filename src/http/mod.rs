//! Connections: taken in bounded numbers, and given up on when the other end keeps them waiting.
//!
//! | waited for | at most | how |
//! | --- | --- | --- |
//! | the head of a request, from its first byte (of the first one, from the start) | `head_timeout` | [`stream`] |
//! | its body | `body_timeout` | [`exchange`] |
//! | the next request | `idle_timeout` | hyper, whose time-out of heads begins with the last answer |
//! | somebody who takes the answer | `write_timeout` | [`stream`] |
//!
//! How long an answer is worked on is the router's business, so a stream of events lasts as long as its client reads.

mod exchange;
mod places;
mod stream;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, serve::Listener};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use self::places::Places;
use self::{exchange::Exchange, stream::Patient};

/// The largest head; what is larger is answered with 431.
const HEAD_LIMIT: usize = 64 * 1024;

/// How long a connection waits for its client.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// For a whole head.
    pub head: Duration,
    /// For a whole body.
    pub body: Duration,
    /// For another request.
    pub idle: Duration,
    /// For room to write.
    pub write: Duration,
}

/// Serves until told to stop, then finishes what is in flight.
pub async fn serve(
    mut listener: TcpListener,
    router: Router,
    patience: Patience,
    places: Arc<Places>,
    stop: CancellationToken,
) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(patience.idle).max_buf_size(HEAD_LIMIT);
    let connections = GracefulShutdown::new();
    loop {
        let (stream, peer) = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            accepted = Listener::accept(&mut listener) => accepted,
        };
        // Who finds no place is not told: to tell takes the time of a connection.
        let Some(place) = places.take(peer.ip()) else { continue };
        // Answers are small and complete: waiting for more to send only makes them late.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection keeps Nagle's algorithm");
        }
        let exchange = Arc::new(Exchange::default());
        let stream = Patient::new(stream, Arc::clone(&exchange), patience);
        let router = router.clone();
        let answer = service_fn(move |request: hyper::Request<Incoming>| {
            exchange::answer(router.clone(), request, peer, Arc::clone(&exchange), patience.body)
        });
        let connection = connections.watch(http.serve_connection(TokioIo::new(stream), answer));
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::trace!(%error, "a connection broke off");
            }
            drop(place);
        });
    }
    drop(listener);
    connections.shutdown().await;
}

/// What the router knows of the other end.
type Peer = axum::extract::ConnectInfo<SocketAddr>;
