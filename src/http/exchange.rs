//! One request and its answer on a connection.

use std::{
    convert::Infallible,
    future::poll_fn,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::{
    BoxError, Router,
    body::{Body, Bytes},
    http::{HeaderValue, Request, Response, header},
};
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use tokio::time::{Sleep, sleep, timeout};
use tower::ServiceExt;

use super::Peer;

/// What is left of a body that nobody wanted is read this far, so that whoever writes first and reads then gets to
/// read the answer, and the connection can go on.
const READ_ON_BYTES: usize = 4 * 1024 * 1024;
/// And for this long.
const READ_ON: Duration = Duration::from_secs(2);

/// What the two ends of a connection owe each other now.
#[derive(Debug, Default)]
pub struct Exchange {
    /// Counts up when a request is there and when its answer is out.
    moves: AtomicU32,
    body: Mutex<Rest>,
}

/// What is left of the body of the request that is answered now.
#[derive(Debug, Default)]
enum Rest {
    /// Nothing.
    #[default]
    Arrived,
    /// All that nobody read.
    Unread(Incoming),
    /// What will not come any more, or not on our asking.
    Lost,
}

impl Exchange {
    /// The present move.
    pub fn moves(&self) -> Move {
        Move(self.moves.load(Ordering::Acquire))
    }

    fn next_move(&self) {
        self.moves.fetch_add(1, Ordering::AcqRel);
    }

    fn replace_rest(&self, rest: Rest) -> Rest {
        std::mem::replace(&mut *self.body.lock().unwrap_or_else(PoisonError::into_inner), rest)
    }
}

/// A move of an exchange; they alternate, and the client begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Move(u32);

impl Move {
    /// Whether it is for us to answer.
    pub fn is_ours(self) -> bool {
        self.0 % 2 == 1
    }
}

/// The router's answer to a request.
pub async fn answer(
    router: Router,
    request: Request<Incoming>,
    peer: SocketAddr,
    exchange: Arc<Exchange>,
    body_timeout: Duration,
) -> Result<Response<Answer>, Infallible> {
    exchange.next_move();
    exchange.replace_rest(Rest::Arrived);
    let asks_first = request.headers().contains_key(header::EXPECT);
    let mut request = request.map(|body| {
        Body::new(Arriving { body: Some(body), exchange: Arc::clone(&exchange), asks_first, body_timeout, late: None })
    });
    request.extensions_mut().insert(axum::extract::ConnectInfo(peer) as Peer);
    let mut response = router.oneshot(request).await?;
    let has_arrived = match exchange.replace_rest(Rest::Arrived) {
        Rest::Arrived => true,
        Rest::Unread(body) => read_on(body).await,
        Rest::Lost => false,
    };
    if !has_arrived {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(response.map(|body| Answer { body, exchange }))
}

/// Reads a body that nobody wants, within bounds; whether it came to its end.
async fn read_on(mut body: Incoming) -> bool {
    let read = async {
        let mut left = READ_ON_BYTES;
        while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
            let Ok(frame) = frame else { return false };
            match left.checked_sub(frame.data_ref().map_or(0, Bytes::len)) {
                Some(rest) => left = rest,
                None => return false,
            }
        }
        true
    };
    timeout(READ_ON, read).await.unwrap_or(false)
}

/// A body on its way in. What the router leaves of it goes back to the exchange.
struct Arriving {
    body: Option<Incoming>,
    exchange: Arc<Exchange>,
    /// The client sends the body only when told to, and nobody did so far.
    asks_first: bool,
    body_timeout: Duration,
    late: Option<Pin<Box<Sleep>>>,
}

impl HttpBody for Arriving {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        let Some(body) = &mut this.body else { return Poll::Ready(None) };
        this.asks_first = false;
        let failed: BoxError = match Pin::new(body).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => return Poll::Ready(Some(Ok(frame))),
            Poll::Ready(None) => {
                this.body = None;
                return Poll::Ready(None);
            }
            Poll::Ready(Some(Err(error))) => error.into(),
            Poll::Pending => {
                let late = this.late.get_or_insert_with(|| Box::pin(sleep(this.body_timeout)));
                ready!(late.as_mut().poll(cx));
                "the body takes too long".into()
            }
        };
        this.body = None;
        this.exchange.replace_rest(Rest::Lost);
        Poll::Ready(Some(Err(failed)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), HttpBody::size_hint)
    }
}

impl Drop for Arriving {
    fn drop(&mut self) {
        if let Some(body) = self.body.take().filter(|body| !body.is_end_stream()) {
            self.exchange.replace_rest(if self.asks_first { Rest::Lost } else { Rest::Unread(body) });
        }
    }
}

/// An answer on its way out. When it is dropped it is the client's move.
pub struct Answer {
    body: Body,
    exchange: Arc<Exchange>,
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.exchange.next_move();
    }
}
