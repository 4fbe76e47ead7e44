//! The ports to the outside: what carries a text message or a mail.
//!
//! An adapter is done when it answers within its own time-out, says with [`FailureKind`] what may be tried
//! next, never puts a gateway's own words into a reason, and hands [`SmsMessage::reference`] on where the
//! gateway knows idempotency keys (a repeat of an unknown outcome has the same one).

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use domain::{delivery::FailureKind, secret::SecretText, time::Timestamp, values::Channel};
use uuid::Uuid;

/// No gateway may take longer to answer. Below [`domain::delivery::SEND_TIMEOUT`] by what it takes to record it, or
/// another worker would take the order over while its answer is still on its way.
pub const LONGEST_ANSWER: Duration = Duration::from_secs(20);

/// A text message on its way. `Debug` shows neither number nor words.
#[derive(Clone)]
pub struct SmsMessage {
    /// Names the send; a repeat of the same send has the same one.
    pub reference: Uuid,
    /// The try that this is; receipts name it together with the reference.
    pub attempt: u32,
    /// The number, E.164.
    pub to: String,
    /// The words.
    pub body: SecretText,
    /// The code within, for the development inbox.
    pub code: Option<SecretText>,
    /// When it is sent.
    pub at: Timestamp,
    /// Of no use from then on: a gateway that can drop what is late is told so.
    pub expires_at: Timestamp,
}

/// A mail on its way. `Debug` shows neither address nor words.
#[derive(Clone)]
pub struct EmailMessage {
    /// Names the send; a repeat of the same send has the same one.
    pub reference: Uuid,
    /// The address.
    pub to: String,
    /// The subject line.
    pub subject: String,
    /// The words, plain text.
    pub body: SecretText,
    /// The same as HTML.
    pub html: SecretText,
    /// The code within, for the development inbox.
    pub code: Option<SecretText>,
    /// When it is sent.
    pub at: Timestamp,
}

impl fmt::Debug for SmsMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[text message {}]", self.reference)
    }
}

impl fmt::Debug for EmailMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[mail {}]", self.reference)
    }
}

/// A gateway took the message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Accepted {
    /// The gateway's own id of it, by which a receipt will name it.
    pub provider_message_id: Option<String>,
    /// Whether it has arrived with that, so that no receipt is to be waited for.
    pub is_delivered: bool,
}

/// A gateway did not take the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.recorded_reason())]
pub struct GatewayError {
    /// What it means for the next try.
    pub kind: FailureKind,
    /// A short stable word such as `invalid_number`; never the gateway's own text.
    pub reason: &'static str,
}

impl GatewayError {
    /// It will never take this message.
    pub const fn hard(reason: &'static str) -> Self {
        Self { kind: FailureKind::Hard, reason }
    }
    /// It did not answer in time.
    pub const fn timed_out() -> Self {
        Self { kind: FailureKind::TimedOut, reason: FailureKind::TimedOut.name() }
    }
    /// It did not take the message now.
    pub const fn transient(reason: &'static str) -> Self {
        Self { kind: FailureKind::Transient, reason }
    }

    /// The reason as history keeps it.
    pub fn recorded_reason(&self) -> String {
        self.kind.recorded(self.reason)
    }
}

/// Carries text messages.
#[async_trait]
pub trait SmsGateway: Send + Sync + 'static {
    /// Its name in events, views and metrics.
    fn name(&self) -> &str;
    /// Hands a message over.
    async fn send(&self, message: &SmsMessage) -> Result<Accepted, GatewayError>;
    /// Whether it can be reached and lets us in, found out without sending anything: for those who check a set-up.
    /// `None` when it knows no harmless call.
    async fn check(&self) -> Option<Result<(), GatewayError>> {
        None
    }
}

/// Carries mails.
#[async_trait]
pub trait EmailGateway: Send + Sync + 'static {
    /// Its name in events, views and metrics.
    fn name(&self) -> &str;
    /// Hands a message over.
    async fn send(&self, message: &EmailMessage) -> Result<Accepted, GatewayError>;
}

/// The gateways of each channel, the preferred one first.
#[derive(Clone, Default)]
pub struct Gateways {
    /// For text messages.
    pub sms: Vec<Arc<dyn SmsGateway>>,
    /// For mails.
    pub email: Vec<Arc<dyn EmailGateway>>,
}

/// A message of either channel.
#[derive(Debug, Clone)]
pub(crate) enum Message {
    Sms(SmsMessage),
    Email(EmailMessage),
}

impl Message {
    /// The same message as this try has it.
    pub fn of_attempt(&self, attempt: u32, at: Timestamp) -> Self {
        match self.clone() {
            Self::Sms(message) => Self::Sms(SmsMessage { attempt, at, ..message }),
            Self::Email(message) => Self::Email(EmailMessage { at, ..message }),
        }
    }
}

impl Gateways {
    /// The names of a channel's gateways, in order.
    pub fn names(&self, channel: Channel) -> Vec<&str> {
        match channel {
            Channel::Sms => self.sms.iter().map(|gateway| gateway.name()).collect(),
            Channel::Email => self.email.iter().map(|gateway| gateway.name()).collect(),
        }
    }

    /// Hands a message to the gateway of this name.
    pub(crate) async fn send(&self, name: &str, message: &Message) -> Result<Accepted, GatewayError> {
        const MISSING: GatewayError = GatewayError::hard("no_gateway");
        match message {
            Message::Sms(message) => {
                let gateway = self.sms.iter().find(|gateway| gateway.name() == name);
                gateway.ok_or(MISSING)?.send(message).await
            }
            Message::Email(message) => {
                let gateway = self.email.iter().find(|gateway| gateway.name() == name);
                gateway.ok_or(MISSING)?.send(message).await
            }
        }
    }
}

impl fmt::Debug for Gateways {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gateways")
            .field("sms", &self.names(Channel::Sms))
            .field("email", &self.names(Channel::Email))
            .finish()
    }
}
