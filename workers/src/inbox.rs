//! The development gateway: messages are shown on a page instead of being sent.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use domain::values::Channel;
use operations::{InboxMessage, Operations};

use crate::gateway::{Accepted, EmailGateway, EmailMessage, GatewayError, SmsGateway, SmsMessage};

/// The inbox cannot be written now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the inbox cannot be written")]
pub struct InboxUnavailable;

/// Where the inbox keeps its messages.
#[async_trait]
pub trait Inbox: Send + Sync + 'static {
    /// Keeps a message; one of the same id takes its place.
    async fn put(&self, message: InboxMessage) -> Result<(), InboxUnavailable>;
}

#[async_trait]
impl Inbox for Operations {
    async fn put(&self, message: InboxMessage) -> Result<(), InboxUnavailable> {
        self.inbox_put(message).await.map_err(|_| InboxUnavailable)
    }
}

/// The gateway of both channels over an [`Inbox`]. What is put there is shown at once, so it counts as
/// delivered without a receipt.
#[derive(Clone)]
pub struct InboxGateway {
    inbox: Arc<dyn Inbox>,
}

impl InboxGateway {
    /// Its name in events, views and metrics.
    pub const NAME: &'static str = "inbox";

    /// A gateway that puts everything there.
    pub fn new(inbox: Arc<dyn Inbox>) -> Self {
        Self { inbox }
    }

    async fn put(&self, message: InboxMessage) -> Result<Accepted, GatewayError> {
        let id = message.id;
        self.inbox.put(message).await.map_err(|InboxUnavailable| GatewayError::transient("unavailable"))?;
        Ok(Accepted { provider_message_id: Some(id.to_string()), is_delivered: true })
    }
}

impl fmt::Debug for InboxGateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InboxGateway")
    }
}

#[async_trait]
impl SmsGateway for InboxGateway {
    fn name(&self) -> &str {
        Self::NAME
    }
    async fn send(&self, message: &SmsMessage) -> Result<Accepted, GatewayError> {
        let SmsMessage { reference, to, body, code, at, .. } = message.clone();
        self.put(InboxMessage { id: reference, channel: Channel::Sms, to, subject: None, body, code, at }).await
    }
}

#[async_trait]
impl EmailGateway for InboxGateway {
    fn name(&self) -> &str {
        Self::NAME
    }
    async fn send(&self, message: &EmailMessage) -> Result<Accepted, GatewayError> {
        let EmailMessage { reference, to, subject, body, code, at, .. } = message.clone();
        let subject = Some(subject);
        self.put(InboxMessage { id: reference, channel: Channel::Email, to, subject, body, code, at }).await
    }
}
