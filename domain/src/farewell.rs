//! The last word to the owner of an erased account: the stream `farewell-<account>`.
//!
//! The account's key goes with the erasure, and with it the address. What is needed to tell its owner stands here,
//! under a key of this stream alone, which goes with the notice (ADR 28).

use serde::{Deserialize, Serialize};

use crate::{
    decision::{Context, Decider, Decision},
    events::{Event, FarewellOrdered},
    evidence::{Evidence, Need},
    ids::AccountId,
    outcome::{Outcome, Refusal},
    personal::Personal,
    time::{Seconds, Timestamp},
    values::{Caller, EmailAddress},
};

/// The address outlives its account by this at most.
pub const FAREWELL_LIVES: Seconds = Seconds::hours(24);

/// Whether it was ordered. `Default` is the account that was not erased.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Farewell {
    /// The end of the order.
    pub expires_at: Option<Timestamp>,
}

/// Tell the owner, once.
#[derive(Debug, Clone)]
pub struct OrderFarewell {
    /// The account that was.
    pub account_id: AccountId,
    /// Its address, and those that an undo could have brought back.
    pub to: Vec<EmailAddress>,
}

impl Farewell {
    fn rule(&self, command: &OrderFarewell, context: &Context<'_>) -> Decision {
        if *context.caller != Caller::Worker {
            return Decision::refuse(Refusal::Forbidden);
        }
        if self.expires_at.is_some() || command.to.is_empty() {
            return Decision::accept(Vec::new(), Outcome::Done);
        }
        let OrderFarewell { account_id, to } = command;
        let ordered = FarewellOrdered {
            account_id: *account_id,
            addresses: to.iter().cloned().map(Personal::Known).collect(),
            expires_at: context.now.plus(FAREWELL_LIVES),
        };
        Decision::accept(vec![ordered.into()], Outcome::Done)
    }
}

impl Decider for Farewell {
    type Command = OrderFarewell;

    fn decide(&self, command: &OrderFarewell, context: &Context<'_>, _: &Evidence) -> Result<Decision, Need> {
        Ok(self.rule(command, context))
    }

    fn evolve(mut self, event: &Event, _: Timestamp) -> Self {
        if let Event::FarewellOrdered(ordered) = event {
            self.expires_at = Some(ordered.expires_at);
        }
        self
    }
}
