//! What a wrong code leaves in the history.

use super::rules::Rules;
use crate::{
    decision::Decision,
    events::{CodeRejected, RejectionReason},
    ids::{MethodId, VerificationId},
    outcome::Refusal,
    values::{FactorKind, Purpose},
};

/// A code that was tried, and what it was tried for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tried {
    pub(super) verification_id: VerificationId,
    pub(super) purpose: Purpose,
    pub(super) kind: FactorKind,
    pub(super) method_id: Option<MethodId>,
}

/// Why it was not accepted; for an authenticator app with the drift of the clock that would explain it, in steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mismatch {
    pub(super) reason: RejectionReason,
    pub(super) drift: Option<i32>,
}

impl From<RejectionReason> for Mismatch {
    fn from(reason: RejectionReason) -> Self {
        Self { reason, drift: None }
    }
}

impl Rules<'_> {
    /// The one place where a wrong code becomes an event: the n-th of its verification, counted toward no lock and
    /// no cap.
    pub(super) fn code_rejected(&self, tried: Tried, mismatch: Mismatch, failures: u32) -> CodeRejected {
        let Tried { verification_id, purpose, kind, method_id } = tried;
        let began = self.state.verifications.get(&verification_id).and_then(|verification| verification.started_by);
        let side = self.side(began);
        CodeRejected {
            verification_id,
            purpose,
            kind,
            method_id,
            reason: mismatch.reason,
            verification_failures: failures,
            kind_failures: 0,
            account_failures: self.failures(side),
            account_locked: self.state.is_capped(side, self.context.policy, self.now()),
            ended: false,
            clock_drift_steps: mismatch.drift,
            side,
            tell_owner: false,
        }
    }

    /// A wrong code that counts for its verification or enrollment alone, which so many of them end.
    pub(super) fn rejected_alone(
        &self,
        tried: Tried,
        mismatch: Mismatch,
        failures: u32,
        most: Option<u32>,
    ) -> Decision {
        let ended = most.is_some_and(|most| failures >= most);
        let rejected = CodeRejected { ended, ..self.code_rejected(tried, mismatch, failures) };
        Decision::reject(vec![rejected.into()], Refusal::WrongCode { fail_count: failures, locked_until: None })
    }
}
