//! A mail as it travels: headers, and the text in two forms.

use std::time::{Duration, UNIX_EPOCH};

use domain::time::Timestamp;
use lettre::{
    Address, Message,
    message::{
        Mailbox, MultiPart,
        header::{HeaderName, HeaderValue},
    },
};
use zeroize::Zeroizing;

use crate::gateway::{EmailMessage, GatewayError};

/// A mail, ready to go.
pub(super) struct Composed {
    pub from: Address,
    pub to: Address,
    /// Without its angle brackets: the send's reference at the sender's domain, so that a mail program shows the
    /// repeat of a send as the mail that it has already.
    pub message_id: String,
    pub content: Zeroizing<Vec<u8>>,
}

impl Composed {
    pub fn new(from: &Mailbox, message: &EmailMessage) -> Result<Self, GatewayError> {
        const UNSENDABLE: GatewayError = GatewayError::hard("unsendable");
        let to: Address = message.to.parse().map_err(|_| GatewayError::hard("invalid_address"))?;
        let message_id = format!("{}@{}", message.reference, from.email.domain());
        // RFC 3834: no vacation notice answers it.
        let automatic = HeaderValue::new(HeaderName::new_from_ascii_str("Auto-Submitted"), "auto-generated".to_owned());
        let mail = Message::builder()
            .from(from.clone())
            .to(Mailbox::new(None, to.clone()))
            .subject(message.subject.clone())
            .date(date(message.at).ok_or(UNSENDABLE)?)
            .message_id(Some(format!("<{message_id}>")))
            .raw_header(automatic)
            .multipart(MultiPart::alternative_plain_html(message.body.expose().clone(), message.html.expose().clone()))
            .map_err(|_| UNSENDABLE)?;
        Ok(Self { from: from.email.clone(), to, message_id, content: Zeroizing::new(mail.formatted()) })
    }
}

fn date(at: Timestamp) -> Option<std::time::SystemTime> {
    UNIX_EPOCH.checked_add(Duration::from_millis(u64::try_from(at.as_millis()).ok()?))
}
