//! Asks the broker for messages: requests that wait there until something comes, never for more than there
//! is room for here. What another process could carry out is better left with the broker.

use std::{sync::Arc, time::Duration};

use async_nats::{
    StatusCode, Subject, Subscriber,
    jetstream::{Message, consumer::pull::BatchConfig},
};
use futures::StreamExt as _;
use runtime::{Instant, Runtime};

use super::{
    Broker, BrokerError,
    broker::header,
    declare::{PULL_EXPIRES, PullConsumer, Reads},
};

/// While a request waits, the broker says this often that it is still there.
const HEARTBEAT: Duration = Duration::from_secs(5);

/// A request of which nothing was heard this long is lost.
const SILENCE: Duration = Duration::from_secs(12);

/// What came from the broker.
pub(super) enum Pulled {
    /// A message.
    Message(Arc<Message>),
    /// News about the requests, already accounted for.
    News,
    /// It refuses for now: to be asked again after a pause.
    Refused,
    /// The consumer is not there (any more).
    Gone,
}

/// A consumer that is being asked.
pub(super) struct Pull {
    runtime: Runtime,
    broker: Arc<Broker>,
    consumer: PullConsumer,
    inbox: Subject,
    answers: Subscriber,
    /// Messages that were asked for and may still come.
    outstanding: usize,
    heard: Instant,
}

impl Pull {
    /// Declares the consumer and listens for what it will be asked for.
    pub async fn open(runtime: &Runtime, broker: &Arc<Broker>, reads: &Reads) -> Result<Self, BrokerError> {
        let consumer = broker.declare_consumer(reads).await?;
        let inbox = Subject::from(broker.client.new_inbox());
        let answers = broker.client.subscribe(inbox.clone()).await.map_err(|error| {
            BrokerError::new("nats.url", format!("no messages can be asked for: {error}"), "look at the server's log")
        })?;
        let (runtime, heard) = (runtime.clone(), runtime.instant());
        Ok(Self { runtime, broker: Arc::clone(broker), consumer, inbox, answers, outstanding: 0, heard })
    }

    /// Sees to it that about as many messages are asked for as there is room for. A few free places are not
    /// worth a request while others wait.
    pub async fn ask(&mut self, room: usize, capacity: usize) {
        if self.outstanding > 0 && self.runtime.since(self.heard) > SILENCE {
            tracing::debug!("a request for messages was lost");
            self.outstanding = 0;
        }
        let more = room.saturating_sub(self.outstanding);
        if more == 0 || (self.outstanding > 0 && more < capacity / 4) || !self.broker.is_connected() {
            return;
        }
        let request = BatchConfig {
            batch: more,
            expires: Some(PULL_EXPIRES),
            idle_heartbeat: HEARTBEAT,
            ..BatchConfig::default()
        };
        if self.outstanding == 0 {
            self.heard = self.runtime.instant();
        }
        match self.consumer.request_batch(request, self.inbox.clone()).await {
            Ok(()) => self.outstanding += more,
            Err(error) => tracing::debug!(%error, "messages cannot be asked for now"),
        }
    }

    /// What was asked for is gone with the connection.
    pub fn forget(&mut self) {
        self.outstanding = 0;
    }

    /// The next thing that comes. Cancel-safe.
    pub async fn next(&mut self) -> Pulled {
        let Some(message) = self.answers.next().await else { return Pulled::Gone };
        self.heard = self.runtime.instant();
        match message.status {
            None | Some(StatusCode::OK) => {
                self.outstanding = self.outstanding.saturating_sub(1);
                Pulled::Message(self.received(message))
            }
            Some(StatusCode::IDLE_HEARTBEAT) => Pulled::News,
            Some(StatusCode::NO_RESPONDERS) => Pulled::Gone,
            Some(status) => {
                let unanswered = header(message.headers.as_ref(), "Nats-Pending-Messages").parse::<usize>();
                let description = message.description.as_deref().unwrap_or_default();
                tracing::debug!(%status, description, "a request for messages ended");
                if description.contains("Consumer Deleted") {
                    return Pulled::Gone;
                }
                self.outstanding = unanswered.map_or(0, |count| self.outstanding.saturating_sub(count));
                if status == StatusCode::TIMEOUT { Pulled::News } else { Pulled::Refused }
            }
        }
    }

    fn received(&self, message: async_nats::Message) -> Arc<Message> {
        Arc::new(Message { message, context: self.broker.context.clone() })
    }

    /// Asks for nothing more; what is on its way is returned one by one.
    pub async fn close(&mut self) -> Vec<Arc<Message>> {
        let _ = self.answers.unsubscribe().await;
        let mut late = Vec::new();
        while let Ok(Some(message)) = self.runtime.timeout(Duration::from_millis(50), self.answers.next()).await {
            if matches!(message.status, None | Some(StatusCode::OK)) {
                late.push(self.received(message));
            }
        }
        late
    }
}
