//! The role `relay`: from the log to the broker.
//!
//! Every event that the world may know is published under its type, with the event's id as the message's, from
//! a checkpoint on. Many publishes are under way at once; the checkpoint follows the acknowledgements in order.
//! So an event may be published twice, and is never left out. A second relay does the same once more, and the
//! broker keeps each message once within its window; after it, the claims on the delivery streams make a
//! repetition harmless.

use std::{sync::Arc, time::Duration};

use async_nats::jetstream::{
    ErrorCode,
    context::{GetStreamErrorKind, PublishError},
    message::PublishMessage,
    stream::Stream,
};
use event_store::{
    codec,
    port::{Checkpoints, EventLog, LogError},
    subscription::subscribe,
};
use futures::{FutureExt as _, StreamExt as _, future::BoxFuture, stream::FuturesOrdered};
use runtime::Runtime;
use schemas::{
    envelope::{Metadata, Position, StoredEvent},
    public::{self, CloudEvent},
};
use tokio_util::sync::CancellationToken;

use super::{
    Broker, BrokerError, EVENTS_STREAM,
    broker::header,
    letter::{self, REDRIVEN, Reason},
};
use crate::meters;

/// Its name in `--roles`, metrics and dead letters.
pub const NAME: &str = "relay";
/// Its checkpoint.
pub const CHECKPOINT: &str = "workers.relay";

/// Events per read of the log.
const BATCH: usize = 256;
/// Publishes that may be under way.
const WINDOW: usize = 1_024;
/// The checkpoint is saved at most this often: one that is behind costs publishing again what the broker drops.
const SAVE_EVERY: Duration = Duration::from_secs(1);
/// After something failed.
const PAUSES: crate::backoff::Backoff =
    crate::backoff::Backoff { first: Duration::from_millis(100), most: Duration::from_secs(5) };
/// On a stop, acknowledgements are waited for this long.
const STOP_WITHIN: Duration = Duration::from_secs(5);
/// Messages at the end of the stream that are looked at for the last one of a relay.
const LOOK_BACK: u64 = 64;

/// Publishes until cancelled.
pub async fn run(
    runtime: Runtime,
    log: Arc<dyn EventLog>,
    broker: Arc<Broker>,
    checkpoints: Arc<dyn Checkpoints>,
    cancel: CancellationToken,
) {
    let mut relay = Relay {
        runtime: runtime.clone(),
        log,
        broker,
        checkpoints,
        done: Position::START,
        saved: Position::START,
        failures: 0,
    };
    loop {
        match relay.publish_all(&cancel).await {
            Ok(End::Stopped) => return,
            Ok(End::BrokerReturned) => tracing::info!("the relay goes on from the last acknowledgement"),
            Err(error) => {
                relay.failures = relay.failures.saturating_add(1);
                tracing::warn!(%error, failures = relay.failures, "nothing can be published now, trying again");
                let pause = PAUSES.after(relay.failures, uuid::Uuid::nil());
                tokio::select! {
                    biased;
                    () = cancel.cancelled() => return,
                    () = runtime.sleep(pause) => {}
                }
            }
        }
    }
}

/// How a round of publishing ends well.
enum End {
    Stopped,
    /// The connection was lost and is back: what was under way may have been lost with it.
    BrokerReturned,
}

#[derive(Debug, thiserror::Error)]
enum RelayError {
    #[error(transparent)]
    Log(#[from] LogError),
    #[error("the broker refused a message: {0}")]
    Publish(#[from] PublishError),
    #[error(transparent)]
    Broker(#[from] BrokerError),
    #[error("the broker's stream cannot be looked at: {0}")]
    Stream(String),
}

type UnderWay = BoxFuture<'static, (Position, Result<(), PublishError>)>;

struct Relay {
    runtime: Runtime,
    log: Arc<dyn EventLog>,
    broker: Arc<Broker>,
    checkpoints: Arc<dyn Checkpoints>,
    /// Everything up to here is with the broker.
    done: Position,
    saved: Position,
    failures: u32,
}

impl Relay {
    async fn publish_all(&mut self, cancel: &CancellationToken) -> Result<End, RelayError> {
        let runtime = self.runtime.clone();
        let mut returns = self.broker.returns();
        self.done = self.start().await?;
        let mut events = subscribe(&runtime, Arc::clone(&self.log), self.done, BATCH);
        let announced = self.log.watch();
        let mut under_way = FuturesOrdered::<UnderWay>::new();
        let mut save_at = runtime.instant() + SAVE_EVERY;
        loop {
            let lag = announced.borrow().0.saturating_sub(self.done.0);
            meters::relay(lag, under_way.len());
            if self.done > self.saved && runtime.instant() >= save_at {
                self.save().await;
                save_at = runtime.instant() + SAVE_EVERY;
            }
            let has_room = under_way.len() < WINDOW && self.broker.is_connected();
            tokio::select! {
                biased;
                () = cancel.cancelled() => break,
                Ok(()) = returns.changed() => return Ok(End::BrokerReturned),
                Some((position, acknowledged)) = under_way.next() => {
                    acknowledged?;
                    self.failures = 0;
                    self.done = position;
                }
                read = events.next(), if has_room => for event in read? {
                    under_way.push_back(self.publish(&event).await?);
                },
                () = runtime.sleep_until(save_at), if self.done > self.saved => {}
                // A connection that was lost without anything under way is looked at again.
                () = runtime.sleep(SAVE_EVERY), if !has_room && under_way.is_empty() => {}
            }
        }
        let _ = runtime
            .timeout(STOP_WITHIN, async {
                while let Some((position, Ok(()))) = under_way.next().await {
                    self.done = position;
                }
            })
            .await;
        self.save().await;
        Ok(End::Stopped)
    }

    /// Where to go on: after the checkpoint, but never past what the broker has. A broker that lost its disk, or
    /// the end of it, is filled again.
    async fn start(&mut self) -> Result<Position, RelayError> {
        self.saved = self.checkpoints.load(CHECKPOINT).await?;
        let done = self.saved.max(self.done);
        let stream = match self.broker.context.get_stream(EVENTS_STREAM).await {
            Ok(stream) => stream,
            Err(error) => match error.kind() {
                GetStreamErrorKind::JetStream(inner) if inner.error_code() == ErrorCode::STREAM_NOT_FOUND => {
                    self.broker.declare_streams().await?;
                    return Ok(Position::START);
                }
                _ => return Err(RelayError::Stream(error.to_string())),
            },
        };
        if stream.cached_info().state.last_sequence == 0 {
            if done > Position::START {
                tracing::warn!("the broker's stream is empty: it is filled from the beginning of the log");
            }
            return Ok(Position::START);
        }
        let last = last_published(&stream).await?;
        Ok(last.map_or(done, |last| last.min(done)))
    }

    async fn save(&mut self) {
        match self.checkpoints.save(CHECKPOINT, self.done).await {
            Ok(()) => self.saved = self.done,
            Err(error) => tracing::warn!(%error, "the relay's checkpoint could not be saved; it publishes again what \
                the broker has"),
        }
    }

    /// Hands one event to the connection; the future is its acknowledgement.
    async fn publish(&self, event: &StoredEvent) -> Result<UnderWay, RelayError> {
        let position = event.position;
        let source = &self.broker.options.source;
        let (subject, publish) = match codec::decode(event, None) {
            Ok(recorded) => match public::message(&recorded, source) {
                None => return Ok(std::future::ready((position, Ok(()))).boxed()),
                Some(told) => (told.event_type.clone(), message(&told, told.id.clone())),
            },
            Err(error) => {
                tracing::error!(%error, event = %event.id, "an event cannot be published: it goes to the dead letters");
                meters::buried(NAME, Reason::UnreadableEvent.name());
                let told = bare(event, source);
                let publish = message(&told, format!("dead.{NAME}.{}", told.id)).headers({
                    let mut headers = letter::common(NAME, Reason::UnreadableEvent, &told.event_type, Some(event.id));
                    headers.insert(async_nats::header::NATS_MESSAGE_ID, format!("dead.{NAME}.{}", told.id));
                    headers
                });
                (letter::subject(NAME), publish)
            }
        };
        meters::published();
        let sent = self.broker.context.send_publish(subject, publish).await?;
        Ok(sent.into_future().map(move |acknowledged| (position, acknowledged.map(|_| ()))).boxed())
    }
}

fn message(told: &CloudEvent, id: String) -> PublishMessage {
    // A `CloudEvent` of text and JSON always has a text of its own.
    let payload = serde_json::to_vec(told).unwrap_or_default();
    PublishMessage::build()
        .payload(payload.into())
        .message_id(id)
        .header("Content-Type", "application/cloudevents+json")
}

/// What can be said of an event that this version cannot read: where it is.
fn bare(event: &StoredEvent, source: &str) -> CloudEvent {
    let metadata: Option<Metadata> = serde_json::from_slice(&event.metadata).ok();
    let is_plain = !event.event_type.is_empty() && event.event_type.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let event_type = if is_plain { &*event.event_type } else { "Unknown" };
    CloudEvent {
        specversion: "1.0".to_owned(),
        id: event.id.to_string(),
        source: source.to_owned(),
        event_type: public::subject(event_type),
        subject: event.stream.to_string(),
        time: metadata.as_ref().map(|metadata| metadata.at.to_string()).unwrap_or_default(),
        datacontenttype: "application/json".to_owned(),
        dataschema: "urn:countersign:event:unreadable:1".to_owned(),
        position: event.position.to_string(),
        streamversion: event.version.0.to_string(),
        correlationid: metadata.map(|metadata| metadata.correlation_id.to_string()).unwrap_or_default(),
        causationid: None,
        traceparent: None,
        data: serde_json::Value::Null,
    }
}

/// The position of the last message that a relay published; `None` when the last ones are of someone else.
async fn last_published(stream: &Stream) -> Result<Option<Position>, RelayError> {
    let state = &stream.cached_info().state;
    let oldest = state.first_sequence.max(state.last_sequence.saturating_sub(LOOK_BACK));
    for sequence in (oldest..=state.last_sequence).rev() {
        let message = match stream.get_raw_message(sequence).await {
            Ok(message) => message,
            Err(error) if error.kind() == async_nats::jetstream::stream::LastRawMessageErrorKind::NoMessageFound => {
                continue;
            }
            Err(error) => return Err(RelayError::Stream(error.to_string())),
        };
        if !header(Some(&message.headers), REDRIVEN).is_empty() {
            continue;
        }
        let told: Option<CloudEvent> = serde_json::from_slice(&message.payload).ok();
        if let Some(position) = told.and_then(|told| told.position.parse().ok()) {
            return Ok(Some(position));
        }
    }
    Ok(None)
}
