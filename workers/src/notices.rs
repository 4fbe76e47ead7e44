//! The role `notices`: a mail to the account's holder after what they must hear of.

use async_trait::async_trait;
use domain::{
    delivery::Order,
    events::Event,
    ids::{EventId, StreamId},
    state::Phase,
    time::Seconds,
    values::{Channel, EmailAddress},
};
use engine::ExecuteError;
use event_store::codec;
use messages::{Mail, Notice};
use schemas::envelope::{RecordedEvent, StoredEvent, Version};

use crate::{
    gateway::{EmailMessage, Message},
    jobs::{Handler, Job, Verdict},
    orders::noticed,
    sending::{Office, Send},
    steps::second_order,
};

/// A notice that could not be sent for this long is not sent any more.
pub const NOTICE_LIVES: Seconds = Seconds::hours(24);

/// What a delivery stream says a notice is for, where a code has its purpose.
pub const NOTICE_SUBJECT: &str = "notice";

/// Events per read of a history.
const PAGE: usize = 500;

/// Sends notices.
pub(crate) struct Notices {
    pub office: Office,
}

#[async_trait]
impl Handler for Notices {
    async fn handle(&self, job: &Job) -> Verdict {
        self.send(&job.order).await.unwrap_or_else(|error| self.office.after_error(job.order.id, job.tries, &error))
    }
}

impl Notices {
    async fn send(&self, stored: &StoredEvent) -> Result<Verdict, ExecuteError> {
        let sealed = codec::decode(stored, None)?;
        if !matches!(sealed.stream, StreamId::Account(_)) || noticed(&sealed.event).is_none() {
            return Ok(Verdict::Done);
        }
        let Some(key) = self.office.engine.keys().key(&sealed.stream).await? else {
            return Ok(Verdict::Done);
        };
        let recorded = codec::decode(stored, Some(&key))?;
        let Some(notice) = noticed(&recorded.event) else { return Ok(Verdict::Done) };
        let Event::EmailChanged(changed) = &recorded.event else {
            return self.send_to(&recorded, stored.id, &notice, Address::Current).await;
        };
        // Two mails are two sends with a stream each; the second one's is named by an id of its own.
        let new = Address::Known(changed.email.known().cloned());
        let to_new = self.send_to(&recorded, stored.id, &notice, new).await?;
        let second = second_order(stored.id);
        let to_old = self.send_to(&recorded, second, &Notice::EmailChangedFrom, Address::Previous).await?;
        Ok(to_new.and(to_old))
    }

    async fn send_to(
        &self,
        recorded: &RecordedEvent,
        order_id: EventId,
        notice: &Notice,
        address: Address,
    ) -> Result<Verdict, ExecuteError> {
        let StreamId::Account(account_id) = recorded.stream else { return Ok(Verdict::Done) };
        if let Some(verdict) = self.office.nothing_to_do(order_id).await? {
            return Ok(verdict);
        }
        let to = match address {
            Address::Known(address) => address,
            Address::Current => self.current(account_id).await?,
            Address::Previous => self.previous(recorded).await?,
        };
        let Some(to) = to else { return Ok(Verdict::Done) };
        let Mail { subject, body, html } = self.office.catalogue.notice_mail(notice, recorded.metadata.at);
        let send = Send {
            order: Order {
                order_id,
                account_id,
                verification_id: None,
                subject: NOTICE_SUBJECT.to_owned(),
                channel: Channel::Email,
                country: None,
                prefix: None,
                ordered_at: recorded.metadata.at,
                deadline: recorded.metadata.at.plus(NOTICE_LIVES),
            },
            message: Message::Email(EmailMessage {
                reference: order_id.0,
                to: to.as_str().to_owned(),
                subject,
                body,
                html,
                code: None,
                at: self.office.engine.now(),
            }),
            cause: (recorded.id, &recorded.metadata),
            unreceipted: None,
            backoff: self.office.options.notice_backoff,
        };
        self.office.carry_out(&send).await
    }

    /// The account's address, if it was ever confirmed: nobody else's mailbox hears of an account.
    async fn current(&self, account_id: domain::ids::AccountId) -> Result<Option<EmailAddress>, ExecuteError> {
        let state = self.office.engine.load(account_id).await?.state;
        let email = state.email.as_ref().and_then(|email| email.known()).cloned();
        Ok(email.filter(|_| state.phase == Phase::Confirmed))
    }

    /// The address before this change, from the history up to it: the state has only the present one.
    async fn previous(&self, changed: &RecordedEvent) -> Result<Option<EmailAddress>, ExecuteError> {
        let mut address = None;
        let mut after = Version::NONE;
        loop {
            let page = self.office.engine.history(&changed.stream, after, PAGE).await?;
            for event in &page {
                if event.version >= changed.version {
                    return Ok(address);
                }
                address = match &event.event {
                    Event::AccountRegistered(e) => e.email.known().cloned(),
                    Event::AccountImported(e) => e.email.known().cloned(),
                    Event::EmailChanged(e) => e.email.known().cloned(),
                    _ => address,
                };
            }
            let Some(last) = page.last() else { return Ok(address) };
            after = last.version;
        }
    }
}

enum Address {
    Known(Option<EmailAddress>),
    Current,
    Previous,
}
