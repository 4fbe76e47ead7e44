//! What support can do, always with a reason.

use super::rules::Rules;
use crate::{
    decision::{Decision, Ruling},
    events::{Event, MethodUnlocked, RevocationReason, TwoFactorDisabled, TwoFactorReset},
    outcome::Outcome,
    personal::Personal,
    values::{FactorKind, FreeText},
};

impl Rules<'_> {
    /// Lifts the lock of one kind, or all locks and the account's cap, without touching factors.
    pub(super) fn unlock(&self, kind: Option<FactorKind>, reason: &FreeText) -> Ruling {
        self.support()?;
        self.confirmed()?;
        let counts =
            |kind: &FactorKind| self.state.locks.of(*kind).is_some_and(|lock| lock.failures_at(self.now()) > 0);
        let kinds: Vec<FactorKind> = [FactorKind::Totp, FactorKind::Sms, FactorKind::Email]
            .into_iter()
            .filter(|candidate| kind.is_none_or(|kind| kind == *candidate))
            .filter(counts)
            .collect();
        let cap_lifted = kind.is_none() && self.state.account_failures > 0;
        let events = if kinds.is_empty() && !cap_lifted {
            Vec::new()
        } else {
            vec![MethodUnlocked { kinds, cap_lifted, reason: Personal::Known(reason.clone()), by: None }.into()]
        };
        Ok(Decision::accept(events, Outcome::Done))
    }

    /// Removes methods and codes, ends all sessions and access tokens, clears the cap. Until a method is
    /// enabled again, signing in needs the password and an email code.
    pub(super) fn reset_two_factor(&self, reason: &FreeText) -> Ruling {
        self.support()?;
        self.confirmed()?;
        let method_ids = self.state.methods.keys().copied().collect();
        let mut events: Vec<Event> = vec![
            TwoFactorReset {
                reason: Personal::Known(reason.clone()),
                method_ids,
                code: None,
                code_expires_at: None,
                by: None,
                phone_numbers: Vec::new(),
            }
            .into(),
        ];
        events.extend(self.state.two_factor_since.map(|_| Event::from(TwoFactorDisabled {})));
        events.extend(self.recovery_codes_revoked(RevocationReason::Reset));
        events.extend(self.end_all_others(None, RevocationReason::Reset));
        Ok(Decision::accept(events, Outcome::Done))
    }
}
