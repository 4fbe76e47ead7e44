//! One send: the stream `delivery-<id of the ordering event>`. Its first event is a worker's claim of the
//! order, so a redelivered order finds it taken.

use serde::{Deserialize, Serialize};

use crate::{
    decision::{Context, Decider, Decision},
    events::{CodeDelivered, CodeDeliveryFailed, CodeDispatched, Event, SendOutcomeUnknown, SendStarted},
    evidence::{Evidence, Need},
    ids::{AccountId, EventId, VerificationId},
    outcome::{Outcome, Refusal},
    time::{Seconds, Timestamp},
    values::{Caller, Channel, Country, NumberPrefix},
};

/// An attempt that was not answered for this long has an unknown outcome.
pub const SEND_TIMEOUT: Seconds = Seconds(30);

/// One send. `Default` is the order that nobody took.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// The last attempt.
    pub last: Option<Attempt>,
    /// Attempts whose outcome is unknown: one is repeated, no more.
    pub unknown: u32,
}

/// One try with one gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// Counts the tries.
    pub attempt: u32,
    /// The gateway.
    pub provider: String,
    /// When it began.
    pub started_at: Timestamp,
    /// Not to be sent after.
    pub deadline: Timestamp,
    /// How it stands.
    pub state: AttemptState,
}

/// How a try stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttemptState {
    /// Handed to the gateway, or about to be.
    Started,
    /// The gateway took it.
    Dispatched,
    /// A receipt says it arrived.
    Delivered,
    /// It failed, and another try may follow.
    Failed,
    /// It failed for good.
    GivenUp,
    /// Nobody knows.
    Unknown,
}

/// What a worker knows of an order when it takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// The event that ordered it.
    pub order_id: EventId,
    /// The account.
    pub account_id: AccountId,
    /// The verification of a code.
    pub verification_id: Option<VerificationId>,
    /// A purpose's name for codes, `notice` for notices.
    pub subject: String,
    /// How it travels.
    pub channel: Channel,
    /// Country of the number.
    pub country: Option<Country>,
    /// Prefix of the number.
    pub prefix: Option<NumberPrefix>,
    /// When it was given.
    pub ordered_at: Timestamp,
    /// Not to be sent after.
    pub deadline: Timestamp,
}

/// What workers and receipts say.
#[derive(Debug, Clone)]
pub enum DeliveryCommand {
    /// Take the order: the claim.
    StartSend {
        /// The order.
        order: Order,
        /// The gateway it is to go to.
        provider: String,
    },
    /// The gateway took it.
    RecordDispatch {
        /// The try.
        attempt: u32,
        /// The gateway's own id of it.
        provider_message_id: Option<String>,
    },
    /// A receipt says it arrived.
    RecordDelivery {
        /// The try.
        attempt: u32,
    },
    /// It failed.
    RecordDeliveryFailure {
        /// The try.
        attempt: u32,
        /// A short stable word.
        reason: String,
        /// Whether nothing more will be tried. Always so once the gateway had taken it.
        is_final: bool,
    },
}

impl Decider for Delivery {
    type Command = DeliveryCommand;

    fn decide(&self, command: &DeliveryCommand, context: &Context<'_>, _: &Evidence) -> Result<Decision, Need> {
        Ok(self.rule(command, context))
    }

    fn evolve(mut self, event: &Event, at: Timestamp) -> Self {
        let set = |last: &mut Option<Attempt>, attempt: u32, state: AttemptState| {
            if let Some(last) = last.as_mut().filter(|last| last.attempt == attempt) {
                last.state = state;
            }
        };
        match event {
            Event::SendStarted(started) => {
                self.last = Some(Attempt {
                    attempt: started.attempt,
                    provider: started.provider.clone(),
                    started_at: at,
                    deadline: started.deadline,
                    state: AttemptState::Started,
                });
            }
            Event::CodeDispatched(e) => set(&mut self.last, e.attempt, AttemptState::Dispatched),
            Event::CodeDelivered(e) => set(&mut self.last, e.attempt, AttemptState::Delivered),
            Event::CodeDeliveryFailed(e) => {
                let state = if e.is_final { AttemptState::GivenUp } else { AttemptState::Failed };
                set(&mut self.last, e.attempt, state);
            }
            Event::SendOutcomeUnknown(e) => {
                self.unknown = self.unknown.saturating_add(1);
                set(&mut self.last, e.attempt, AttemptState::Unknown);
            }
            _ => {}
        }
        self
    }
}

impl Delivery {
    fn rule(&self, command: &DeliveryCommand, context: &Context<'_>) -> Decision {
        if *context.caller != Caller::Worker {
            return Decision::refuse(Refusal::Forbidden);
        }
        match command {
            DeliveryCommand::StartSend { order, provider } => self.start(order, provider, context.now),
            DeliveryCommand::RecordDispatch { attempt, provider_message_id } => {
                self.record(*attempt, &[AttemptState::Started, AttemptState::Unknown], |provider| {
                    CodeDispatched { provider, attempt: *attempt, provider_message_id: provider_message_id.clone() }
                        .into()
                })
            }
            // A receipt knows better than a gateway that was not heard of in time.
            DeliveryCommand::RecordDelivery { attempt } => self.record(
                *attempt,
                &[
                    AttemptState::Started,
                    AttemptState::Unknown,
                    AttemptState::Dispatched,
                    AttemptState::Failed,
                    AttemptState::GivenUp,
                ],
                |provider| CodeDelivered { provider, attempt: *attempt }.into(),
            ),
            DeliveryCommand::RecordDeliveryFailure { attempt, reason, is_final } => self.record(
                *attempt,
                &[AttemptState::Started, AttemptState::Unknown, AttemptState::Dispatched],
                |provider| {
                    // Once a gateway had taken it no worker is at it any more: what a receipt says is the end.
                    let was_dispatched = self.last.as_ref().is_some_and(|last| last.state == AttemptState::Dispatched);
                    let is_final = *is_final || was_dispatched;
                    CodeDeliveryFailed { provider, attempt: *attempt, reason: reason.clone(), is_final }.into()
                },
            ),
        }
    }

    fn start(&self, order: &Order, provider: &str, now: Timestamp) -> Decision {
        if now >= order.deadline {
            return self.too_late(order, provider, now);
        }
        let taken = |retry_at| Decision::accept(Vec::new(), Outcome::SendTaken { retry_at });
        let mut events = Vec::new();
        let attempt = match &self.last {
            None => 1,
            Some(last) => match last.state {
                AttemptState::Started => {
                    let retry_at = last.started_at.plus(SEND_TIMEOUT);
                    if now < retry_at {
                        return taken(Some(retry_at));
                    }
                    events.push(SendOutcomeUnknown { provider: last.provider.clone(), attempt: last.attempt }.into());
                    if self.unknown >= 1 {
                        return Decision::accept(events, Outcome::SendTaken { retry_at: None });
                    }
                    last.attempt.saturating_add(1)
                }
                AttemptState::Unknown if self.unknown <= 1 => last.attempt.saturating_add(1),
                AttemptState::Failed => last.attempt.saturating_add(1),
                AttemptState::Unknown | AttemptState::Dispatched | AttemptState::Delivered | AttemptState::GivenUp => {
                    return taken(None);
                }
            },
        };
        events.push(started(order, provider, attempt).into());
        Decision::accept(events, Outcome::SendClaimed { attempt })
    }

    /// A code past its end is never sent; that it was not is on record.
    fn too_late(&self, order: &Order, provider: &str, now: Timestamp) -> Decision {
        let mut events = Vec::new();
        let (attempt, provider) = match &self.last {
            Some(last) if last.state == AttemptState::Started && now < last.started_at.plus(SEND_TIMEOUT) => {
                let retry_at = Some(last.started_at.plus(SEND_TIMEOUT));
                return Decision::accept(events, Outcome::SendTaken { retry_at });
            }
            None => {
                events.push(started(order, provider, 1).into());
                (1, provider.to_owned())
            }
            // It may have been sent in time: nobody knows.
            Some(last) if last.state == AttemptState::Started => {
                events.push(SendOutcomeUnknown { provider: last.provider.clone(), attempt: last.attempt }.into());
                return Decision::accept(events, Outcome::SendTaken { retry_at: None });
            }
            Some(last) if last.state == AttemptState::Failed => (last.attempt, last.provider.clone()),
            Some(_) => return Decision::accept(events, Outcome::SendTaken { retry_at: None }),
        };
        events.push(CodeDeliveryFailed { provider, attempt, reason: "too_late".to_owned(), is_final: true }.into());
        Decision::accept(events, Outcome::SendTaken { retry_at: None })
    }

    fn record(&self, attempt: u32, from: &[AttemptState], event: impl FnOnce(String) -> Event) -> Decision {
        match &self.last {
            Some(last) if last.attempt == attempt && from.contains(&last.state) => {
                Decision::accept(vec![event(last.provider.clone())], Outcome::Done)
            }
            Some(last) if attempt <= last.attempt => Decision::accept(Vec::new(), Outcome::Done),
            _ => Decision::refuse(Refusal::NotFound),
        }
    }
}

fn started(order: &Order, provider: &str, attempt: u32) -> SendStarted {
    SendStarted {
        order_id: order.order_id,
        account_id: order.account_id,
        verification_id: order.verification_id,
        subject: order.subject.clone(),
        channel: order.channel,
        country: order.country.clone(),
        prefix: order.prefix.clone(),
        provider: provider.to_owned(),
        attempt,
        ordered_at: order.ordered_at,
        deadline: order.deadline,
    }
}
