//! The messages that one consumer of this process has in hand: taken from the broker, not yet given an end.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use async_nats::jetstream::{AckKind, Message};
use tokio::sync::Notify;

use crate::meters;

/// The messages in hand, by ticket.
pub(super) struct Hand {
    role: &'static str,
    held: Mutex<BTreeMap<u64, Held>>,
    last_ticket: AtomicU64,
    /// Wakes whoever waits for room.
    pub freed: Notify,
}

struct Held {
    message: Arc<Message>,
    /// Whether a worker is at it.
    is_started: bool,
}

impl Hand {
    pub fn new(role: &'static str) -> Self {
        Self { role, held: Mutex::default(), last_ticket: AtomicU64::new(0), freed: Notify::new() }
    }

    fn held(&self) -> MutexGuard<'_, BTreeMap<u64, Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn count(&self) -> usize {
        self.held().len()
    }

    pub fn take_in(&self, message: Arc<Message>) -> u64 {
        let ticket = self.last_ticket.fetch_add(1, Ordering::Relaxed) + 1;
        let mut held = self.held();
        held.insert(ticket, Held { message, is_started: false });
        meters::unfinished(self.role, held.len());
        ticket
    }

    /// Marks that a worker is at it; `false` when it was given back meanwhile.
    pub fn start(&self, ticket: u64) -> bool {
        self.held().get_mut(&ticket).map(|held| held.is_started = true).is_some()
    }

    /// Lets go of a message.
    pub fn put_down(&self, ticket: u64) -> Option<Arc<Message>> {
        let mut held = self.held();
        let message = held.remove(&ticket).map(|held| held.message);
        meters::unfinished(self.role, held.len());
        drop(held);
        self.freed.notify_one();
        message
    }

    /// Tells the broker that all of them are still being worked at.
    pub async fn keep(&self) {
        let all: Vec<_> = self.held().values().map(|held| Arc::clone(&held.message)).collect();
        for message in all {
            if message.ack_with(AckKind::Progress).await.is_err() {
                return;
            }
        }
    }

    /// Gives back what no worker has begun, for another process to take at once.
    pub async fn give_back(&self) {
        let waiting: Vec<u64> =
            self.held().iter().filter(|(_, held)| !held.is_started).map(|(ticket, _)| *ticket).collect();
        for ticket in waiting {
            if let Some(message) = self.put_down(ticket)
                && message.ack_with(AckKind::Nak(None)).await.is_err()
            {
                return;
            }
        }
    }
}
