//! Keys that are offered without being stored: an authenticator app is set up with one, and it is only in the
//! history once the app's code shows that it is used.
//!
//! An offered key is derived from the account, the number of its next method and the half-hour, so whoever brings
//! one back brings what was handed out here, to this account, within the last hour, and nothing of their own.

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
    time::{Seconds, Timestamp},
    values::{EnteredCode, FactorKind, Label, Purpose, TotpSecret},
};

const HALF_HOUR: Seconds = Seconds::minutes(30);
/// The half-hours whose keys are taken: this one and the one before.
const TAKEN: u64 = 2;
/// The half-hours whose keys are still known, so that a late one is told apart from none.
const KNOWN: u64 = 4;

impl Rules<'_> {
    /// By the stream's own time, unlike the code of the app: no clock but ours tells the half-hour, and where that
    /// was set back, a key that was handed out is still taken and one that has ended does not come back.
    fn half_hour(&self) -> u64 {
        self.now().as_seconds() / u64::from(HALF_HOUR.0)
    }

    fn offered_key(&self, half_hour: u64) -> Ruling<&TotpSecret> {
        let account_id = self.state.id.ok_or(Refusal::NotFound)?;
        self.answer(OfferedTotpKey { account_id, method_id: self.next_method_id(), half_hour })
    }

    pub(super) fn offer_totp_key(&self) -> Ruling {
        self.credential_or_limited()?;
        self.confirmed()?;
        let account_name = self.email()?.as_str().to_owned();
        let half_hour = self.half_hour();
        let secret = self.offered_key(half_hour)?.clone();
        let TotpParameters { algorithm, digits, period } = TotpParameters::DEFAULT;
        let end = (half_hour + TAKEN).saturating_mul(u64::from(HALF_HOUR.0));
        let expires_at = Timestamp::from_seconds(i64::try_from(end).unwrap_or(i64::MAX));
        let method_id = self.next_method_id();
        let offer = TotpEnrollment { method_id, secret, algorithm, digits, period, account_name, expires_at };
        Ok(Decision::accept(Vec::new(), Outcome::TotpEnrollmentStarted(offer)))
    }

    /// The enrollment and the method together.
    pub(super) fn enable_offered_totp(&self, secret: &TotpSecret, code: &EnteredCode, label: Option<&Label>) -> Ruling {
        let credential = self.credential_or_limited()?;
        self.confirmed()?;
        let authorization = self.authorization(credential)?;
        self.was_offered(secret)?;
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

    /// Whether the key is one that this account was handed: all that may be are compared, in constant time.
    fn was_offered(&self, secret: &TotpSecret) -> Ruling<()> {
        let now = self.half_hour();
        let (mut taken, mut late) = (false, false);
        for age in 0..KNOWN {
            let key = self.offered_key(now.saturating_sub(age))?;
            let same = bool::from(key.expose().ct_eq(secret.expose()));
            if age < TAKEN {
                taken |= same;
            } else {
                late |= same;
            }
        }
        match (taken, late) {
            (true, _) => Ok(()),
            (false, true) => Err(Refusal::VerificationExpired.into()),
            (false, false) => Err(Refusal::NotFound.into()),
        }
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
