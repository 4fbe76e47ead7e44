//! What support can do, always with a reason.

use super::rules::Rules;
use crate::{
    decision::{Decision, Ruling},
    events::{Event, MethodUnlocked, RevocationReason, TwoFactorDisabled, TwoFactorReset, TwoFactorResetRequested},
    evidence::NewRecoveryCodes,
    ids::ApiKeyId,
    outcome::{Outcome, Refusal},
    personal::Personal,
    values::{Caller, FactorKind, FreeText},
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

    /// Removes methods and codes, ends all sessions and access tokens, clears the cap. The person comes back with the
    /// one recovery code that this makes, beside the password or the mailed code of a reset.
    pub(super) fn reset_two_factor(&self, reason: &FreeText) -> Ruling {
        self.support()?;
        self.confirmed()?;
        if let Some(requested) = self.reset_to_be_approved(reason)? {
            return Ok(requested);
        }
        let fresh = self.answer(NewRecoveryCodes { count: 1 })?.clone();
        let recovery_code = fresh.codes.into_iter().next().ok_or(Refusal::Conflict)?;
        let expires_at = self.now().plus(self.context.policy.reset_code_lives);
        let mut events: Vec<Event> = vec![
            TwoFactorReset {
                reason: Personal::Known(reason.clone()),
                method_ids: self.state.methods.keys().copied().collect(),
                code: Some(Personal::Known(fresh.hashes)),
                code_expires_at: Some(expires_at),
                by: self.supporter(),
                phone_numbers: self.numbers_on_file(),
            }
            .into(),
        ];
        events.extend(self.state.two_factor_since.map(|_| Event::from(TwoFactorDisabled {})));
        events.extend(self.recovery_codes_revoked(RevocationReason::Reset));
        events.extend(self.end_other_sessions(None, RevocationReason::Reset));
        events.extend(self.end_other_access_tokens(None, RevocationReason::Reset));
        Ok(Decision::accept(events, Outcome::TwoFactorReset { recovery_code, expires_at }))
    }

    /// Where policy asks for two, the first one's wish; none once another one approves. Who has a shell on the server
    /// needs nobody.
    fn reset_to_be_approved(&self, reason: &FreeText) -> Ruling<Option<Decision>> {
        let by = self.supporter();
        if self.context.policy.reset_approvers < 2 || by.is_none() {
            return Ok(None);
        }
        match self.state.reset_requested.filter(|request| self.now() < request.expires_at) {
            Some(request) if request.by != by => Ok(None),
            Some(_) => Err(Refusal::Conflict.into()),
            None => {
                let expires_at = self.now().plus(self.context.policy.reset_request_lives);
                let reason = Personal::Known(reason.clone());
                let requested = TwoFactorResetRequested { reason, by, expires_at };
                Ok(Some(Decision::accept(vec![requested.into()], Outcome::TwoFactorResetRequested { expires_at })))
            }
        }
    }

    /// The API client of the support person; none for an operator.
    fn supporter(&self) -> Option<ApiKeyId> {
        match self.context.caller {
            Caller::ApiClient(id, _) => Some(*id),
            _ => None,
        }
    }
}
