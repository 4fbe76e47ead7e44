//! What a witness of random stories writes down, and what it would object to.

use std::collections::{BTreeMap, BTreeSet};

use domain::{
    commands::{Check, Command},
    events::*,
    ids::{MethodId, VerificationId},
    state::Account,
    time::{Seconds, Timestamp},
    values::*,
};

use crate::kit::*;

/// What an honest witness writes down beside the account.
#[derive(Default)]
pub struct Witness {
    pub history: Vec<(Event, Timestamp)>,
    pub used_codes: BTreeSet<(u32, u32)>,
    pub used_up: BTreeSet<VerificationId>,
    pub steps: BTreeMap<MethodId, u64>,
    pub locked_until: BTreeMap<(Side, FactorKind), Timestamp>,
    /// Wrong codes of a kind since it last succeeded.
    pub guesses: BTreeMap<(Side, FactorKind), Vec<Timestamp>>,
    /// Wrong codes since a factor that is not email last succeeded.
    pub wrong_in_a_row: BTreeMap<Side, Vec<Timestamp>>,
    pub sends: BTreeMap<VerificationId, u32>,
    pub own_sends: Vec<Timestamp>,
    pub last_sends: BTreeMap<(VerificationId, Option<MethodId>), Timestamp>,
    /// Everything that was once right: TOTP codes and recovery codes as typed.
    pub once_right: Vec<String>,
}

impl Witness {
    /// One more event, with what it followed from.
    pub fn witness(&mut self, event: &Event, before: &Scene<Account>, command: &Command) {
        let (now, policy) = (before.now, &before.policy);
        match event {
            Event::RecoveryCodeUsed(e) => {
                assert!(self.used_codes.insert((e.set, e.index)), "a used recovery code never works twice");
                if let Command::UseRecoveryCode { code, .. } | Command::CheckAndAct { check: Check { code, .. }, .. } =
                    command
                {
                    assert!(!self.once_right.contains(code.expose()), "in clear neither");
                    self.once_right.push(code.expose().clone());
                }
            }
            Event::VerificationSucceeded(e) => {
                if let (Some(step), Some(id)) = (e.totp_step, e.method_id) {
                    self.accepted(id, step);
                }
                let of_an_address = e.kind == FactorKind::Email && e.purpose == Purpose::ResetPassword;
                if !of_an_address {
                    self.not_locked(e.kind, e.side, before);
                    self.guesses.remove(&(e.side, e.kind));
                    if e.kind != FactorKind::Email {
                        self.wrong_in_a_row.remove(&e.side);
                    }
                }
                if let Command::SubmitCode { code, .. } | Command::CheckAndAct { check: Check { code, .. }, .. } =
                    command
                {
                    self.once_right.push(code.expose().clone());
                }
            }
            Event::CodeRejected(e) if e.kind_failures > 0 => {
                self.not_locked(e.kind, e.side, before);
                self.wrong_in_a_row.entry(e.side).or_default().push(now);
                let most = if e.kind == FactorKind::Totp { policy.totp_attempts } else { policy.code_attempts };
                let guesses = self.guesses.entry((e.side, e.kind)).or_default();
                guesses.push(now);
                let recent = guesses.iter().filter(|at| now < at.plus(policy.lock_lasts)).count();
                assert!(recent <= most as usize, "no resend, restart or switch gains guesses");
            }
            Event::MethodLocked(e) => {
                self.locked_until.insert((e.side, e.kind), e.locked_until);
            }
            Event::MethodUnlocked(e) => {
                self.locked_until.retain(|(_, kind), _| !e.kinds.contains(kind));
                self.guesses.retain(|(_, kind), _| !e.kinds.contains(kind));
                if e.cap_lifted {
                    self.wrong_in_a_row.clear();
                }
            }
            Event::TwoFactorReset(_) => {
                self.locked_until.retain(|(side, _), _| *side == Side::Others);
                self.guesses.retain(|(side, _), _| *side == Side::Others);
                self.wrong_in_a_row.remove(&Side::KnownDevices);
            }
            Event::MethodEnabled(e) => {
                if let Some(step) = e.totp_step {
                    self.accepted(e.method_id, step);
                }
                self.uses_up(e.verification_id);
            }
            Event::MethodDisabled(e) => self.uses_up(e.verification_id),
            Event::RecoveryCodesGenerated(e) => e.verification_id.into_iter().for_each(|id| self.uses_up(id)),
            Event::SignedIn(e) => e.verification_id.into_iter().for_each(|id| self.uses_up(id)),
            Event::CodeIssued(e) => self.sent(e.verification_id, e.method_id, e.purpose, e.channel, before),
            Event::CodeResent(e) => self.sent(e.verification_id, e.method_id, e.purpose, e.channel, before),
            _ => {}
        }
        self.history.push((event.clone(), now));
    }

    fn accepted(&mut self, id: MethodId, step: u64) {
        let last = self.steps.insert(id, step);
        assert!(last.is_none_or(|last| last < step), "the accepted step of a device strictly increases");
    }

    fn not_locked(&self, kind: FactorKind, side: Side, before: &Scene<Account>) {
        if kind != FactorKind::RecoveryCode {
            let until = self.locked_until.get(&(side, kind));
            assert!(until.is_none_or(|until| before.now >= *until), "a locked method never verifies");
            let [least, _] = self.failures(side, before.now);
            assert!(least < before.policy.account_cap, "the cap holds over everything");
        }
    }

    /// Between what and what the count of a side must be: it falls by ten a day since its first at most.
    pub fn failures(&self, side: Side, now: Timestamp) -> [u32; 2] {
        let wrong = self.wrong_in_a_row.get(&side).map(Vec::as_slice).unwrap_or_default();
        let most = u32::try_from(wrong.len()).unwrap();
        let fallen = wrong.first().map_or(0, |first| now.seconds_since(*first) / (24 * 3_600 / 10));
        [most.saturating_sub(fallen), most]
    }

    fn uses_up(&mut self, id: VerificationId) {
        assert!(self.used_up.insert(id), "a verification is used once");
    }

    fn sent(
        &mut self,
        id: VerificationId,
        method: Option<MethodId>,
        purpose: Purpose,
        channel: Channel,
        before: &Scene<Account>,
    ) {
        let (now, policy) = (before.now, &before.policy);
        let sends = self.sends.entry(id).or_default();
        *sends += 1;
        assert!(*sends <= policy.sends_per_verification, "sends of a verification are bounded");
        let last = self.last_sends.insert((id, method), now);
        assert!(last.is_none_or(|last| now >= last.plus(policy.resend_after)), "a resend waits");
        if channel == Channel::Sms || purpose != Purpose::ResetPassword {
            self.own_sends.push(now);
            let recent = self.own_sends.iter().filter(|at| now < at.plus(Seconds::hours(1))).count();
            assert!(recent <= 2 * policy.sends_per_account_hour as usize, "sends of an account are bounded, by side");
        }
    }
}
