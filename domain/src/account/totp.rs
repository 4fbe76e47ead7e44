//! Codes of authenticator apps (RFC 6238), through `totp-rs`.

use subtle::ConstantTimeEq;

use super::{rejections::Mismatch, rules::Rules};
use crate::{
    commands::TotpParameters,
    decision::Ruling,
    events::{RejectionReason, TotpAlgorithm},
    evidence::{Fact, Question},
    secret::SecretText,
    time::{Seconds, Timestamp},
    values::TotpSecret,
};

/// A code of an authenticator app and all that judges it. It needs nothing from outside: the rules ask for it as for
/// a fact, so that the search for a drifted clock is made once for a code, however often its rule runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TotpAttempt {
    secret: TotpSecret,
    parameters: TotpParameters,
    last_step: Option<u64>,
    entered: SecretText,
    clock: Timestamp,
    skew_steps: u32,
    drift_search: Seconds,
}

/// How a code of an authenticator app was judged: [`TotpAttempt::judged`] alone makes one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TotpVerdict(Result<u64, Mismatch>);

impl Rules<'_> {
    /// The step of a right code, which is spent now. All codes of apps are judged here, and by what the clock shows:
    /// the phone has a clock of its own and knows nothing of the stream's time.
    pub(super) fn totp_step(
        &self,
        secret: &TotpSecret,
        parameters: TotpParameters,
        last_step: Option<u64>,
        entered: SecretText,
    ) -> Ruling<Result<u64, Mismatch>> {
        let attempt = TotpAttempt {
            secret: secret.clone(),
            parameters,
            last_step,
            entered,
            clock: self.context.clock,
            skew_steps: self.context.policy.totp_skew_steps,
            drift_search: self.context.policy.totp_drift_search,
        };
        Ok(self.answer(attempt)?.0)
    }
}

impl TotpAttempt {
    /// The fact: a step within the skew that is greater than the last accepted one, or why it is none.
    pub fn judged(self) -> Fact {
        let verdict = TotpVerdict(self.judge());
        self.answered(verdict)
    }

    fn judge(&self) -> Result<u64, Mismatch> {
        let totp = totp(&self.secret, self.parameters);
        let period = u64::from(self.parameters.period.max(1));
        let current = self.clock.as_seconds() / period;
        let matches = |step: u64| {
            let code = totp.generate(step.saturating_mul(period)).to_string();
            bool::from(code.as_bytes().ct_eq(self.entered.expose().as_bytes()))
        };
        let skew = u64::from(self.skew_steps);
        let window = current.saturating_sub(skew)..=current.saturating_add(skew);
        let spent = |step: u64| self.last_step.is_some_and(|last| step <= last);
        // Every step of the window is computed, so that the time tells nothing of where a code stands.
        let (mut accepted, mut replayed) = (None, false);
        for step in window.clone() {
            if matches(step) {
                if spent(step) {
                    replayed = true;
                } else if accepted.is_none() {
                    accepted = Some(step);
                }
            }
        }
        if let Some(step) = accepted {
            return Ok(step);
        }
        if replayed {
            return Err(RejectionReason::Replayed.into());
        }
        let reach = u64::from(self.drift_search.0) / period;
        // Here too every step is computed: how soon a wrong code will be right is for support alone.
        let drift = (current.saturating_sub(reach)..=current.saturating_add(reach))
            .filter(|step| !window.contains(step) && !spent(*step))
            .fold(None, |found, step| if matches(step) { found.or(Some(step)) } else { found })
            .and_then(|step| i32::try_from(i128::from(step) - i128::from(current)).ok());
        Err(Mismatch { reason: RejectionReason::Wrong, drift })
    }
}

fn totp(secret: &TotpSecret, parameters: TotpParameters) -> totp_rs::Totp {
    let algorithm = match parameters.algorithm {
        TotpAlgorithm::Sha1 => totp_rs::Algorithm::SHA1,
        TotpAlgorithm::Sha256 => totp_rs::Algorithm::SHA256,
        TotpAlgorithm::Sha512 => totp_rs::Algorithm::SHA512,
    };
    // Imported keys may be shorter than RFC 4226 asks for, so the checks of `build` are not ours; digits and
    // period are clamped so that no stored value can make the library panic.
    totp_rs::Builder::new()
        .with_algorithm(algorithm)
        .with_digits(parameters.digits.clamp(6, 8))
        .with_skew(0)
        .with_step_duration(u64::from(parameters.period.max(1)))
        .with_secret(secret.expose().to_vec())
        .build_noncompliant()
}

/// The code of a step (seconds since 1970 divided by the period).
pub fn totp_code(secret: &TotpSecret, parameters: TotpParameters, step: u64) -> String {
    let period = u64::from(parameters.period.max(1));
    totp(secret, parameters).generate(step.saturating_mul(period)).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{policy::Policy, secret::Secret};

    fn attempt(key: &TotpSecret, last_step: Option<u64>, code: &str, clock: Timestamp) -> TotpAttempt {
        let policy = Policy::default();
        TotpAttempt {
            secret: key.clone(),
            parameters: TotpParameters::DEFAULT,
            last_step,
            entered: Secret::new(code.to_owned()),
            clock,
            skew_steps: policy.totp_skew_steps,
            drift_search: policy.totp_drift_search,
        }
    }

    #[test]
    fn rfc_6238_appendix_b_vectors_pass() {
        let vectors: [(u64, &str, &str, &str); 6] = [
            (59, "94287082", "46119246", "90693936"),
            (1_111_111_109, "07081804", "68084774", "25091201"),
            (1_111_111_111, "14050471", "67062674", "99943326"),
            (1_234_567_890, "89005924", "91819424", "93441116"),
            (2_000_000_000, "69279037", "90698825", "38618901"),
            (20_000_000_000, "65353130", "77737706", "47863826"),
        ];
        let key = |length: usize| TotpSecret::new(b"1234567890".iter().copied().cycle().take(length).collect());
        for (time, sha1, sha256, sha512) in vectors {
            for (algorithm, length, code) in [
                (TotpAlgorithm::Sha1, 20, sha1),
                (TotpAlgorithm::Sha256, 32, sha256),
                (TotpAlgorithm::Sha512, 64, sha512),
            ] {
                let parameters = TotpParameters { algorithm, digits: 8, period: 30 };
                assert_eq!(totp_code(&key(length), parameters, time / 30), code, "{algorithm:?} at {time}");
            }
        }
    }

    #[test]
    fn rfc_4226_appendix_d_vectors_pass() {
        let codes =
            ["755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871", "520489"];
        let key = TotpSecret::new(b"12345678901234567890".to_vec());
        for (counter, code) in (0_u64..).zip(codes) {
            assert_eq!(totp_code(&key, TotpParameters::DEFAULT, counter), code, "counter {counter}");
        }
    }

    #[test]
    fn a_step_is_accepted_once_and_only_forwards() {
        let key = TotpSecret::new(b"12345678901234567890".to_vec());
        let now = Timestamp::from_seconds(1_111_111_111);
        let current = now.as_seconds() / 30;
        let code = |step| totp_code(&key, TotpParameters::DEFAULT, step);
        let judge = |last, code: &str| attempt(&key, last, code, now).judge();
        for step in current - 1..=current + 1 {
            assert_eq!(judge(None, &code(step)), Ok(step));
            assert_eq!(judge(Some(step - 1), &code(step)), Ok(step));
            let replayed = Err(Mismatch { reason: RejectionReason::Replayed, drift: None });
            assert_eq!(judge(Some(step), &code(step)), replayed);
            assert_eq!(judge(Some(step + 5), &code(step)), replayed);
        }
    }

    #[test]
    fn a_clock_that_is_off_is_told_apart_from_a_wrong_code() {
        let key = TotpSecret::new(b"12345678901234567890".to_vec());
        let now = Timestamp::from_seconds(1_111_111_111);
        let current = now.as_seconds() / 30;
        let judge = |code: &str| attempt(&key, None, code, now).judge();
        for (step, drift) in
            [(current + 20, Some(20)), (current - 20, Some(-20)), (current + 2, Some(2)), (current + 21, None)]
        {
            let code = totp_code(&key, TotpParameters::DEFAULT, step);
            assert_eq!(judge(&code), Err(Mismatch { reason: RejectionReason::Wrong, drift }));
        }
    }
}
