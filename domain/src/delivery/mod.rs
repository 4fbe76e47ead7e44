//! One send: the stream `delivery-<id of the ordering event>`. Its first event is a worker's claim of the
//! order, so a redelivered order finds it taken.

mod code_order;
mod failure;
mod receipt;
mod routing;

use serde::{Deserialize, Serialize};

use crate::{
    decision::{Context, Decider, Decision},
    events::{CodeDelivered, CodeDeliveryFailed, CodeDispatched, Event, SendOutcomeUnknown, SendStarted},
    evidence::{Evidence, Need},
    ids::{AccountId, EventId, VerificationId},
    outcome::{NextTry, Outcome, Refusal},
    time::{Seconds, Timestamp},
    values::{Caller, Channel, Country, NumberPrefix},
};

pub use self::{
    code_order::CodeOrder,
    failure::FailureKind,
    receipt::{CallBack, Receipt, ReceiptRefused, ReceiptState, ReceiptVerifier},
    routing::{MAX_TRIES, Routes, TRANSIENT_TRIES},
};

/// An attempt that was not answered for this long has an unknown outcome.
pub const SEND_TIMEOUT: Seconds = Seconds(30);

/// Why a code is not sent whose end has come.
const TOO_LATE: &str = "too_late";

/// One send. `Default` is the order that nobody took.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// The tries, oldest first.
    pub attempts: Vec<Attempt>,
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
    Failed(FailureKind),
    /// It failed for good.
    GivenUp,
    /// Nobody knows.
    Unknown,
}

impl AttemptState {
    /// The try that an event of a delivery is about, and how it stands from then on.
    pub fn after(event: &Event) -> Option<(u32, Self)> {
        Some(match event {
            Event::SendStarted(e) => (e.attempt, Self::Started),
            Event::CodeDispatched(e) => (e.attempt, Self::Dispatched),
            Event::CodeDelivered(e) => (e.attempt, Self::Delivered),
            Event::CodeDeliveryFailed(e) if e.is_final => (e.attempt, Self::GivenUp),
            Event::CodeDeliveryFailed(e) => (e.attempt, Self::Failed(FailureKind::of_recorded(&e.reason))),
            Event::SendOutcomeUnknown(e) => (e.attempt, Self::Unknown),
            _ => return None,
        })
    }

    /// Whether it may still be told what the gateway said.
    const fn is_under_way(self) -> bool {
        matches!(self, Self::Started | Self::Unknown)
    }

    const fn may_arrive(self) -> bool {
        !matches!(self, Self::Delivered)
    }

    const fn may_fail(self) -> bool {
        matches!(self, Self::Started | Self::Unknown | Self::Dispatched)
    }

    /// Its stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Dispatched => "dispatched",
            Self::Delivered => "delivered",
            Self::Failed(_) => "failed",
            Self::GivenUp => "given_up",
            Self::Unknown => "unknown",
        }
    }
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
        /// What it may go by.
        routes: Routes,
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
    /// The gateway did not take it.
    RecordRefusal {
        /// The try.
        attempt: u32,
        /// As [`FailureKind::recorded`] has it.
        reason: String,
        /// What the next try may go by.
        routes: Routes,
        /// When a gateway that only put it off would be asked again.
        put_off_until: Timestamp,
    },
    /// A receipt says that it will not arrive.
    RecordDeliveryFailure {
        /// The try.
        attempt: u32,
        /// As [`FailureKind::recorded`] has it.
        reason: String,
    },
}

impl Decider for Delivery {
    type Command = DeliveryCommand;

    fn decide(&self, command: &DeliveryCommand, context: &Context<'_>, _: &Evidence) -> Result<Decision, Need> {
        Ok(self.rule(command, context))
    }

    fn evolve(mut self, event: &Event, at: Timestamp) -> Self {
        let Some((attempt, state)) = AttemptState::after(event) else { return self };
        if let Event::SendStarted(started) = event {
            let (provider, deadline) = (started.provider.clone(), started.deadline);
            self.attempts.push(Attempt { attempt, provider, started_at: at, deadline, state });
        } else if let Some(last) = self.attempts.last_mut().filter(|last| last.attempt == attempt) {
            last.state = state;
        }
        self.unknown = self.unknown.saturating_add(u32::from(state == AttemptState::Unknown));
        self
    }
}

impl Delivery {
    fn rule(&self, command: &DeliveryCommand, context: &Context<'_>) -> Decision {
        if *context.caller != Caller::Worker {
            return Decision::refuse(Refusal::Forbidden);
        }
        match command {
            DeliveryCommand::StartSend { order, routes } => self.start(order, routes, context.now),
            DeliveryCommand::RecordDispatch { attempt, provider_message_id } => {
                self.record(*attempt, AttemptState::is_under_way, |last| {
                    let provider_message_id = provider_message_id.clone();
                    CodeDispatched { provider: last.provider.clone(), attempt: *attempt, provider_message_id }.into()
                })
            }
            // A receipt knows better than a gateway that was not heard of in time.
            DeliveryCommand::RecordDelivery { attempt } => self.record(*attempt, AttemptState::may_arrive, |last| {
                CodeDelivered { provider: last.provider.clone(), attempt: *attempt }.into()
            }),
            DeliveryCommand::RecordRefusal { attempt, reason, routes, put_off_until } => {
                self.refused(*attempt, reason, routes, *put_off_until, context.now)
            }
            DeliveryCommand::RecordDeliveryFailure { attempt, reason } => {
                self.record(*attempt, AttemptState::may_fail, |last| {
                    // Once a gateway had taken it no worker is at it any more: what a receipt says is the end.
                    failed(last, reason, last.state == AttemptState::Dispatched)
                })
            }
        }
    }

    /// The last try.
    pub fn last(&self) -> Option<&Attempt> {
        self.attempts.last()
    }

    /// Whether nothing more will be tried.
    pub fn is_over(&self) -> bool {
        self.last().is_some_and(|last| match last.state {
            AttemptState::Started | AttemptState::Failed(_) => false,
            AttemptState::Unknown => self.unknown > 1,
            AttemptState::Dispatched | AttemptState::Delivered | AttemptState::GivenUp => true,
        })
    }

    /// When a try that someone else may be at has had its time; `None` when none is under way.
    pub fn taken_until(&self, now: Timestamp) -> Option<Timestamp> {
        let last = self.last().filter(|last| last.state == AttemptState::Started)?;
        Some(last.started_at.plus(SEND_TIMEOUT)).filter(|until| now < *until)
    }

    fn start(&self, order: &Order, routes: &Routes, now: Timestamp) -> Decision {
        let taken = |events, retry_at| Decision::accept(events, Outcome::SendTaken { retry_at });
        if self.is_over() {
            return taken(Vec::new(), None);
        }
        if let Some(until) = self.taken_until(now) {
            return taken(Vec::new(), Some(until));
        }
        let is_late = now >= order.deadline;
        let mut events = Vec::new();
        if let Some(last) = self.last() {
            if last.state == AttemptState::Started {
                // Whoever was at it had its time. One such try is repeated, no more.
                events.push(SendOutcomeUnknown { provider: last.provider.clone(), attempt: last.attempt }.into());
                if self.unknown >= 1 {
                    return taken(events, None);
                }
            }
            if is_late {
                // One of unknown outcome may have been sent in time.
                if matches!(last.state, AttemptState::Failed(_)) {
                    events.push(failed(last, TOO_LATE, true));
                }
                return taken(events, None);
            }
        }
        let Some(provider) = routes.next(&self.attempts).map(str::to_owned) else {
            return Decision::accept(events, Outcome::NoGatewayLeft);
        };
        let attempt = self.last().map_or(1, |last| last.attempt.saturating_add(1));
        events.push(started(order, &provider, attempt).into());
        if is_late {
            // A code past its end is never sent; that it was not is on record.
            let reason = TOO_LATE.to_owned();
            events.push(CodeDeliveryFailed { provider, attempt, reason, is_final: true }.into());
            return taken(events, None);
        }
        Decision::accept(events, Outcome::SendClaimed { attempt, provider })
    }

    /// A gateway did not take it: what follows is decided here and now, so that a send which is over says so.
    fn refused(
        &self,
        attempt: u32,
        reason: &str,
        routes: &Routes,
        put_off_until: Timestamp,
        now: Timestamp,
    ) -> Decision {
        let kind = FailureKind::of_recorded(reason);
        let mut tried = self.attempts.clone();
        if let Some(last) = tried.last_mut() {
            last.state = AttemptState::Failed(kind);
        }
        let (next, at) = match kind {
            FailureKind::Hard | FailureKind::TimedOut => (NextTry::AtOnce, now),
            FailureKind::Transient => (NextTry::PutOff, put_off_until),
        };
        let goes_on = self.last().is_some_and(|last| last.state != AttemptState::Dispatched && at < last.deadline)
            && routes.next(&tried).is_some();
        let decision = self.record(attempt, AttemptState::may_fail, |last| failed(last, reason, !goes_on));
        if decision.events.is_empty() {
            return decision;
        }
        let next = if goes_on { next } else { NextTry::Never };
        Decision::accept(decision.events, Outcome::SendFailed { next })
    }

    fn record(
        &self,
        attempt: u32,
        may_follow: impl Fn(AttemptState) -> bool,
        event: impl FnOnce(&Attempt) -> Event,
    ) -> Decision {
        match self.last() {
            Some(last) if last.attempt == attempt && may_follow(last.state) => {
                Decision::accept(vec![event(last)], Outcome::Done)
            }
            Some(last) if attempt <= last.attempt => Decision::accept(Vec::new(), Outcome::Done),
            _ => Decision::refuse(Refusal::NotFound),
        }
    }
}

fn failed(last: &Attempt, reason: &str, is_final: bool) -> Event {
    let Attempt { attempt, provider, .. } = last.clone();
    CodeDeliveryFailed { provider, attempt, reason: reason.to_owned(), is_final }.into()
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
