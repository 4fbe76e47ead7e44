//! The role `notices`: a mail to the account's holder after what they must hear of, and for what may cost them the
//! account a text to every number on file too.

use async_trait::async_trait;
use domain::{
    delivery::Order,
    events::{EmailChanged, Event},
    ids::{AccountId, StreamId},
    time::{Seconds, Timestamp},
    values::Channel,
};
use engine::ExecuteError;
use event_store::codec;
use messages::{Mail, Notice, Undo};
use schemas::envelope::{RecordedEvent, StoredEvent};
use vault::{DataKey, Token, TokenKind};

use crate::{
    gateway::{EmailMessage, Message, SmsMessage},
    jobs::{Handler, Job, Verdict},
    orders::noticed,
    sending::{Office, Send},
    steps::farewell_order,
    tellings::{Recipient, Telling, tellings},
};

/// A notice that could not be sent for this long is not sent any more.
pub const NOTICE_LIVES: Seconds = Seconds::hours(24);

/// What a delivery stream says a notice is for, where a code has its purpose.
pub const NOTICE_SUBJECT: &str = "notice";

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
        if noticed(&sealed.event, &sealed.metadata).is_none() {
            return Ok(Verdict::Done);
        }
        // Without its key the account is erased, and nobody is told of anything but that.
        let Some(key) = self.office.engine.keys().key(&sealed.stream).await? else { return Ok(Verdict::Done) };
        let recorded = codec::decode(stored, Some(&key))?;
        let Some(notice) = noticed(&recorded.event, &recorded.metadata) else { return Ok(Verdict::Done) };
        match recorded.stream {
            StreamId::Account(account) => {
                let before = self.office.engine.account_before(account, recorded.version).await?;
                let until = recorded.metadata.at.plus(NOTICE_LIVES);
                let mut verdict = Verdict::Done;
                let undo = undo_of(&recorded.event, account, &key);
                for telling in tellings(&recorded, &notice, undo, &before) {
                    verdict = verdict.and(self.tell(account, &recorded, &telling, until).await?);
                }
                Ok(verdict)
            }
            StreamId::Farewell(account) => self.say_farewell(account, &recorded, &notice).await,
            _ => Ok(Verdict::Done),
        }
    }

    /// The last mails to an erased account; whatever becomes of them, its addresses are forgotten with them.
    async fn say_farewell(
        &self,
        account: AccountId,
        recorded: &RecordedEvent,
        notice: &Notice,
    ) -> Result<Verdict, ExecuteError> {
        let Event::FarewellOrdered(ordered) = &recorded.event else { return Ok(Verdict::Done) };
        let mut verdict = Verdict::Done;
        for (number, to) in (0..).zip(ordered.addresses.iter().filter_map(|to| to.known())) {
            let (order, to) = (farewell_order(recorded.id, number), Recipient::Address(to.clone()));
            let telling = Telling { order, to, notice: notice.clone() };
            verdict = verdict.and(self.tell(account, recorded, &telling, ordered.expires_at).await?);
        }
        if !matches!(verdict, Verdict::Retry(_)) {
            self.office.engine.end_farewell(account).await?;
        }
        Ok(verdict)
    }

    async fn tell(
        &self,
        account_id: AccountId,
        recorded: &RecordedEvent,
        telling: &Telling,
        deadline: Timestamp,
    ) -> Result<Verdict, ExecuteError> {
        if let Some(verdict) = self.office.nothing_to_do(telling.order).await? {
            return Ok(verdict);
        }
        let (channel, country, prefix) = match &telling.to {
            Recipient::Address(_) => (Channel::Email, None, None),
            // A country that policy leaves out is one where texts cost, or are stolen: a notice is no exception.
            Recipient::Number(number) if !self.office.engine.policy().texts_to(number) => return Ok(Verdict::Done),
            Recipient::Number(number) => (Channel::Sms, Some(number.country()), Some(number.prefix())),
        };
        let send = Send {
            order: Order {
                order_id: telling.order,
                account_id,
                verification_id: None,
                subject: NOTICE_SUBJECT.to_owned(),
                channel,
                country,
                prefix,
                ordered_at: recorded.metadata.at,
                deadline,
            },
            message: self.message(telling, recorded.metadata.at, deadline),
            cause: (recorded.id, &recorded.metadata),
            unreceipted: None,
            backoff: self.office.options.notice_backoff,
        };
        self.office.carry_out(&send).await
    }

    fn message(&self, telling: &Telling, happened_at: Timestamp, deadline: Timestamp) -> Message {
        let (catalogue, reference, at) = (&self.office.catalogue, telling.order.0, self.office.engine.now());
        match &telling.to {
            Recipient::Address(to) => {
                let Mail { subject, body, html } = catalogue.notice_mail(&telling.notice, happened_at);
                let to = to.as_str().to_owned();
                Message::Email(EmailMessage { reference, to, subject, body, html, code: None, at })
            }
            Recipient::Number(to) => {
                let body = catalogue.notice_sms(&telling.notice, happened_at);
                let to = to.as_str().to_owned();
                Message::Sms(SmsMessage { reference, attempt: 1, to, body, code: None, at, expires_at: deadline })
            }
        }
    }
}

/// The way back from a change of address, where there is one. Derived, never stored: the mail is the only place it is in.
fn undo_of(event: &Event, account: AccountId, key: &DataKey) -> Option<Undo> {
    let Event::EmailChanged(EmailChanged { verification_id, undo_until: Some(until), .. }) = event else { return None };
    let secret = key.email_undo_secret(*verification_id);
    let token = Token { kind: TokenKind::EmailUndo, stream: account.0, id: verification_id.0, secret };
    Some(Undo { token: token.encode(), until: *until })
}
