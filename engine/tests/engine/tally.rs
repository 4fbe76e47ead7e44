//! A small decider: it counts its own events, and has a gate.

use domain::{
    decision::{Context, Decider, Decision},
    events::{EmailReleased, Event, RetentionApplied, RevocationReason},
    evidence::{Evidence, Need},
    ids::{AccountId, StreamId},
    outcome::{Outcome, Refusal},
    time::Timestamp,
};
use engine::testing::Fixture;
use serde::{Deserialize, Serialize};

/// What [`Ask::Count`] is told.
pub fn counted(count: u32) -> Outcome {
    Outcome::SendClaimed { attempt: count, provider: String::new() }
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    pub count: u32,
    pub is_open: bool,
}

#[derive(Debug)]
pub enum Ask {
    /// One more; tells how many that makes.
    Count,
    /// Opens the gate.
    Open,
    /// Refused without an event while the gate is closed; accepted without an event when it is open.
    Enter,
    /// Refused, with an event.
    Fail,
}

impl Decider for Tally {
    type Command = Ask;

    fn decide(&self, command: &Ask, context: &Context<'_>, _: &Evidence) -> Result<Decision, Need> {
        let one = RetentionApplied { before: context.now }.into();
        Ok(match command {
            Ask::Count => Decision::accept(vec![one], counted(self.count + 1)),
            Ask::Open => {
                Decision::accept(vec![EmailReleased { reason: RevocationReason::Requested }.into()], Outcome::Done)
            }
            Ask::Enter if self.is_open => Decision::accept(Vec::new(), Outcome::Done),
            Ask::Enter => Decision::refuse(Refusal::Forbidden),
            Ask::Fail => Decision::reject(vec![one], Refusal::Conflict),
        })
    }

    fn evolve(mut self, event: &Event, _at: Timestamp) -> Self {
        match event {
            Event::RetentionApplied(_) => self.count += 1,
            Event::EmailReleased(_) => self.is_open = true,
            _ => {}
        }
        self
    }
}

pub fn stream(fixture: &Fixture) -> StreamId {
    StreamId::Account(AccountId(fixture.uuid()))
}
