//! Adding a method: the enrollment, its code, and what the first method turns on.

use std::collections::BTreeSet;

use super::{
    rejections::Tried,
    rules::{Rules, invalid, readable},
};
use crate::{
    commands::TotpParameters,
    decision::{Decision, Ruling},
    events::{
        Event, MethodEnabled, RecoveryCodesGenerated, RejectionReason, RevocationReason, SmsEnrollmentStarted,
        TotpEnrollmentStarted, TwoFactorEnabled,
    },
    ids::{MethodId, VerificationId},
    outcome::{MethodView, Outcome, Refusal, TotpEnrollment},
    personal::Personal,
    policy::Policy,
    state::{Account, Device, Enrollment},
    time::{Seconds, Timestamp},
    values::{Channel, Credential, EnteredCode, FactorKind, Label, MethodKind, PhoneNumber, Purpose, TotpSecret},
};

impl Rules<'_> {
    pub(super) fn next_method_id(&self) -> MethodId {
        MethodId(self.state.last_method_id.saturating_add(1))
    }

    fn is_live(&self, enrollment: &Enrollment) -> bool {
        !enrollment.ended && self.now() < enrollment.expires_at
    }

    fn room_for_an_enrollment(&self) -> Ruling<()> {
        self.may_change_again()?;
        let mut ends: Vec<_> =
            self.state.enrollments.values().filter(|e| self.is_live(e)).map(|e| e.expires_at).collect();
        ends.sort_unstable();
        match ends.first() {
            Some(first) if ends.len() >= self.context.policy.pending_enrollments as usize => {
                Err(Refusal::RateLimited { retry_after: self.until(*first) }.into())
            }
            _ => Ok(()),
        }
    }

    pub(super) fn start_totp_enrollment(&self) -> Ruling {
        let started_by = self.credential_or_limited()?;
        self.confirmed()?;
        let email = self.email()?;
        self.room_for_an_enrollment()?;
        // 160 bits, the length of the hash (RFC 4226, section 4, R6).
        let secret = TotpSecret::new(self.context.entropy.bytes("totp secret")[..20].to_vec());
        let TotpParameters { algorithm, digits, period } = TotpParameters::DEFAULT;
        let method_id = self.next_method_id();
        let expires_at = self.now().plus(self.context.policy.enrollment_lives);
        let started = TotpEnrollmentStarted {
            method_id,
            verification_id: VerificationId(self.context.entropy.uuid(self.now(), "enrollment")),
            secret: Personal::Known(secret.clone()),
            algorithm,
            digits,
            period,
            started_by,
            attempts: self.context.policy.confirmation_attempts,
            expires_at,
        };
        let account_name = email.as_str().to_owned();
        let enrollment = TotpEnrollment { method_id, secret, algorithm, digits, period, account_name, expires_at };
        Ok(Decision::accept(vec![started.into()], Outcome::TotpEnrollmentStarted(enrollment)))
    }

    pub(super) fn start_sms_enrollment(&self, number: &PhoneNumber) -> Ruling {
        let started_by = self.credential_or_limited()?;
        self.confirmed()?;
        self.authorization(started_by)?;
        self.not_on_file(&Device::Sms {
            phone_number: Personal::Known(number.clone()),
            country: number.country(),
            prefix: number.prefix(),
        })?;
        // The same number again, while its enrollment lives, is a resend.
        let same = self
            .state
            .enrollments
            .iter()
            .find(|(_, e)| self.is_live(e) && e.started_by == started_by && enrolls_number(e) == Some(number));
        if let Some((method_id, enrollment)) = same {
            return self.resend(*method_id, enrollment, number);
        }
        self.room_for_an_enrollment()?;
        let method_id = self.next_method_id();
        let verification_id = VerificationId(self.context.entropy.uuid(self.now(), "enrollment"));
        let sent = self.send_enrollment_code(method_id, verification_id, number, None)?;
        let started = SmsEnrollmentStarted {
            method_id,
            verification_id,
            phone_number: Personal::Known(number.clone()),
            country: number.country(),
            prefix: number.prefix(),
            started_by,
            attempts: self.context.policy.confirmation_attempts,
            expires_at: self.now().plus(self.context.policy.enrollment_lives),
        };
        let mut events: Vec<Event> = vec![started.into()];
        events.extend(sent.events);
        Ok(Decision { events, outcome: sent.outcome.map(|outcome| sms_started(method_id, outcome)) })
    }

    pub(super) fn resend_enrollment_code(&self, method_id: MethodId) -> Ruling {
        let credential = self.credential_or_limited()?;
        self.confirmed()?;
        let enrollment = self.own_enrollment(method_id, credential)?;
        let Some(number) = enrolls_number(enrollment) else {
            return Err(invalid("method_id", "is no phone number").into());
        };
        if !self.is_live(enrollment) {
            return Err(Refusal::VerificationExpired.into());
        }
        self.authorization(credential)?;
        self.resend(method_id, enrollment, number)
    }

    fn resend(&self, method_id: MethodId, enrollment: &Enrollment, number: &PhoneNumber) -> Ruling {
        let sent = self.send_enrollment_code(method_id, enrollment.verification_id, number, Some(enrollment))?;
        Ok(Decision { events: sent.events, outcome: sent.outcome.map(|outcome| sms_started(method_id, outcome)) })
    }

    /// An account may text few new numbers, few times a day: nobody turns sign-ups into texts, and no app that is
    /// thrown away afterwards opens the way.
    pub(super) fn may_text_a_new_number(&self, number: &PhoneNumber) -> Ruling<()> {
        match self.state.new_number_waits_until(number, self.context.policy, self.now()) {
            Some(until) => Err(Refusal::RateLimited { retry_after: self.until(until) }.into()),
            None => Ok(()),
        }
    }

    /// The authorization to add one method: only for the credential that completed the check. A session that was
    /// begun with support's recovery code has no other way, and needs none.
    pub(super) fn authorization(&self, credential: Credential) -> Ruling<VerificationId> {
        self.changes_are_possible()?;
        if let Some(begun_by) = self.state.limited_by(credential) {
            return Ok(begun_by);
        }
        self.state
            .verifications
            .iter()
            .rev()
            .find(|(_, verification)| self.usable(verification, Purpose::AddMethod, credential))
            .map(|(id, _)| *id)
            .ok_or_else(|| Refusal::VerificationRequired { purpose: Purpose::AddMethod }.into())
    }

    /// An enrollment is its beginner's alone; anyone else's is not found.
    fn own_enrollment(&self, method_id: MethodId, credential: Credential) -> Ruling<&Enrollment> {
        if self.state.methods.contains_key(&method_id) {
            return Err(Refusal::AlreadyEnabled.into());
        }
        self.state
            .enrollments
            .get(&method_id)
            .filter(|enrollment| enrollment.started_by == credential)
            .ok_or_else(|| Refusal::NotFound.into())
    }

    pub(super) fn not_on_file(&self, device: &Device) -> Ruling<()> {
        let same = |known: &Device| match (known, device) {
            (Device::Sms { phone_number: a, .. }, Device::Sms { phone_number: b, .. }) => a == b,
            (Device::Totp { secret: a, .. }, Device::Totp { secret: b, .. }) => a == b,
            _ => false,
        };
        if self.state.methods.values().any(|method| same(&method.device)) {
            return Err(Refusal::DuplicateMethod.into());
        }
        Ok(())
    }

    pub(super) fn enable_method(
        &self,
        method_id: MethodId,
        code: &EnteredCode,
        label: Option<&Label>,
        raises_session: bool,
    ) -> Ruling {
        let credential = self.credential_or_limited()?;
        self.confirmed()?;
        let enrollment = self.own_enrollment(method_id, credential)?;
        if !self.is_live(enrollment) {
            return Err(Refusal::VerificationExpired.into());
        }
        self.not_on_file(&enrollment.device)?;
        let authorization = self.authorization(credential)?;
        let totp_step = match self.judge_enrollment(method_id, enrollment, code)? {
            Ok(step) => step,
            Err(decision) => return Ok(decision),
        };
        let kind = enrollment.device.kind();
        let label = match label {
            Some(label) => label.clone(),
            None => default_label(kind)?,
        };
        let enabled = self.enabled(method_id, enrollment, credential, label, authorization, totp_step)?;
        Ok(if raises_session { self.raising_the_session(enabled, credential, kind, authorization) } else { enabled })
    }

    /// The first method shows who is there as a sign-in with it would; a further one shows nothing new.
    fn raising_the_session(
        &self,
        enabled: Decision,
        credential: Credential,
        kind: MethodKind,
        authorization: VerificationId,
    ) -> Decision {
        let Decision { mut events, mut outcome } = enabled;
        if self.state.methods.is_empty()
            && let Ok(Outcome::MethodEnabled { session, .. }) = &mut outcome
            && let Some((renewed, told)) = self.raised(Some(credential), kind.factor(), authorization)
        {
            events.push(renewed.into());
            *session = Some(told);
        }
        Decision { events, outcome }
    }

    /// The enrollment's own code: wrong ones end it and count toward no lock and no cap.
    fn judge_enrollment(
        &self,
        method_id: MethodId,
        enrollment: &Enrollment,
        code: &EnteredCode,
    ) -> Ruling<Result<Option<u64>, Decision>> {
        let mismatch = match &enrollment.device {
            Device::Totp { secret, parameters, last_step } => {
                let secret = readable(secret)?;
                let entered = super::codes::digits(code, usize::from(parameters.digits))?;
                match self.totp_step(secret, *parameters, *last_step, entered)? {
                    Ok(step) => return Ok(Ok(Some(step))),
                    Err(mismatch) => mismatch,
                }
            }
            Device::Sms { .. } => {
                let entered = super::codes::digits(code, 6)?;
                let issued = self.valid_code(&enrollment.codes, Channel::Sms, Some(method_id))?;
                if self.code_matches(issued.challenge, &entered)? {
                    return Ok(Ok(None));
                }
                RejectionReason::Wrong.into()
            }
        };
        let tried = Tried {
            verification_id: enrollment.verification_id,
            purpose: Purpose::Enroll,
            kind: enrollment.device.kind().factor(),
            method_id: Some(method_id),
        };
        let failures = enrollment.failures.saturating_add(1);
        Ok(Err(self.rejected_alone(tried, mismatch, failures, Some(enrollment.attempts))))
    }

    pub(super) fn enabled(
        &self,
        method_id: MethodId,
        enrollment: &Enrollment,
        credential: Credential,
        label: Label,
        verification_id: VerificationId,
        totp_step: Option<u64>,
    ) -> Ruling {
        let kind = enrollment.device.kind();
        let locks = &self.state.tallies.of(self.side(None)).locks;
        let first = self.state.methods.is_empty();
        let view = MethodView {
            id: method_id,
            kind,
            label: Some(label.as_str().to_owned()),
            phone_number: enrolls_number(enrollment).map(PhoneNumber::masked),
            is_primary: first,
            fail_count: locks.of(kind.factor()).map_or(0, |lock| lock.failures_at(self.now())),
            locked_until: locks.of(kind.factor()).and_then(|lock| lock.locked_at(self.now())),
            created_at: self.now(),
            last_used: None,
        };
        let mut events: Vec<Event> = vec![
            MethodEnabled {
                method_id,
                kind,
                label: Personal::Known(label),
                verification_id,
                totp_step,
                is_primary: first,
            }
            .into(),
        ];
        let mut recovery_codes = None;
        let mut reason = RevocationReason::FactorChanged;
        if first {
            let fresh = self.fresh_recovery_codes()?;
            events.push(TwoFactorEnabled {}.into());
            events.push(self.recovery_set(fresh.hashes, None).into());
            recovery_codes = Some(fresh.codes);
            reason = RevocationReason::TwoFactorEnabled;
        }
        events.extend(self.end_all_others(Some(credential), reason));
        Ok(Decision::accept(events, Outcome::MethodEnabled { method: view, recovery_codes, session: None }))
    }

    pub(super) fn recovery_set(
        &self,
        hashes: crate::events::RecoveryCodeHashes,
        verification_id: Option<VerificationId>,
    ) -> RecoveryCodesGenerated {
        RecoveryCodesGenerated {
            set: self.state.last_recovery_set.saturating_add(1),
            count: u32::try_from(hashes.hashes.len()).unwrap_or(u32::MAX),
            codes: Personal::Known(hashes),
            verification_id,
        }
    }
}

impl Account {
    /// Until when the account may not text this new number, when it may not.
    pub fn new_number_waits_until(&self, number: &PhoneNumber, policy: &Policy, now: Timestamp) -> Option<Timestamp> {
        let window = Seconds::days(1);
        let texts: Vec<_> = self
            .sends
            .iter()
            .filter(|send| now < send.at.plus(window))
            .filter_map(|send| send.method_id.filter(|id| self.was_new(*id, send.at)).map(|id| (send.at, id)))
            .collect();
        let same: BTreeSet<MethodId> = self
            .enrollments
            .iter()
            .filter(|(_, enrollment)| enrolls_number(enrollment) == Some(number))
            .map(|(id, _)| *id)
            .collect();
        // By number where it is still known, and each on its own where it is not.
        let others: BTreeSet<String> = texts
            .iter()
            .filter(|(_, id)| !same.contains(id))
            .map(|(_, id)| match self.enrollments.get(id).and_then(enrolls_number) {
                Some(number) => number.as_str().to_owned(),
                None => id.to_string(),
            })
            .collect();
        // A method of today lifts nothing: an app is enrolled in a moment and thrown away.
        let is_new_here = !self.methods.values().any(|method| now >= method.created_at.plus(window));
        let too_many = (is_new_here && texts.len() >= policy.first_method_texts_per_day as usize)
            || others.len() >= policy.first_method_numbers_per_day as usize;
        too_many.then(|| texts.iter().map(|(at, _)| *at).min().unwrap_or(now).plus(window))
    }

    /// Whether what was texted then was no method yet.
    fn was_new(&self, id: MethodId, at: Timestamp) -> bool {
        let is_over = |enrollment: &Enrollment| enrollment.ended && enrollment.expires_at <= at;
        self.methods.get(&id).is_none_or(|method| at < method.created_at)
            && !self.enrollments.get(&id).is_some_and(is_over)
    }
}

fn enrolls_number(enrollment: &Enrollment) -> Option<&PhoneNumber> {
    match &enrollment.device {
        Device::Sms { phone_number, .. } => phone_number.known(),
        Device::Totp { .. } => None,
    }
}

fn sms_started(method_id: MethodId, outcome: Outcome) -> Outcome {
    match outcome {
        Outcome::CodeSent(sent) => Outcome::SmsEnrollmentStarted { method_id, sent },
        other => other,
    }
}

pub(super) fn default_label(kind: MethodKind) -> Ruling<Label> {
    let text = match kind.factor() {
        FactorKind::Totp => "Authenticator app",
        _ => "Phone",
    };
    Label::parse(text).map_err(|error| invalid("label", error.0).into())
}
