//! What support can do, always with a reason.

use super::rules::Rules;
use crate::{
    decision::{Decision, Ruling},
    events::{Event, MethodUnlocked, RevocationReason, SessionsEnded, TwoFactorDisabled, TwoFactorReset},
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
        let by = self.support_person();
        self.may_unlock(by)?;
        let unlocked = MethodUnlocked { kinds, cap_lifted, reason: Personal::Known(reason.clone()), by };
        Ok(Decision::accept(vec![unlocked.into()], Outcome::Done))
    }

    /// The API client that a support person acts through; none for an operator.
    fn support_person(&self) -> Option<ApiKeyId> {
        match self.context.caller {
            Caller::ApiClient(id, _) => Some(*id),
            _ => None,
        }
    }

    /// Whoever is signed in is out, known devices are strangers'; factors and password stay.
    pub(super) fn end_sessions_for_support(&self, reason: &FreeText) -> Ruling {
        self.support()?;
        self.confirmed()?;
        let ended = self.end_all_others(None, RevocationReason::Support);
        if ended.is_empty() {
            return Ok(Decision::accept(ended, Outcome::Done));
        }
        let why = SessionsEnded { reason: Personal::Known(reason.clone()), by: self.support_person() };
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

    /// Removes methods and codes, ends all sessions and access tokens, clears the cap of known devices. Until a method is
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
