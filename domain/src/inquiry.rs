//! Driving a rule until it decides. Whoever finds out facts at once takes [`decided`]; whoever waits for them drives
//! an [`Inquiry`] in a loop of the same shape.

use crate::{
    decision::{Context, Decider, Decision},
    evidence::{Evidence, Fact, Need},
};

/// A decision needs a handful of facts at most; more is a rule that never gets enough.
const FACTS: usize = 32;

/// A rule asked for more facts than any decision takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a rule never has enough evidence")]
pub struct NeverEnough;

/// One command to one state, on its way to a decision.
#[derive(Debug)]
pub struct Inquiry<'a, D: Decider> {
    state: &'a D,
    command: &'a D::Command,
    context: &'a Context<'a>,
    evidence: &'a mut Evidence,
    learned: usize,
}

impl<'a, D: Decider> Inquiry<'a, D> {
    /// Begins with the evidence that there is already.
    pub fn new(state: &'a D, command: &'a D::Command, context: &'a Context<'a>, evidence: &'a mut Evidence) -> Self {
        Self { state, command, context, evidence, learned: 0 }
    }
    /// The decision, or the one thing that has to be found out before it.
    pub fn decision(&self) -> Result<Decision, Need> {
        self.state.decide(self.command, self.context, self.evidence)
    }
    /// Takes in what was found out.
    pub fn learn(&mut self, fact: Fact) -> Result<(), NeverEnough> {
        if self.learned == FACTS {
            return Err(NeverEnough);
        }
        self.learned += 1;
        self.evidence.add(fact);
        Ok(())
    }
}

/// The decision, with each thing that it needs found out on the way.
pub fn decided<D: Decider, E: From<NeverEnough>>(
    state: &D,
    command: &D::Command,
    context: &Context<'_>,
    evidence: &mut Evidence,
    mut find_out: impl FnMut(Need) -> Result<Fact, E>,
) -> Result<Decision, E> {
    let mut inquiry = Inquiry::new(state, command, context, evidence);
    loop {
        match inquiry.decision() {
            Ok(decision) => return Ok(decision),
            Err(need) => inquiry.learn(find_out(need)?)?,
        }
    }
}
