//! Who read the history: the stream `audit-access-<reader>`.

use serde::{Deserialize, Serialize};

use crate::{
    decision::{Context, Decider, Decision},
    events::{Event, HistoryAccess, HistoryAccessed},
    evidence::{Evidence, Need},
    ids::AccountId,
    outcome::{Outcome, Refusal},
    time::Timestamp,
    values::{Caller, Scope, Scopes},
};

/// It has no rules over its own past, so it keeps none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditAccess {}

/// An access, recorded before anything is answered.
#[derive(Debug, Clone)]
pub struct RecordAccess {
    /// How.
    pub access: HistoryAccess,
    /// Whose, when it is one account's.
    pub account_id: Option<AccountId>,
}

/// Personal data in clear takes a scope of its own.
fn may(scopes: &Scopes, access: HistoryAccess) -> bool {
    scopes.contains(&Scope::AuditRead) && (access != HistoryAccess::Pii || scopes.contains(&Scope::AuditPii))
}

fn rule(command: &RecordAccess, context: &Context<'_>) -> Decision {
    let api_key_id = match context.caller {
        Caller::ApiClient(id, scopes) if may(scopes, command.access) => Some(*id),
        Caller::Operator => None,
        _ => return Decision::refuse(Refusal::Forbidden),
    };
    let accessed = HistoryAccessed { api_key_id, access: command.access, account_id: command.account_id };
    Decision::accept(vec![accessed.into()], Outcome::Done)
}

impl Decider for AuditAccess {
    type Command = RecordAccess;

    fn decide(&self, command: &RecordAccess, context: &Context<'_>, _: &Evidence) -> Result<Decision, Need> {
        Ok(rule(command, context))
    }

    fn evolve(self, _event: &Event, _at: Timestamp) -> Self {
        self
    }
}
