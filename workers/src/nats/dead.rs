//! The dead letters: what could not be carried out, kept for someone to look at and to send again.

use std::sync::Arc;

use async_nats::{
    HeaderMap, HeaderName,
    jetstream::{
        AckKind, Message,
        message::{PublishMessage, StreamMessage},
        stream::{self, LastRawMessageErrorKind, Stream},
    },
};
use domain::{ids::EventId, time::Timestamp};
use std::time::Duration;

use super::{
    Broker, DEAD_STREAM, DEAD_SUBJECTS,
    broker::header,
    letter::{self, DELIVERIES, EVENT, ORIGINAL, REASON, REDRIVEN, ROLE, Reason, SEQUENCE, SUBJECT},
};
use crate::meters;

/// A letter that could not be moved is tried again after this long.
const BURY_AGAIN: Duration = Duration::from_secs(5);

/// Moves a message to the dead letters. It leaves the events' consumer only when it has arrived there.
pub(super) async fn bury(
    broker: &Broker,
    role: &'static str,
    reason: Reason,
    message: &Message,
    event: Option<EventId>,
) {
    let publish =
        PublishMessage::build().payload(message.payload.clone()).headers(letter::headers(role, reason, message, event));
    let kept = match broker.context.send_publish(letter::subject(role), publish).await {
        Ok(sent) => sent.await.map(|_| ()),
        Err(error) => Err(error),
    };
    let end = match &kept {
        Ok(()) => {
            meters::buried(role, reason.name());
            let event = event.map(|event| event.to_string());
            tracing::error!(role, reason = reason.name(), event, "an order went to the dead letters");
            AckKind::Term
        }
        Err(error) => {
            tracing::warn!(role, %error, "an order could not be moved to the dead letters, trying again");
            AckKind::Nak(Some(BURY_AGAIN))
        }
    };
    if let Err(error) = message.ack_with(end).await {
        tracing::debug!(%error, "the broker was not told of a dead letter; it will be looked at again");
    }
}

/// Something that could not be carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Its number among the dead letters.
    pub sequence: u64,
    /// When it was given up.
    pub at: Timestamp,
    /// The role that gave up.
    pub role: String,
    /// Why, in a word.
    pub reason: String,
    /// The subject that it came under.
    pub subject: String,
    /// The event that ordered it, where it named one.
    pub event: Option<String>,
    /// How often it had been handed out.
    pub deliveries: u64,
    /// Its place in the events' stream.
    pub stream_sequence: u64,
    /// The headers that it had.
    pub headers: Vec<(String, String)>,
    /// The message: a `CloudEvent`, without anything personal.
    pub payload: Vec<u8>,
}

/// A dead letter that was sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Redriven {
    /// Its number among the dead letters, where it no longer is.
    pub sequence: u64,
    /// Its new place in the events' stream.
    pub stream_sequence: u64,
}

/// Why a dead letter cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeadLetterError {
    /// There is none of this number.
    #[error("there is no dead letter {0}")]
    Unknown(u64),
    /// It does not say where it came from.
    #[error("dead letter {0} does not name the subject that it came under")]
    NoSubject(u64),
    /// The broker does not do what it is asked.
    #[error("the broker's dead letters cannot be used: {0}")]
    Broker(String),
}

fn broken(error: impl std::fmt::Display) -> DeadLetterError {
    DeadLetterError::Broker(error.to_string())
}

/// The dead letters of a broker.
#[derive(Debug, Clone)]
pub struct DeadLetters {
    broker: Arc<Broker>,
}

impl DeadLetters {
    /// Those of this broker.
    pub fn of(broker: Arc<Broker>) -> Self {
        Self { broker }
    }

    async fn stream(&self) -> Result<Stream<()>, DeadLetterError> {
        self.broker.context.get_stream_no_info(DEAD_STREAM).await.map_err(broken)
    }

    /// How many there are, and the number of the last.
    pub async fn count(&self) -> Result<(u64, u64), DeadLetterError> {
        let stream = self.broker.context.get_stream(DEAD_STREAM).await.map_err(broken)?;
        let stream::State { messages, last_sequence, .. } = stream.cached_info().state;
        Ok((messages, last_sequence))
    }

    /// Up to `limit` letters after this number, oldest first.
    pub async fn list(&self, after: u64, limit: usize) -> Result<Vec<DeadLetter>, DeadLetterError> {
        let stream = self.stream().await?;
        let mut letters = Vec::new();
        let mut from = after.saturating_add(1);
        while letters.len() < limit {
            match stream.get_first_raw_message_by_subject(DEAD_SUBJECTS, from).await {
                Ok(message) => {
                    from = message.sequence.saturating_add(1);
                    letters.push(read(&message));
                }
                Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => break,
                Err(error) => return Err(broken(error)),
            }
        }
        Ok(letters)
    }

    /// One letter.
    pub async fn get(&self, sequence: u64) -> Result<DeadLetter, DeadLetterError> {
        self.message(sequence).await.map(|message| read(&message))
    }

    async fn message(&self, sequence: u64) -> Result<StreamMessage, DeadLetterError> {
        match self.stream().await?.get_raw_message(sequence).await {
            Ok(message) => Ok(message),
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => {
                Err(DeadLetterError::Unknown(sequence))
            }
            Err(error) => Err(broken(error)),
        }
    }

    /// Sends a letter again under the subject that it came under, and takes it from the dead letters. It may be
    /// repeated: what was carried out meanwhile is not carried out twice.
    pub async fn redrive(&self, sequence: u64) -> Result<Redriven, DeadLetterError> {
        let message = self.message(sequence).await?;
        let subject = header(Some(&message.headers), SUBJECT).to_owned();
        if subject.is_empty() {
            return Err(DeadLetterError::NoSubject(sequence));
        }
        let mut headers = original(&message.headers);
        // The old id would still be known, and the message be dropped.
        headers.insert(
            async_nats::header::NATS_MESSAGE_ID,
            format!("redriven.{sequence}.{}", message.time.unix_timestamp_nanos()),
        );
        headers.insert(REDRIVEN, sequence.to_string());
        let publish = PublishMessage::build().payload(message.payload).headers(headers);
        let sent = self.broker.context.send_publish(subject, publish).await.map_err(broken)?;
        let stream_sequence = sent.await.map_err(broken)?.sequence;
        self.stream().await?.delete_message(sequence).await.map_err(broken)?;
        Ok(Redriven { sequence, stream_sequence })
    }
}

/// The headers that a message had, without the broker's own: those asked for something at that time.
fn original(headers: &HeaderMap) -> HeaderMap {
    let mut found = HeaderMap::new();
    for (name, values) in headers.iter() {
        let name = name.to_string();
        let Some(name) = name.strip_prefix(ORIGINAL).filter(|name| !name.starts_with("Nats-")) else { continue };
        let Ok(name) = name.parse::<HeaderName>() else { continue };
        for value in values {
            found.append(name.clone(), value.clone());
        }
    }
    found
}

fn read(message: &StreamMessage) -> DeadLetter {
    let text = |name| header(Some(&message.headers), name).to_owned();
    let number = |name| text(name).parse().unwrap_or(0);
    let mut headers: Vec<_> = message
        .headers
        .iter()
        .filter_map(|(name, values)| Some((name.to_string().strip_prefix(ORIGINAL)?.to_owned(), values)))
        .flat_map(|(name, values)| values.iter().map(move |value| (name.clone(), value.as_str().to_owned())))
        .collect();
    headers.sort();
    let millis = message.time.unix_timestamp_nanos() / 1_000_000;
    DeadLetter {
        sequence: message.sequence,
        at: Timestamp::from_millis(i64::try_from(millis).unwrap_or_default()),
        role: text(ROLE),
        reason: text(REASON),
        subject: text(SUBJECT),
        event: Some(text(EVENT)).filter(|event| !event.is_empty()),
        deliveries: number(DELIVERIES),
        stream_sequence: number(SEQUENCE),
        headers,
        payload: message.payload.to_vec(),
    }
}
