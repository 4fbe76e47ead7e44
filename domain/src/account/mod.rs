//! The rules of an account.

use crate::{
    commands::Command,
    decision::{Context, Decider, Decision},
    events::Event,
    evidence::Need,
    outcome::Refusal,
    state::Account,
    time::Timestamp,
};

impl Decider for Account {
    type Command = Command;

    fn prepare(&self, _command: &Command, _context: &Context<'_>) -> Option<Need> {
        None
    }

    fn decide(&self, _command: &Command, _context: &Context<'_>) -> Decision {
        Decision::refuse(Refusal::Conflict)
    }

    fn evolve(self, _event: &Event, _at: Timestamp) -> Self {
        self
    }
}
