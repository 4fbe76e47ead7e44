//! The one subscription of a process: it fills the tail and moves the watch.

use std::{sync::Arc, time::Duration};

use eventstore::{Position as ServerPosition, StreamPosition, Subscription, SubscriptionEvent};
use schemas::envelope::Position;
use tokio_util::sync::CancellationToken;

use super::{
    events::{Incoming, incoming},
    finished::Listener,
    link::Link,
    tail::Tail,
};
use crate::tail::Newest;

/// After a subscription that broke, the next one begins after this, and twice as long each time.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

pub(super) fn spawn(link: Arc<Link>, newest: Arc<Newest<Tail>>, after: Position, cancel: CancellationToken) {
    tokio::spawn(async move {
        let mut follower = Follower { link, newest, listener: Listener::new(), seen: after, resume: at(after) };
        tokio::select! {
            biased;
            () = cancel.cancelled() => {}
            () = follower.run() => {}
        }
    });
}

/// A position as the server takes it. Of an event that was not written in a transaction both halves are the same.
pub(super) fn at(position: Position) -> StreamPosition<ServerPosition> {
    if position == Position::START {
        return StreamPosition::Start;
    }
    StreamPosition::Position(ServerPosition { commit: position.0, prepare: position.0 })
}

struct Follower {
    link: Arc<Link>,
    newest: Arc<Newest<Tail>>,
    listener: Listener,
    /// The last event that was passed on.
    seen: Position,
    /// Where the next subscription goes on: the last event, or how far the server has looked since.
    resume: StreamPosition<ServerPosition>,
}

impl Follower {
    async fn run(&mut self) {
        let mut pause = FIRST_PAUSE;
        loop {
            let (subscription, number) = self.link.subscribe(self.resume).await;
            let (was_confirmed, why) = self.follow(subscription).await;
            tracing::warn!(why, "the subscription to KurrentDB ended and is made again");
            metrics::counter!("countersign_log_resubscriptions").increment(1);
            self.link.renew(number).await;
            if was_confirmed {
                pause = FIRST_PAUSE;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Passes events on until the subscription ends, and says whether it ever began and why it ended.
    async fn follow(&mut self, mut subscription: Subscription) -> (bool, String) {
        let mut is_confirmed = false;
        loop {
            let next = self.listener.next(&mut subscription);
            // A quiet log says nothing for as long as it likes; a server that confirms nothing is not there.
            let next = if is_confirmed {
                next.await
            } else {
                match tokio::time::timeout(self.link.timeout(), next).await {
                    Ok(next) => next,
                    Err(_) => return (false, "it was not confirmed in time".to_owned()),
                }
            };
            match next {
                Ok(SubscriptionEvent::EventAppeared(event)) => {
                    is_confirmed = true;
                    self.pass_on(incoming(event));
                }
                Ok(SubscriptionEvent::Checkpoint(position)) => {
                    is_confirmed = true;
                    self.resume = StreamPosition::Position(position);
                }
                Ok(_) => is_confirmed = true,
                Err(trouble) => return (is_confirmed, trouble.to_string()),
            }
        }
    }

    fn pass_on(&mut self, event: Incoming) {
        let position = Position(event.position());
        if position <= self.seen {
            return;
        }
        match event {
            Incoming::Foreign(_) => {}
            Incoming::Ours(event) => {
                self.newest.tail().push(event);
                self.newest.announce(position);
            }
            Incoming::Unreadable(_, error) => {
                // Readers shall run into it, not past it.
                tracing::error!(%error, "the log holds what cannot be read");
                self.newest.tail().restart(position);
                self.newest.announce(position);
            }
        }
        self.seen = position;
        self.resume = at(position);
    }
}
