//! The cut-off of all sessions: what began before it is over, in every account. The stream `installation`.

use serde::{Deserialize, Serialize};

use crate::{
    decision::{Context, Decider, Decision},
    events::{Event, SessionsCutOff},
    evidence::{Evidence, Need},
    outcome::{Outcome, Refusal},
    personal::Personal,
    time::Timestamp,
    values::{Caller, FreeText, Scope},
};

/// Where it stands. `Default` is the installation that never had one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CutOff {
    /// Sessions and access tokens that began before are over.
    pub before: Option<Timestamp>,
}

/// End all sessions and access tokens that began before.
#[derive(Debug, Clone)]
pub struct CutOffSessions {
    /// The moment.
    pub before: Timestamp,
    /// Why.
    pub reason: FreeText,
}

impl CutOff {
    /// It signs everybody out, support people who work on one account at a time included: who may make API keys may
    /// do that, and whoever has a shell.
    fn rule(&self, command: &CutOffSessions, context: &Context<'_>) -> Decision {
        let CutOffSessions { before, reason } = command;
        if !(context.caller.has(Scope::Admin) || *context.caller == Caller::Operator) {
            return Decision::refuse(Refusal::Forbidden);
        }
        // It would end what begins only later: nobody could sign in until then.
        if *before > context.now {
            let detail = "must not be in the future".to_owned();
            return Decision::refuse(Refusal::Invalid { field: "before".to_owned(), detail });
        }
        if self.before.is_some_and(|known| *before <= known) {
            return Decision::accept(Vec::new(), Outcome::Done);
        }
        let cut_off = SessionsCutOff { before: *before, reason: Personal::Known(reason.clone()) };
        Decision::accept(vec![cut_off.into()], Outcome::Done)
    }
}

impl Decider for CutOff {
    type Command = CutOffSessions;

    fn decide(&self, command: &CutOffSessions, context: &Context<'_>, _: &Evidence) -> Result<Decision, Need> {
        Ok(self.rule(command, context))
    }

    fn evolve(mut self, event: &Event, _: Timestamp) -> Self {
        if let Event::SessionsCutOff(cut_off) = event {
            self.before = self.before.max(Some(cut_off.before));
        }
        self
    }
}
