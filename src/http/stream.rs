//! The bytes of a connection, with an end to every wait for the client.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Instant, Sleep, sleep, sleep_until},
};

use super::{
    Patience,
    exchange::{Exchange, Move},
};

/// A stream that is patient, up to a point. A request that arrives at once costs it no timer.
pub struct Patient {
    stream: TcpStream,
    exchange: Arc<Exchange>,
    patience: Patience,
    /// The move in which a head began to arrive, and when.
    head: Option<(Move, Instant)>,
    late_head: Option<(Instant, Pin<Box<Sleep>>)>,
    late_write: Option<Pin<Box<Sleep>>>,
}

impl Patient {
    /// A connection that was just taken: its first head is due.
    pub fn new(stream: TcpStream, exchange: Arc<Exchange>, patience: Patience) -> Self {
        let head = Some((exchange.moves(), Instant::now()));
        Self { stream, exchange, patience, head, late_head: None, late_write: None }
    }

    /// When the head that is arriving began to.
    fn head_began(&self) -> Option<Instant> {
        self.head.filter(|(began, _)| *began == self.exchange.moves()).map(|(_, at)| at)
    }

    /// The outcome of a write, unless the client has taken nothing for too long.
    fn written<T>(&mut self, cx: &mut Context<'_>, outcome: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if outcome.is_ready() {
            self.late_write = None;
            return outcome;
        }
        let patience = self.patience.write;
        ready!(self.late_write.get_or_insert_with(|| Box::pin(sleep(patience))).as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Patient {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let now = this.exchange.moves();
        let outcome = Pin::new(&mut this.stream).poll_read(cx, buf);
        // What arrives or does not while we answer is the business of the body and of the router.
        if now.is_ours() {
            return outcome;
        }
        let began = this.head_began();
        if outcome.is_ready() {
            if began.is_none() {
                this.head = Some((now, Instant::now()));
            }
            return outcome;
        }
        // Between two requests it is hyper that waits.
        let Some(began) = began else { return Poll::Pending };
        if this.late_head.as_ref().is_none_or(|(of, _)| *of != began) {
            this.late_head = Some((began, Box::pin(sleep_until(began + this.patience.head))));
        }
        if let Some((_, late)) = &mut this.late_head {
            ready!(late.as_mut().poll(cx));
        }
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncWrite for Patient {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let outcome = Pin::new(&mut this.stream).poll_write(cx, bytes);
        this.written(cx, outcome)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let outcome = Pin::new(&mut this.stream).poll_write_vectored(cx, slices);
        this.written(cx, outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}
