//! Jobs from the broker: the source for several processes.
//!
//! A task of its own asks for messages, reads the orders' events back from the log and tells the broker that
//! what is in hand is being worked at. `Done` is the acknowledgement, `Retry` a negative one with a delay,
//! `Fail` the move to the dead letters. An acknowledgement that gets lost leads to a redelivery, and the claim on
//! the delivery stream says then that nothing is left to do.

use std::{sync::Arc, time::Duration};

use async_nats::jetstream::{AckKind, Message};
use async_trait::async_trait;
use event_store::port::{EventLog, LogError};
use runtime::{AbortOnDrop, Runtime, Tasks};
use schemas::envelope::StoredEvent;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{
    Broker, BrokerError,
    dead::bury,
    declare::Reads,
    hand::Hand,
    letter::Reason,
    pull::{Pull, Pulled},
    read_back::{Found, Pointer, read_back},
};
use crate::{
    jobs::{Job, Jobs, Verdict},
    meters,
};

/// A broker that refuses is asked again after this long.
const PAUSE: Duration = Duration::from_millis(250);

/// Jobs of one role from its durable consumer.
pub struct JetStreamJobs {
    runtime: Runtime,
    broker: Arc<Broker>,
    role: &'static str,
    hand: Arc<Hand>,
    ready: mpsc::UnboundedReceiver<Job>,
    stop: CancellationToken,
    given_back: CancellationToken,
    _asker: AbortOnDrop<()>,
}

impl JetStreamJobs {
    /// Declares the role's consumer and begins to ask for messages, up to `capacity` in hand at once. After
    /// `stop` no more are asked for, and what no worker has begun goes back.
    pub async fn open(
        runtime: &Runtime,
        broker: Arc<Broker>,
        role: &'static str,
        types: impl IntoIterator<Item = &'static str>,
        log: Arc<dyn EventLog>,
        capacity: usize,
        stop: CancellationToken,
    ) -> Result<Self, BrokerError> {
        let wanted = Reads { role, types: types.into_iter().collect() };
        let pull = Pull::open(runtime, &broker, &wanted).await?;
        let hand = Arc::new(Hand::new(role));
        let (to_workers, ready) = mpsc::unbounded_channel();
        let given_back = CancellationToken::new();
        let asker = Asker {
            reader: Reader {
                runtime: runtime.clone(),
                broker: Arc::clone(&broker),
                role,
                types: wanted.types.clone(),
                log,
            },
            reads: wanted,
            hand: Arc::clone(&hand),
            ready: to_workers,
            capacity: capacity.max(1),
            under_way: Tasks::new(),
        };
        let (stopped, done) = (stop.clone(), given_back.clone());
        let asker = runtime.spawn("asks the broker", async move { asker.run(pull, stopped, done).await });
        let (runtime, asker) = (runtime.clone(), asker.abort_on_drop());
        Ok(Self { runtime, broker, role, hand, ready, stop, given_back, _asker: asker })
    }
}

#[async_trait]
impl Jobs for JetStreamJobs {
    async fn next(&mut self) -> Result<Job, LogError> {
        loop {
            let Some(job) = self.ready.recv().await else {
                return Err(LogError::Unavailable("the broker is no longer asked for orders".to_owned()));
            };
            if self.hand.start(job.ticket) {
                return Ok(job);
            }
        }
    }

    async fn settle(&mut self, job: &Job, verdict: Verdict) -> Result<(), LogError> {
        let Some(message) = self.hand.put_down(job.ticket) else { return Ok(()) };
        let answered = match verdict {
            Verdict::Done => message.ack().await,
            Verdict::Retry(after) => message.ack_with(AckKind::Nak(Some(after))).await,
            Verdict::Fail => {
                bury(&self.broker, self.role, Reason::GivenUp, &message, Some(job.order.id)).await;
                Ok(())
            }
        };
        answered.map_err(|error| LogError::Unavailable(format!("the broker takes no acknowledgement: {error}")))
    }

    async fn flush(&mut self) -> Result<(), LogError> {
        self.stop.cancel();
        let flushed = async {
            self.given_back.cancelled().await;
            self.broker.client.flush().await
        };
        match self.runtime.timeout(self.broker.options.request_timeout, flushed).await {
            Ok(Ok(())) => Ok(()),
            _ => Err(LogError::Unavailable("the broker did not take the last acknowledgements".to_owned())),
        }
    }
}

/// What came of reading an order's event.
enum Read {
    /// It can be carried out.
    Job(Job),
    /// It is to be handed out again after this long.
    Later(Duration),
    /// It is with the dead letters, or back with the broker.
    Over,
}

/// Asks, reads back and keeps what is in hand.
struct Asker {
    reader: Reader,
    reads: Reads,
    hand: Arc<Hand>,
    ready: mpsc::UnboundedSender<Job>,
    capacity: usize,
    under_way: Tasks<u64, Read>,
}

impl Asker {
    async fn run(mut self, pull: Pull, stop: CancellationToken, given_back: CancellationToken) {
        let (runtime, broker) = (self.reader.runtime.clone(), Arc::clone(&self.reader.broker));
        let mut returns = broker.returns();
        let mut keep = runtime.every(broker.options.ack_wait / 3);
        let mut pull = Some(pull);
        let mut ask_at = runtime.instant();
        loop {
            match pull.as_mut() {
                Some(pull) if ask_at <= runtime.instant() => {
                    pull.ask(self.capacity.saturating_sub(self.hand.count()), self.capacity).await;
                }
                Some(_) => {}
                None => {
                    pull = self.open_again(&stop).await;
                    if pull.is_none() && stop.is_cancelled() {
                        break;
                    }
                }
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                pulled = next(pull.as_mut()) => match pulled {
                    Pulled::Message(message) => self.take_in(message),
                    Pulled::News => {}
                    Pulled::Refused => ask_at = runtime.instant() + PAUSE,
                    Pulled::Gone => pull = None,
                },
                Some((ticket, read)) = self.under_way.next() => if let Ok(read) = read { self.read(ticket, read).await },
                () = self.hand.freed.notified() => {}
                () = keep.tick() => self.hand.keep().await,
                Ok(()) = returns.changed() => if let Some(pull) = pull.as_mut() { pull.forget() },
                () = runtime.sleep_until(ask_at), if ask_at > runtime.instant() => {}
            }
        }
        if let Some(mut pull) = pull {
            for late in pull.close().await {
                self.hand.take_in(late);
            }
        }
        self.under_way.abort_all();
        self.hand.give_back().await;
        given_back.cancel();
        // Workers may be at the rest for a while.
        loop {
            keep.tick().await;
            self.hand.keep().await;
        }
    }

    /// The consumer or its stream went away, with a broker's disk or by someone's hand: they are declared anew.
    async fn open_again(&self, stop: &CancellationToken) -> Option<Pull> {
        let Reader { runtime, broker, .. } = &self.reader;
        let open = async {
            runtime.sleep(PAUSE).await;
            broker.declare_streams().await?;
            Pull::open(runtime, broker, &self.reads).await
        };
        tokio::select! {
            biased;
            () = stop.cancelled() => None,
            opened = open => opened
                .inspect_err(|error| tracing::warn!(role = self.reads.role, %error, "the broker has no orders to give"))
                .ok(),
        }
    }

    fn take_in(&mut self, message: Arc<Message>) {
        let ticket = self.hand.take_in(Arc::clone(&message));
        let reader = self.reader.clone();
        let read = async move { reader.read(ticket, &message).await };
        self.under_way.spawn(&self.reader.runtime, "reads back an order", ticket, read);
    }

    async fn read(&self, ticket: u64, read: Read) {
        match read {
            Read::Job(job) => {
                let _ = self.ready.send(job);
            }
            Read::Later(after) => {
                if let Some(message) = self.hand.put_down(ticket)
                    && let Err(error) = message.ack_with(AckKind::Nak(Some(after))).await
                {
                    tracing::debug!(%error, "the broker was not told that an order waits");
                }
            }
            Read::Over => {
                self.hand.put_down(ticket);
            }
        }
    }
}

async fn next(pull: Option<&mut Pull>) -> Pulled {
    match pull {
        Some(pull) => pull.next().await,
        None => Pulled::Gone,
    }
}

/// Reads the events of orders.
#[derive(Clone)]
struct Reader {
    runtime: Runtime,
    broker: Arc<Broker>,
    role: &'static str,
    types: Vec<&'static str>,
    log: Arc<dyn EventLog>,
}

impl Reader {
    async fn read(&self, ticket: u64, message: &Message) -> Read {
        let options = &self.broker.options;
        let delivered = message.info().map_or(1, |info| info.delivered.max(1));
        let delivered = u32::try_from(delivered).unwrap_or(u32::MAX);
        if delivered > 1 {
            meters::redelivered(self.role);
        }
        let pointer = match Pointer::parse(&message.subject, &message.payload) {
            Ok(pointer) => pointer,
            Err(reason) => return self.bury(reason, message, None).await,
        };
        if !self.types.contains(&pointer.event_type.as_str()) {
            return self.bury(Reason::UnknownType, message, Some(&pointer)).await;
        }
        if delivered > options.max_deliveries {
            return self.bury(Reason::TooManyDeliveries, message, Some(&pointer)).await;
        }
        match read_back(&self.runtime, self.log.as_ref(), &pointer).await {
            Found::Event(order) => Read::Job(job(ticket, order, delivered)),
            Found::Not(reason) if delivered >= options.missing_deliveries => {
                self.bury(reason, message, Some(&pointer)).await
            }
            Found::Not(reason) => {
                tracing::warn!(role = self.role, event = %pointer.id, delivered, reason = reason.name(),
                    "an order's event cannot be read from the log yet");
                Read::Later(options.missing_backoff.after(delivered, pointer.id.0))
            }
        }
    }

    async fn bury(&self, reason: Reason, message: &Message, pointer: Option<&Pointer>) -> Read {
        bury(&self.broker, self.role, reason, message, pointer.map(|pointer| pointer.id)).await;
        Read::Over
    }
}

fn job(ticket: u64, order: Arc<StoredEvent>, delivered: u32) -> Job {
    Job { ticket, order, tries: delivered.saturating_sub(1) }
}
