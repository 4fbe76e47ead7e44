//! What support can do, always with a reason.

use super::rules::Rules;
use crate::{
    decision::{Decision, Ruling},
    events::{
        Event, MethodUnlocked, RevocationReason, SessionsEnded, TwoFactorDisabled, TwoFactorReset,
        TwoFactorResetRequested,
    },
    evidence::NewRecoveryCodes,
    ids::ApiKeyId,
    outcome::{Outcome, Refusal},
    personal::Personal,
    state::{Tallies, Unlock},
    time::Seconds,
    values::{Caller, FactorKind, FreeText},
};

/// Each approver lifts locks of an account at most so often.
const UNLOCKED_AGAIN: Seconds = Seconds::days(1);
/// In that time they are lifted so often, each time by somebody else.
const UNLOCKS: usize = 2;

impl Rules<'_> {
    /// Lifts the lock of one kind, or all locks, caps and suspensions, without touching factors. Both sides get new
    /// tries, so it is done once a day, and once more by somebody else.
    pub(super) fn unlock(&self, kind: Option<FactorKind>, reason: &FreeText) -> Ruling {
        self.support()?;
        self.confirmed()?;
        let tallies = Tallies::SIDES.map(|side| (side, self.state.tallies.of(side)));
        let counts = |kind: &FactorKind| {
            let of_kind = tallies.iter().filter_map(|(_, tally)| tally.locks.of(*kind));
            of_kind.clone().any(|lock| lock.failures_at(self.now()) > 0)
        };
        let kinds: Vec<FactorKind> = [FactorKind::Totp, FactorKind::Sms, FactorKind::Email]
            .into_iter()
            .filter(|candidate| kind.is_none_or(|kind| kind == *candidate))
            .filter(counts)
            .collect();
        let is_counted = tallies.iter().any(|(side, tally)| self.failures(*side) > 0 || tally.imported.failures > 0);
        let cap_lifted = kind.is_none() && is_counted;
        if kinds.is_empty() && !cap_lifted {
            return Ok(Decision::accept(Vec::new(), Outcome::Done));
        }
        let by = self.supporter();
        self.may_unlock(by)?;
        let unlocked = MethodUnlocked { kinds, cap_lifted, reason: Personal::Known(reason.clone()), by };
        Ok(Decision::accept(vec![unlocked.into()], Outcome::Done))
    }

    /// Whoever is signed in is out, known devices are strangers'; factors and password stay.
    pub(super) fn end_sessions_for_support(&self, reason: &FreeText) -> Ruling {
        self.support()?;
        self.confirmed()?;
        let ended = self.end_all_others(None, RevocationReason::Support);
        if ended.is_empty() {
            return Ok(Decision::accept(ended, Outcome::Done));
        }
        let why = SessionsEnded { reason: Personal::Known(reason.clone()), by: self.supporter() };
        let events = [Event::from(why)].into_iter().chain(ended).collect();
        Ok(Decision::accept(events, Outcome::Done))
    }

    fn may_unlock(&self, by: Option<ApiKeyId>) -> Ruling<()> {
        let ends = |unlock: &Unlock| unlock.at.plus(UNLOCKED_AGAIN);
        let recent = self.state.unlocks.iter().filter(|unlock| self.now() < ends(unlock));
        let own = recent.clone().rev().find(|unlock| unlock.by == by).map(ends);
        let all = if recent.clone().count() < UNLOCKS { None } else { recent.map(ends).min() };
        match own.max(all) {
            Some(until) => Err(Refusal::RateLimited { retry_after: self.until(until) }.into()),
            None => Ok(()),
        }
    }

    /// Removes methods and codes, ends all sessions and access tokens, clears the cap of known devices. The person comes
    /// back with the one recovery code that this makes, beside the password or the mailed code of a reset.
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
        events.extend(self.end_all_others(None, RevocationReason::Reset));
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
