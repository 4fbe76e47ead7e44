//! Taking a change of address back, by whoever could sign in before it: the mail to the old address has a link, and
//! the link asks for the password and the factor of then (ADR 0026).

use super::{
    attempts::{Judgement, proved},
    rejections::{Mismatch, Tried},
    rules::{Rules, invalid, readable},
};
use crate::{
    commands::{SecondFactor, UndoLink},
    decision::{Decision, Ruling},
    events::{
        ChangesFrozen, ChangesUnfrozen, EmailChangeUndone, Event, RestoredCodes, RestoredMethod, RevocationReason,
    },
    evidence::UndoSecret,
    ids::{MethodId, VerificationId},
    limits,
    outcome::{Outcome, Refusal},
    secret::{SecretText, TokenHash},
    state::{Account, AddressChange, Device, Progress, RecoveryCodes, RecoverySet, Standing, Tallies, Verification},
    time::Timestamp,
    values::{Credential, EmailAddress, FactorKind, Purpose},
};

impl Rules<'_> {
    pub(super) fn undo_email_change(
        &self,
        link: &UndoLink,
        confirmation: &EmailAddress,
        password: &SecretText,
        factor: Option<&SecondFactor>,
    ) -> Ruling {
        let change = self.linked(link)?;
        let before = &change.before;
        let address = readable(before.email.as_ref().ok_or(Refusal::NotFound)?)?;
        if address.canonical() != confirmation.canonical() {
            return Err(invalid("confirmation", "must be the address that is to be the account's again").into());
        }
        // Without the factor nobody is told whether the password is right.
        if !before.methods.is_empty() && factor.is_none() {
            return Err(Refusal::VerificationRequired { purpose: Purpose::UndoEmailChange }.into());
        }
        // Without a password nobody signed in here: there is nothing that this could be asked for.
        let hash = readable(before.password.as_ref().ok_or(Refusal::Conflict)?)?;
        self.allowed(limits::undo_attempt(&self.context.policy.limits, change.id, self.context.origin))?;
        if !self.password_matches(hash, password)? {
            return Err(Refusal::WrongCredentials.into());
        }
        let (mut events, mut kind) = (Vec::new(), None);
        if !before.methods.is_empty() {
            let purpose = Purpose::UndoEmailChange;
            let factor = factor.ok_or(Refusal::VerificationRequired { purpose })?;
            match self.judge_factor_of_then(change, factor)? {
                Judgement::Wrong(decision) => return Ok(decision),
                Judgement::Right(proof) => {
                    kind = Some(proof.kind);
                    events = proved(change.id, &check_of(change), proof, self.now(), false);
                }
            }
        }
        events.push(self.undone(change, address, kind, &events).into());
        events.extend(self.end_all_others(None, RevocationReason::Undone));
        Ok(Decision::accept(events, Outcome::Done))
    }

    /// A code by text can be the factor of then.
    pub(super) fn send_undo_code(&self, link: &UndoLink, method_id: Option<MethodId>) -> Ruling {
        let change = self.linked(link)?;
        let then = then(self.state, change);
        Rules { state: &then, ..*self }.text_for_undo(change, method_id)
    }

    /// Who has nothing but the link cannot take anything back, but can stop what goes on, once.
    pub(super) fn freeze_changes(&self, link: &UndoLink) -> Ruling {
        let change = self.linked(link)?;
        if change.has_frozen {
            return Err(Refusal::Conflict.into());
        }
        let until = self.now().plus(self.context.policy.freeze_lasts);
        let frozen = ChangesFrozen { change: change.id, until };
        Ok(Decision::accept(vec![frozen.into()], Outcome::ChangesFrozen { until }))
    }

    /// Whoever stopped changes had the link alone. What an owner has together outweighs it: the password and the factor,
    /// both shown a moment ago, and the mailbox of now.
    pub(super) fn unfreeze_changes(&self, verification_id: Option<VerificationId>) -> Ruling {
        let id = self.strong_session()?;
        self.confirmed()?;
        let freeze = self.state.frozen_at(self.now()).ok_or(Refusal::Conflict)?;
        let session = self.state.sessions.get(&id).ok_or(Refusal::Unauthenticated)?;
        let lately =
            |at: Option<Timestamp>| at.is_some_and(|at| self.now() < at.plus(self.context.policy.password_fresh));
        let needs_factor = self.state.two_factor_since.is_some();
        if !lately(session.password_at) || (needs_factor && !lately(session.factor_at)) {
            return Err(Refusal::VerificationRequired { purpose: Purpose::SignIn }.into());
        }
        let purpose = Purpose::UnfreezeChanges;
        verification_id
            .and_then(|id| self.state.verifications.get(&id))
            .filter(|verification| self.usable(verification, purpose, Credential::Session(id)))
            .ok_or(Refusal::VerificationRequired { purpose })?;
        let unfrozen = ChangesUnfrozen { change: freeze.change };
        Ok(Decision::accept(vec![unfrozen.into()], Outcome::Done))
    }

    /// The change that a link is about, while it can be undone. Whoever does not hold the link learns nothing.
    fn linked(&self, link: &UndoLink) -> Ruling<&AddressChange> {
        let secret = self.answer(UndoSecret(link.change))?;
        // A secret's equality takes the same time wherever two differ.
        if secret.as_ref() != Some(&link.secret) {
            return Err(Refusal::Unauthenticated.into());
        }
        self.confirmed()?;
        let mut undoable = self.state.undoable(self.now());
        undoable.find(|change| change.id == link.change).ok_or_else(|| Refusal::VerificationExpired.into())
    }

    /// Judged as a sign-in would have judged it then, but that nothing which happened since, a lock for one, stands
    /// in the way. Wrong ones count for the link alone: nobody else can use its tries up.
    fn judge_factor_of_then(&self, change: &AddressChange, factor: &SecondFactor) -> Ruling<Judgement> {
        let (then, check) = (then(self.state, change), check_of(change));
        let rules = Rules { state: &then, ..*self };
        let (kind, method_id) = rules.meant(&check, factor.kind, factor.method_id, &factor.code)?;
        let is_long = kind == FactorKind::RecoveryCode
            && matches!(&change.before.recovery, Some(RecoverySet { codes: RecoveryCodes::Ours(_), .. }));
        if !is_long && change.failures >= self.context.policy.undo_attempts {
            return Err(Refusal::AccountLocked.into());
        }
        Ok(match rules.judge(change.id, &check, Some(kind), method_id, &factor.code)? {
            Judgement::Right(proof) => Judgement::Right(proof),
            Judgement::Wrong(decision) => Judgement::Wrong(self.wrong_for_the_link(change, decision)),
        })
    }

    fn wrong_for_the_link(&self, change: &AddressChange, decision: Decision) -> Decision {
        let rejected = decision.events.into_iter().find_map(|event| match event {
            Event::CodeRejected(rejected) => Some(rejected),
            _ => None,
        });
        let Some(rejected) = rejected else { return Decision::refuse(Refusal::WrongCredentials) };
        let tried = Tried {
            verification_id: change.id,
            purpose: Purpose::UndoEmailChange,
            kind: rejected.kind,
            method_id: rejected.method_id,
        };
        let mismatch = Mismatch { reason: rejected.reason, drift: rejected.clock_drift_steps };
        self.rejected_alone(tried, mismatch, change.failures.saturating_add(1), None)
    }

    /// What is so again, with what was spent for it.
    fn undone(
        &self,
        change: &AddressChange,
        email: &EmailAddress,
        kind: Option<FactorKind>,
        spent: &[Event],
    ) -> EmailChangeUndone {
        let now = self.now();
        let after = spent.iter().fold(self.state.clone(), |state, event| super::evolve::evolve(state, event, now));
        let before = after.address_changes.into_iter().find(|known| known.id == change.id);
        let before = before.map_or_else(|| change.before.clone(), |known| known.before);
        EmailChangeUndone {
            change: change.id,
            email: crate::personal::Personal::Known(email.clone()),
            kind,
            methods: restored(&before),
            two_factor_since: before.two_factor_since,
            recovery_codes: before.recovery.as_ref().map(|set| RestoredCodes {
                set: set.set,
                count: set.count,
                remaining: set.remaining(),
                generated_at: set.generated_at,
            }),
        }
    }
}

fn restored(before: &Standing) -> Vec<RestoredMethod> {
    let methods = before.methods.iter().map(|(id, method)| {
        let (phone_number, country) = match &method.device {
            Device::Sms { phone_number, country, .. } => (Some(phone_number.clone()), Some(country.clone())),
            Device::Totp { .. } => (None, None),
        };
        RestoredMethod {
            method_id: *id,
            kind: method.kind(),
            label: method.label.clone(),
            phone_number,
            country,
            is_primary: before.primary == Some(*id),
            created_at: method.created_at,
            last_used: method.last_used,
        }
    });
    methods.collect()
}

/// The account with the factors of then.
fn then(state: &Account, change: &AddressChange) -> Account {
    Account {
        methods: change.before.methods.clone(),
        primary: change.before.primary,
        recovery: change.before.recovery.clone(),
        reset: None,
        tallies: Tallies::default(),
        ..state.clone()
    }
}

/// The check that the link stands for: the mailbox is proved, and the second factor is not email.
fn check_of(change: &AddressChange) -> Verification {
    Verification {
        purpose: Purpose::UndoEmailChange,
        action: None,
        target: None,
        started_by: None,
        token_hash: TokenHash([0; 32]),
        first_factor: Vec::new(),
        new_email: None,
        yields_session: false,
        started_at: Timestamp::EPOCH,
        progress: Progress::HalfDone { expires_at: change.undo_until },
        asked: None,
        source: None,
        attempts: None,
        failures: change.failures,
        recovery_failures: change.failures,
        sends: 0,
        codes: change.codes.clone(),
        good_from: None,
    }
}
