//! The shape of deciding: context in, events and outcome out.

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    entropy::Entropy,
    events::Event,
    evidence::{Evidence, Need},
    outcome::{Outcome, Refusal},
    policy::Policy,
    time::Timestamp,
    values::{Caller, Origin},
};

/// Everything beside state, command and evidence that a decision depends on.
#[derive(Debug)]
pub struct Context<'a> {
    /// The moment of the decision; `execute` sees to it that it is not before the stream's last event.
    pub now: Timestamp,
    /// What the clock shows, which may have been set back: for what another clock shows too, such as that of an
    /// authenticator app.
    pub clock: Timestamp,
    /// Who asks.
    pub caller: &'a Caller,
    /// From where.
    pub origin: &'a Origin,
    /// The rules' numbers.
    pub policy: &'a Policy,
    /// Anything random.
    pub entropy: &'a Entropy,
}

/// What a command leads to: events to append, and what its sender is told once they are.
///
/// A refusal can be history too: a wrong code has events *and* a refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// To be appended, all or none.
    pub events: Vec<Event>,
    /// To be told after the append.
    pub outcome: Result<Outcome, Refusal>,
}

impl Decision {
    /// Success.
    pub fn accept(events: Vec<Event>, outcome: Outcome) -> Self {
        Self { events, outcome: Ok(outcome) }
    }
    /// A refusal that leaves no trace.
    pub fn refuse(refusal: Refusal) -> Self {
        Self { events: Vec::new(), outcome: Err(refusal) }
    }
    /// A refusal that is history.
    pub fn reject(events: Vec<Event>, refusal: Refusal) -> Self {
        Self { events, outcome: Err(refusal) }
    }
}

/// A stream's rules: one order of events, one place that decides what may come next.
///
/// `Default` is the stream that does not exist. States derive serde for snapshots only.
pub trait Decider: Default + Clone + Send + Sync + Serialize + DeserializeOwned + 'static {
    /// What may be asked of it.
    type Command: Send + Sync;
    /// Turns a command into events and what its sender is told, or names the one thing that has to be found out
    /// before. Asked again with that fact it runs from the top, so it is the same for the same arguments.
    fn decide(&self, command: &Self::Command, context: &Context<'_>, evidence: &Evidence) -> Result<Decision, Need>;
    /// Whether the history says that what is personal in it was erased. Only then it may be read without its key.
    fn is_erased(&self) -> bool {
        true
    }
    /// The state after one more event, which happened at `at`. Never fails, whatever the history.
    #[must_use]
    fn evolve(self, event: &Event, at: Timestamp) -> Self;
}

/// Why a rule stopped early.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stop {
    /// It says no.
    Refused(Refusal),
    /// It cannot say yet.
    Needs(Need),
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Need> for Stop {
    fn from(need: Need) -> Self {
        Self::Needs(need)
    }
}

/// What a rule returns; `?` stops it with a refusal or with a need.
pub(crate) type Ruling<T = Decision> = Result<T, Stop>;
