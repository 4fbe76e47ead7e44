//! The roles `sms` and `email`: one-time codes.

use async_trait::async_trait;
use domain::{
    delivery::{AttemptState, CodeOrder, Delivery, Order},
    ids::{AccountId, EventId, StreamId},
    secret::SecretText,
    values::{Channel, EmailAddress, Purpose},
};
use engine::ExecuteError;
use event_store::codec;
use messages::{Code, Mail};
use schemas::envelope::{RecordedEvent, StoredEvent, Version};

use crate::{
    gateway::{EmailMessage, Message, SmsMessage},
    jobs::{Handler, Job, Verdict},
    sending::{Office, Send},
};

/// How far back the last send of the same code is looked for. A code lives minutes; so many events of one
/// account in that time are not a person's.
const LOOK_BACK: u64 = 200;

/// Sends the codes of one channel.
pub(crate) struct Codes {
    pub office: Office,
    pub channel: Channel,
}

#[async_trait]
impl Handler for Codes {
    async fn handle(&self, job: &Job) -> Verdict {
        self.send(&job.order).await.unwrap_or_else(|error| self.office.after_error(job.order.id, job.tries, &error))
    }
}

impl Codes {
    async fn send(&self, stored: &StoredEvent) -> Result<Verdict, ExecuteError> {
        let sealed = codec::decode(stored, None)?;
        let StreamId::Account(account_id) = sealed.stream else { return Ok(Verdict::Done) };
        if CodeOrder::of(&sealed.event).is_none_or(|ordered| ordered.challenge.channel != self.channel) {
            return Ok(Verdict::Done);
        }
        if let Some(verdict) = self.office.nothing_to_do(stored.id).await? {
            return Ok(verdict);
        }
        // Without its key the account is erased, and with it every code that was on its way.
        let Some(key) = self.office.engine.keys().key(&sealed.stream).await? else {
            return Ok(Verdict::Done);
        };
        let recorded = codec::decode(stored, Some(&key))?;
        let Some(ordered) = CodeOrder::of(&recorded.event) else { return Ok(Verdict::Done) };
        let Some(to) = ordered.to.known() else { return Ok(Verdict::Done) };

        let Some(digits) = self.office.engine.ordered_code(&key, &ordered) else { return Ok(Verdict::Done) };
        let message = self.message(account_id, stored.id, &ordered, to, &digits).await?;
        let unreceipted = if ordered.is_resend { self.unreceipted(&recorded, &ordered).await? } else { None };
        let send = Send {
            order: Order {
                order_id: stored.id,
                account_id,
                verification_id: Some(ordered.challenge.verification_id),
                subject: ordered.challenge.purpose.name().to_owned(),
                channel: self.channel,
                country: ordered.country,
                prefix: ordered.prefix,
                ordered_at: recorded.metadata.at,
                deadline: ordered.expires_at,
            },
            message,
            cause: (stored.id, &recorded.metadata),
            unreceipted,
            backoff: self.office.options.code_backoff,
        };
        self.office.carry_out(&send).await
    }

    async fn message(
        &self,
        account_id: AccountId,
        order: EventId,
        ordered: &CodeOrder,
        to: &str,
        digits: &SecretText,
    ) -> Result<Message, ExecuteError> {
        let purpose = ordered.challenge.purpose;
        let now = self.office.engine.now();
        let (reference, to, at) = (order.0, to.to_owned(), now);
        if self.channel == Channel::Email && self.is_held(account_id, purpose, &to).await? {
            let Mail { subject, body, html } = self.office.catalogue.held_address_mail(purpose, now);
            return Ok(Message::Email(EmailMessage { reference, to, subject, body, html, code: None, at }));
        }
        let action = self.action(account_id, ordered).await?;
        let code = Code { digits, purpose, action: action.as_deref(), now, expires_at: ordered.expires_at };
        let catalogue = &self.office.catalogue;
        Ok(match self.channel {
            Channel::Sms => {
                let body = catalogue.code_sms(&code);
                let (code, expires_at) = (Some(digits.clone()), ordered.expires_at);
                Message::Sms(SmsMessage { reference, attempt: 1, to, body, code, at, expires_at })
            }
            Channel::Email => {
                let Mail { subject, body, html } = catalogue.code_mail(&code);
                Message::Email(EmailMessage { reference, to, subject, body, html, code: Some(digits.clone()), at })
            }
        })
    }

    /// Whether the address to be confirmed belongs to another account by now.
    ///
    /// A claim alone does not say so: one that its account never completed may still be taken over, and
    /// whoever holds the address is to get a code then.
    async fn is_held(&self, account_id: AccountId, purpose: Purpose, to: &str) -> Result<bool, ExecuteError> {
        if !matches!(purpose, Purpose::ConfirmEmail | Purpose::ConfirmNewEmail) {
            return Ok(false);
        }
        let Ok(address) = EmailAddress::parse(to) else { return Ok(false) };
        let engine = &self.office.engine;
        let Some(holder) = engine.holder_of(&address).await?.filter(|holder| *holder != account_id) else {
            return Ok(false);
        };
        Ok(engine.load(holder).await?.state.keeps(&address, engine.now()))
    }

    /// The action that an API client named for a `step_up`.
    async fn action(&self, account_id: AccountId, ordered: &CodeOrder) -> Result<Option<String>, ExecuteError> {
        if ordered.challenge.purpose != Purpose::StepUp {
            return Ok(None);
        }
        let state = self.office.engine.load(account_id).await?.state;
        let verification = state.verifications.get(&ordered.challenge.verification_id);
        let action = verification.and_then(|verification| verification.action.as_ref());
        Ok(action.and_then(|action| action.known()).map(|action| action.as_str().to_owned()))
    }

    /// The gateway by which this code last went out without a receipt; only of use where there are several.
    async fn unreceipted(&self, resent: &RecordedEvent, ordered: &CodeOrder) -> Result<Option<String>, ExecuteError> {
        if self.office.gateways.names(self.channel).len() < 2 {
            return Ok(None);
        }
        let from = Version(resent.version.0.saturating_sub(LOOK_BACK.saturating_add(1)));
        let engine = &self.office.engine;
        let limit = usize::try_from(LOOK_BACK).unwrap_or(usize::MAX);
        let before = engine.history(&resent.stream, from, limit).await?;
        let last = before.iter().rev().find(|event| {
            event.version < resent.version
                && CodeOrder::of(&event.event).is_some_and(|earlier| earlier.challenge == ordered.challenge)
        });
        let Some(last) = last else { return Ok(None) };
        let delivery = engine.load_stream::<Delivery>(&StreamId::Delivery(last.id)).await?.state;
        let attempt = delivery.last().filter(|attempt| attempt.state != AttemptState::Delivered);
        Ok(attempt.map(|attempt| attempt.provider.clone()))
    }
}
