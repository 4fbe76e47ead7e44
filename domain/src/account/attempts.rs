//! Trying codes: what is looked at, in which order, and what a wrong one costs.

use subtle::ConstantTimeEq;

use super::{
    rejections::{Mismatch, Tried},
    rules::{Rules, invalid, readable},
};
use crate::{
    decision::{Decision, Ruling},
    events::{CodeRejected, Event, MethodLocked, RecoveryCodeUsed, RejectionReason, VerificationSucceeded},
    evidence::{EnteredCodeHash, ImportedCode},
    ids::{MethodId, VerificationId},
    limits,
    outcome::{Outcome, Refusal, SignedIn, Verified},
    secret::Secret,
    state::{Device, Progress, RecoveryCodes, RecoverySet, Verification},
    time::Timestamp,
    values::{Channel, Credential, EnteredCode, FactorKind, MethodKind, Purpose, Side, normalize_recovery_code},
};

/// So that no hash is asked for of something endless.
const LONGEST_IMPORTED_CODE: usize = 128;

/// A code that was looked at.
#[expect(clippy::large_enum_variant, reason = "one of them, for the length of one decision")]
pub(super) enum Judgement {
    /// The right one; the events that belong to it alone.
    Right(Proof),
    /// A wrong one: what to record and to tell.
    Wrong(Decision),
}

/// What a right code proved.
pub(super) struct Proof {
    pub(super) kind: FactorKind,
    pub(super) method_id: Option<MethodId>,
    pub(super) totp_step: Option<u64>,
    pub(super) recovery_code: Option<RecoveryCodeUsed>,
    pub(super) side: Side,
}

impl Proof {
    pub(super) fn of(kind: FactorKind, method_id: Option<MethodId>, side: Side) -> Self {
        Self { kind, method_id, totp_step: None, recovery_code: None, side }
    }
}

impl Rules<'_> {
    pub(super) fn submit_code(
        &self,
        id: VerificationId,
        kind: Option<FactorKind>,
        method_id: Option<MethodId>,
        code: &EnteredCode,
    ) -> Ruling {
        let verification = self.driven(id)?;
        self.open(verification)?;
        if verification.attempts.is_some() || verification.purpose == Purpose::Open {
            // Checks of an address, and those without a purpose, are completed by the calls that act on them.
            return Err(invalid("purpose", "this verification has a call of its own").into());
        }
        if verification.yields_session {
            self.may_sign_in_again()?;
        }
        match self.judge(id, verification, kind, method_id, code)? {
            Judgement::Wrong(decision) => Ok(decision),
            Judgement::Right(proof) => self.succeed(id, verification, proof),
        }
    }

    pub(super) fn use_recovery_code(&self, id: VerificationId, code: &EnteredCode) -> Ruling {
        self.submit_code(id, Some(FactorKind::RecoveryCode), None, code)
    }

    /// Judges a code of a method on file, of an ordered email, or of the recovery set.
    ///
    /// Everything that refuses before the comparison depends on state and shape alone, never on the digits.
    pub(super) fn judge(
        &self,
        id: VerificationId,
        verification: &Verification,
        kind: Option<FactorKind>,
        method_id: Option<MethodId>,
        code: &EnteredCode,
    ) -> Ruling<Judgement> {
        let (kind, method_id) = self.meant(verification, kind, method_id, code)?;
        self.may_authorize(verification.purpose, kind)?;
        match kind {
            FactorKind::RecoveryCode => self.judge_recovery_code(id, verification, code),
            FactorKind::Totp => self.judge_totp(id, verification, method_id, code),
            FactorKind::Sms => {
                if !self.state.texts_offered(verification) {
                    return Err(invalid("method", "SMS is not offered for this purpose").into());
                }
                let method_id = self.method_of(MethodKind::Sms, method_id)?;
                self.judge_sent(id, verification, Channel::Sms, Some(method_id), code)
            }
            FactorKind::Email => {
                if !self.email_offered(verification) {
                    return Err(invalid("method", "email is not offered for this purpose").into());
                }
                self.judge_sent(id, verification, Channel::Email, None, code)
            }
        }
    }

    /// The kind and the method that are meant: what was named, or else what the verification was started with.
    pub(super) fn meant(
        &self,
        verification: &Verification,
        kind: Option<FactorKind>,
        method_id: Option<MethodId>,
        code: &EnteredCode,
    ) -> Ruling<(FactorKind, Option<MethodId>)> {
        match (kind, method_id, verification.asked) {
            (Some(kind), None, Some(asked)) if kind == asked.kind => Ok((kind, asked.method_id)),
            (None, None, Some(asked)) if normalize_recovery_code(code.expose()).is_none() => {
                Ok((asked.kind, asked.method_id))
            }
            (Some(kind), method_id, _) => Ok((kind, method_id)),
            (None, method_id, _) => Ok((self.kind_of(verification, method_id, code)?, method_id)),
        }
    }

    /// The kind that is meant when none was named: by the shape of the code, else the one that can be tried.
    fn kind_of(
        &self,
        verification: &Verification,
        method_id: Option<MethodId>,
        code: &EnteredCode,
    ) -> Ruling<FactorKind> {
        if normalize_recovery_code(code.expose()).is_some() {
            return Ok(FactorKind::RecoveryCode);
        }
        if let Some(method) = method_id.and_then(|id| self.state.methods.get(&id)) {
            return Ok(method.kind().factor());
        }
        let sent = |channel| verification.codes.iter().any(|code| code.challenge.channel == channel);
        let has_totp = self.state.methods.values().any(|method| method.kind() == MethodKind::Totp);
        let mut candidates = [
            (FactorKind::Totp, has_totp && verification.offers_methods()),
            (FactorKind::Sms, sent(Channel::Sms) && self.state.texts_offered(verification)),
            (FactorKind::Email, sent(Channel::Email) && self.email_offered(verification)),
        ]
        .into_iter()
        .filter(|(_, possible)| *possible);
        match (candidates.next(), candidates.next()) {
            (Some((kind, _)), None) => Ok(kind),
            _ => Err(invalid("method", "is required: say which kind of code this is").into()),
        }
    }

    fn judge_totp(
        &self,
        id: VerificationId,
        verification: &Verification,
        method_id: Option<MethodId>,
        code: &EnteredCode,
    ) -> Ruling<Judgement> {
        methods_may_prove(verification)?;
        let method_id = self.method_of(MethodKind::Totp, method_id)?;
        let Some(Device::Totp { secret, parameters, last_step }) =
            self.state.methods.get(&method_id).map(|method| &method.device)
        else {
            return Err(Refusal::NotFound.into());
        };
        let secret = readable(secret)?;
        let entered = super::codes::digits(code, usize::from(parameters.digits))?;
        let side = self.side(verification.started_by);
        self.not_locked(FactorKind::Totp, side)?;
        self.second_factors_left(side)?;
        Ok(match self.totp_step(secret, *parameters, *last_step, entered)? {
            Ok(step) => {
                Judgement::Right(Proof { totp_step: Some(step), ..Proof::of(FactorKind::Totp, Some(method_id), side) })
            }
            Err(mismatch) => {
                Judgement::Wrong(self.wrong(id, verification, FactorKind::Totp, Some(method_id), mismatch)?)
            }
        })
    }

    fn judge_sent(
        &self,
        id: VerificationId,
        verification: &Verification,
        channel: Channel,
        method_id: Option<MethodId>,
        code: &EnteredCode,
    ) -> Ruling<Judgement> {
        let kind = channel.factor();
        let entered = super::codes::digits(code, 6)?;
        let side = self.side(verification.started_by);
        self.not_locked(kind, side)?;
        let issued = self.valid_code(&verification.codes, channel, method_id)?;
        self.second_factors_left(side)?;
        if self.code_matches(issued.challenge, &entered)? {
            Ok(Judgement::Right(Proof::of(kind, method_id, side)))
        } else {
            let mismatch = RejectionReason::Wrong.into();
            Ok(Judgement::Wrong(self.wrong(id, verification, kind, method_id, mismatch)?))
        }
    }

    /// A wrong TOTP, SMS or email code: one more in a row for its kind and for the account.
    fn wrong(
        &self,
        id: VerificationId,
        verification: &Verification,
        kind: FactorKind,
        method_id: Option<MethodId>,
        mismatch: Mismatch,
    ) -> Ruling {
        self.count_wrong_second_factor()?;
        let policy = self.context.policy;
        let side = self.side(verification.started_by);
        let in_a_row =
            self.tally(verification).locks.of(kind).map_or(0, |lock| lock.failures_at(self.now())).saturating_add(1);
        let most = if kind == FactorKind::Totp { policy.totp_attempts } else { policy.code_attempts };
        let account_failures = self.failures(side).saturating_add(1);
        let (tried, failures) = (verification.tried(id, kind, method_id), verification.failures.saturating_add(1));
        let rejected = CodeRejected {
            kind_failures: in_a_row,
            account_failures,
            account_locked: account_failures >= policy.account_cap,
            tell_owner: self.tells_of_wrong_codes(account_failures),
            ..self.code_rejected(tried, mismatch, failures)
        };
        let mut events: Vec<Event> = vec![rejected.into()];
        let locked_until = (in_a_row >= most).then(|| self.now().plus(policy.lock_lasts));
        events.extend(locked_until.map(|locked_until| Event::from(MethodLocked { kind, locked_until, side })));
        Ok(Decision::reject(events, Refusal::WrongCode { fail_count: in_a_row, locked_until }))
    }

    fn judge_recovery_code(
        &self,
        verification_id: VerificationId,
        verification: &Verification,
        code: &EnteredCode,
    ) -> Ruling<Judgement> {
        methods_may_prove(verification)?;
        if self.state.reset.is_some() && !verification.takes_the_code_of_support() {
            return Err(invalid("method", "is not offered for this purpose").into());
        }
        let set = self
            .state
            .recovery_codes_at(self.now())
            .ok_or_else(|| invalid("method", "the account has no recovery codes left"))?;
        let entered = match set.codes {
            RecoveryCodes::Ours(_) => normalize_recovery_code(code.expose()),
            // Codes of another system have their own shape.
            RecoveryCodes::Imported(_) => {
                let code = code.expose().trim();
                (1..=LONGEST_IMPORTED_CODE).contains(&code.len()).then(|| Secret::new(code.to_owned()))
            }
        }
        .ok_or_else(|| invalid("code", "a recovery code has four groups of four letters and digits"))?;
        let side = self.side(verification.started_by);
        // Ours have 80 bits: no count over all accounts, which others fill, refuses them.
        if set.is_imported() {
            self.imported_codes_open(side)?;
            self.second_factors_left(side)?;
        }
        self.allowed(limits::recovery_code_attempt(&self.context.policy.limits, self.context.origin))?;
        let failures = verification.recovery_failures.saturating_add(1);
        let reason = match self.place_in_set(set, &entered)? {
            // Support's code is good until a method is enabled: it signs in and resets the password, as often as it
            // takes to get there.
            Some(_) if self.state.reset.is_some() => {
                return Ok(Judgement::Right(Proof::of(FactorKind::RecoveryCode, None, side)));
            }
            Some(index) if !set.used.contains(&index) => {
                let remaining = set.remaining().saturating_sub(1);
                return Ok(Judgement::Right(Proof {
                    recovery_code: Some(RecoveryCodeUsed { set: set.set, index, remaining, verification_id }),
                    ..Proof::of(FactorKind::RecoveryCode, None, side)
                }));
            }
            Some(_) => RejectionReason::Replayed,
            None => RejectionReason::Wrong,
        };
        self.count_wrong_second_factor()?;
        let tried = verification.tried(verification_id, FactorKind::RecoveryCode, None);
        let in_a_row = self.state.tallies.of(side).imported.failures.saturating_add(1);
        let rejected = CodeRejected {
            kind_failures: if set.is_imported() { in_a_row } else { 0 },
            ended: failures >= self.context.policy.recovery_code_attempts,
            tell_owner: self.tells_of_recovery_codes(),
            ..self.code_rejected(tried, reason.into(), failures)
        };
        let refusal = Refusal::WrongCode { fail_count: failures, locked_until: None };
        Ok(Judgement::Wrong(Decision::reject(vec![rejected.into()], refusal)))
    }

    /// Where in the set the entered code stands. Every hash is compared, in constant time.
    fn place_in_set(&self, set: &RecoverySet, entered: &Secret<String>) -> Ruling<Option<u32>> {
        let mut place = None;
        match &set.codes {
            RecoveryCodes::Ours(hashes) => {
                let hashes = readable(hashes)?;
                let hash = self.answer(EnteredCodeHash { set: hashes.clone(), entered: entered.clone() })?;
                for (index, known) in (0..).zip(&hashes.hashes) {
                    if bool::from(known.0.ct_eq(&hash.0)) {
                        place = Some(index);
                    }
                }
            }
            RecoveryCodes::Imported(hashes) => {
                let hashes = readable(hashes)?.clone();
                place = *self.answer(ImportedCode { hashes, entered: entered.clone() })?;
            }
        }
        Ok(place)
    }

    fn succeed(&self, id: VerificationId, verification: &Verification, proof: Proof) -> Ruling {
        let usable_until = self.usable_until(verification.purpose);
        let remaining = proof.recovery_code.as_ref().map(|used| used.remaining);
        let kind = proof.kind;
        let mut events = proved(id, verification, proof, usable_until, false);
        let mut session = None;
        // Histories of before hold sign-ins that a session began and that said otherwise.
        if verification.yields_session && !matches!(verification.started_by, Some(Credential::Session(_))) {
            let (begun, told) =
                self.new_session(&verification.first_factor, Some(kind), Some(id), verification.started_by)?;
            events.extend(begun);
            session = Some(if kind == FactorKind::Email {
                told
            } else {
                let (remembered, device) = self.remember_device(told.session_id);
                events.extend(remembered);
                SignedIn { device, ..told }
            });
        } else if verification.purpose == Purpose::SignIn
            && let Some((renewed, told)) = self.raised(verification.started_by, kind, id)
        {
            events.push(renewed.into());
            session = Some(told);
        }
        let verified = Verified { verification_id: id, usable_until, session, recovery_codes_remaining: remaining };
        Ok(Decision::accept(events, Outcome::Verified(verified)))
    }

    /// How long a completed verification may be used.
    pub(super) fn usable_until(&self, purpose: Purpose) -> Timestamp {
        let policy = self.context.policy;
        self.now().plus(match purpose {
            Purpose::AddMethod => policy.authorization_lives,
            _ => policy.verification_fresh,
        })
    }

    /// The proof of the address of a password reset that was begun when its codes had six digits.
    pub(super) fn judge_reset_mail(
        &self,
        id: VerificationId,
        verification: &Verification,
        code: &EnteredCode,
    ) -> Ruling<Judgement> {
        if !matches!(verification.progress, Progress::Pending { .. }) {
            return Err(Refusal::Conflict.into());
        }
        let issued = self.valid_code(&verification.codes, Channel::Email, None)?;
        let entered = super::codes::digits(code, 6)?;
        if self.code_matches(issued.challenge, &entered)? {
            Ok(Judgement::Right(Proof::of(FactorKind::Email, None, self.side(None))))
        } else {
            Ok(Judgement::Wrong(self.address_rejected(id, verification, RejectionReason::Wrong)))
        }
    }
}

/// The events of a right code.
pub(super) fn proved(
    verification_id: VerificationId,
    verification: &Verification,
    proof: Proof,
    usable_until: Timestamp,
    needs_second_factor: bool,
) -> Vec<Event> {
    let mut events = Vec::new();
    events.extend(proof.recovery_code.map(Event::from));
    events.push(
        VerificationSucceeded {
            verification_id,
            purpose: verification.purpose,
            kind: proof.kind,
            method_id: proof.method_id,
            totp_step: proof.totp_step,
            usable_until,
            needs_second_factor,
            side: proof.side,
            good_from: None,
        }
        .into(),
    );
    events
}

impl Verification {
    /// A code that was tried for it.
    pub(super) fn tried(&self, id: VerificationId, kind: FactorKind, method_id: Option<MethodId>) -> Tried {
        Tried { verification_id: id, purpose: self.purpose, kind, method_id }
    }
}

fn methods_may_prove(verification: &Verification) -> Ruling<()> {
    if verification.offers_methods() {
        Ok(())
    } else {
        Err(invalid("method", "is not offered for this purpose").into())
    }
}
