//! Keys that are offered without being stored: an authenticator app is set up with one, and it is only in the
//! history once the app's code shows that it is used.
//!
//! An offered key is fresh at every call, so that no one learns one from having asked before. It carries its own end
//! and a tag over account and credential, so whoever brings one back brings what was handed out here, to this
//! credential, within the last hour, and nothing of their own.

use subtle::ConstantTimeEq;

use super::{
    enrollment::default_label,
    rejections::{Mismatch, Tried},
    rules::Rules,
};
use crate::{
    commands::TotpParameters,
    decision::{Decision, Ruling},
    events::TotpEnrollmentStarted,
    evidence::OfferedTotpKey,
    ids::VerificationId,
    outcome::{Outcome, Refusal, TotpEnrollment},
    personal::Personal,
    state::{Device, Enrollment},
    values::{Credential, EnteredCode, FactorKind, Label, Purpose, TotpSecret},
};

/// What is random in a key: as much as RFC 4226 asks of a whole one (section 4, R6). The tag is as unknown to others.
const RANDOM: usize = 16;

impl Rules<'_> {
    fn offered_key(&self, credential: Credential, random: [u8; RANDOM], ends: u32) -> Ruling<&TotpSecret> {
        let account_id = self.state.id.ok_or(Refusal::NotFound)?;
        self.answer(OfferedTotpKey { account_id, credential, random, ends })
    }

    pub(super) fn offer_totp_key(&self) -> Ruling {
        let credential = self.credential_or_limited()?;
        self.confirmed()?;
        let account_name = self.email()?.as_str().to_owned();
        let mut random = [0; RANDOM];
        random.copy_from_slice(&self.context.entropy.bytes("totp secret")[..RANDOM]);
        // By the stream's own time, unlike the code of the app: where the clock was set back, a key that was handed out
        // is still taken and one that has ended does not come back.
        let expires_at = self.now().plus(self.context.policy.enrollment_lives);
        let ends = u32::try_from(expires_at.as_seconds()).unwrap_or(u32::MAX);
        let secret = self.offered_key(credential, random, ends)?.clone();
        let TotpParameters { algorithm, digits, period } = TotpParameters::DEFAULT;
        let method_id = self.next_method_id();
        let offer = TotpEnrollment { method_id, secret, algorithm, digits, period, account_name, expires_at };
        Ok(Decision::accept(Vec::new(), Outcome::TotpEnrollmentStarted(offer)))
    }

    /// The enrollment and the method together.
    pub(super) fn enable_offered_totp(&self, secret: &TotpSecret, code: &EnteredCode, label: Option<&Label>) -> Ruling {
        let credential = self.credential_or_limited()?;
        self.confirmed()?;
        let authorization = self.authorization(credential)?;
        self.was_offered(secret, credential)?;
        let parameters = TotpParameters::DEFAULT;
        let device = Device::Totp { secret: Personal::Known(secret.clone()), parameters, last_step: None };
        self.not_on_file(&device)?;
        let entered = super::codes::digits(code, usize::from(parameters.digits))?;
        let step = match self.totp_step(secret, parameters, None, entered)? {
            Ok(step) => step,
            Err(mismatch) => return Ok(self.offer_rejected(authorization, mismatch)),
        };
        let label = match label {
            Some(label) => label.clone(),
            None => default_label(device.kind())?,
        };
        let enrollment = Enrollment {
            verification_id: VerificationId(self.context.entropy.uuid(self.now(), "enrollment")),
            device,
            started_by: credential,
            expires_at: self.now().plus(self.context.policy.enrollment_lives),
            failures: 0,
            attempts: self.context.policy.confirmation_attempts,
            ended: false,
            codes: Vec::new(),
        };
        let method_id = self.next_method_id();
        let started = TotpEnrollmentStarted {
            method_id,
            verification_id: enrollment.verification_id,
            secret: Personal::Known(secret.clone()),
            algorithm: parameters.algorithm,
            digits: parameters.digits,
            period: parameters.period,
            started_by: credential,
            attempts: enrollment.attempts,
            expires_at: enrollment.expires_at,
        };
        let enabled = self.enabled(method_id, &enrollment, credential, label, authorization, Some(step))?;
        let mut events = vec![started.into()];
        events.extend(enabled.events);
        Ok(Decision { events, outcome: enabled.outcome })
    }

    /// Whether the key is one that this credential was handed, lately, and that was never enabled.
    fn was_offered(&self, secret: &TotpSecret, credential: Credential) -> Ruling<()> {
        let Some((random, rest)) = secret.expose().split_first_chunk::<RANDOM>() else {
            return Err(Refusal::NotFound.into());
        };
        let Some((ends, _)) = rest.split_first_chunk::<4>() else { return Err(Refusal::NotFound.into()) };
        let ends = u32::from_be_bytes(*ends);
        let offered = self.offered_key(credential, *random, ends)?;
        if !bool::from(offered.expose().ct_eq(secret.expose())) {
            return Err(Refusal::NotFound.into());
        }
        if self.now().as_seconds() >= u64::from(ends) {
            return Err(Refusal::VerificationExpired.into());
        }
        let is_it =
            |device: &Device| matches!(device, Device::Totp { secret: Personal::Known(key), .. } if key == secret);
        if self.state.enrollments.values().any(|enrollment| is_it(&enrollment.device)) {
            return Err(Refusal::AlreadyEnabled.into());
        }
        Ok(())
    }

    /// A wrong code counts for the authorization, since there is no enrollment yet: five end it. It counts toward
    /// no lock and no cap.
    fn offer_rejected(&self, authorization: VerificationId, mismatch: Mismatch) -> Decision {
        let so_far = self.state.verifications.get(&authorization).map_or(0, |authorization| authorization.failures);
        let tried = Tried {
            verification_id: authorization,
            purpose: Purpose::Enroll,
            kind: FactorKind::Totp,
            method_id: Some(self.next_method_id()),
        };
        let most = Some(self.context.policy.confirmation_attempts);
        self.rejected_alone(tried, mismatch, so_far.saturating_add(1), most)
    }
}
