//! The numbers of accounts: the stream `numbers`.
//!
//! Whoever registers accounts sets a few numbers aside at a time and gives them away one by one. What a process had
//! left when it ended is never given: numbers are unique and small, not without gaps.

use serde::{Deserialize, Serialize};

use crate::{
    decision::{Context, Decider, Decision},
    events::{Event, NumbersReserved},
    evidence::{Evidence, Need},
    ids::AccountNumber,
    outcome::{Outcome, Refusal},
    time::Timestamp,
};

/// Which numbers are set aside. `Default` is the installation without accounts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountNumbers {
    /// The last of them.
    pub last: u32,
}

/// Set this many aside.
#[derive(Debug, Clone, Copy)]
pub struct ReserveNumbers {
    /// How many.
    pub count: u32,
}

impl AccountNumbers {
    fn rule(&self, command: ReserveNumbers) -> Decision {
        let count = command.count.max(1);
        if self.last.checked_add(count).is_none() {
            return Decision::refuse(Refusal::Conflict);
        }
        let first = AccountNumber(self.last + 1);
        Decision::accept(vec![NumbersReserved { first, count }.into()], Outcome::NumbersReserved { first, count })
    }
}

impl Decider for AccountNumbers {
    type Command = ReserveNumbers;

    fn decide(&self, command: &ReserveNumbers, _: &Context<'_>, _: &Evidence) -> Result<Decision, Need> {
        Ok(self.rule(*command))
    }

    fn evolve(mut self, event: &Event, _: Timestamp) -> Self {
        if let Event::NumbersReserved(reserved) = event {
            let last = reserved.first.0.saturating_add(reserved.count.saturating_sub(1));
            self.last = self.last.max(last);
        }
        self
    }
}
