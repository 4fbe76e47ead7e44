//! Signatures as Standard Webhooks has them (<https://www.standardwebhooks.com>): HMAC-SHA-256 over
//! `<webhook-id>.<webhook-timestamp>.<body>`, in both directions.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use domain::{secret::SecretText, time::Timestamp};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::gateways::InvalidOption;

/// Before a secret that is written in base64.
const PREFIX: &str = "whsec_";
/// Before a signature of this kind.
const VERSION: &str = "v1,";
/// How far a signature's time may be from ours, both ways.
pub(super) const TOLERANCE_SECONDS: i64 = 300;
/// Bytes of a secret.
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 24..=64;
/// Most signatures of one request that are looked at.
const MOST_SIGNATURES: usize = 8;

/// A secret that both ends know.
#[derive(Clone)]
pub(super) struct SigningKey(Zeroizing<Vec<u8>>);

impl SigningKey {
    /// Reads a secret: `whsec_` and base64, or any text that is as long.
    pub fn parse(secret: &SecretText) -> Result<Self, InvalidOption> {
        const CURE: &str = "make one with: echo whsec_$(openssl rand -base64 32)";
        let text = secret.expose().trim();
        let bytes = match text.strip_prefix(PREFIX) {
            Some(encoded) => Zeroizing::new(
                STANDARD
                    .decode(encoded)
                    .map_err(|_| InvalidOption::new("secret", "is not base64 after whsec_", CURE))?,
            ),
            None => Zeroizing::new(text.as_bytes().to_vec()),
        };
        if !SECRET_BYTES.contains(&bytes.len()) {
            return Err(InvalidOption::new("secret", "has not 24 to 64 bytes", CURE));
        }
        Ok(Self(bytes))
    }

    fn mac(&self, id: &str, timestamp: &str, body: &[u8]) -> Option<Hmac<Sha256>> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).ok()?;
        for part in [id.as_bytes(), b".", timestamp.as_bytes(), b".", body] {
            mac.update(part);
        }
        Some(mac)
    }
}

/// The header `webhook-signature`: one signature per secret, so that the other end may know either of them.
pub(super) fn sign(keys: &[SigningKey], id: &str, timestamp: &str, body: &[u8]) -> String {
    let signatures = keys.iter().filter_map(|key| {
        let tag = key.mac(id, timestamp, body)?.finalize().into_bytes();
        Some(format!("{VERSION}{}", STANDARD.encode(tag)))
    });
    signatures.collect::<Vec<_>>().join(" ")
}

/// Whether one of the secrets signed this, a short while ago at most.
pub(super) fn is_genuine(
    keys: &[SigningKey],
    (id, timestamp, signatures): (&str, &str, &str),
    body: &[u8],
    now: Timestamp,
) -> bool {
    let is_timely = timestamp.parse::<i64>().is_ok_and(|at| {
        let now = now.as_millis().div_euclid(1_000);
        now.checked_sub(at).is_some_and(|age| age.abs() <= TOLERANCE_SECONDS)
    });
    let mut is_signed = false;
    for signature in signatures.split(' ').take(MOST_SIGNATURES) {
        let Some(tag) = signature.strip_prefix(VERSION).and_then(|text| STANDARD.decode(text).ok()) else { continue };
        for key in keys {
            is_signed |= key.mac(id, timestamp, body).is_some_and(|mac| mac.verify_slice(&tag).is_ok());
        }
    }
    is_signed && is_timely
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use domain::secret::Secret;

    use super::*;

    const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const AT: &str = "1614265330";
    const BODY: &[u8] = b"{\"test\": 2432232314}";
    /// The example of the Standard Webhooks specification.
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

    fn key(secret: &str) -> SigningKey {
        SigningKey::parse(&Secret::new(secret.to_owned())).map_err(|error| error.to_string()).unwrap()
    }
    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    #[test]
    fn the_example_of_the_specification_is_signed_and_read_alike() {
        assert_eq!(sign(&[key(SECRET)], ID, AT, BODY), SIGNATURE);
        assert!(is_genuine(&[key(SECRET)], (ID, AT, SIGNATURE), BODY, at(1_614_265_330)));
    }

    #[test]
    fn each_part_is_bound() {
        let now = at(1_614_265_330);
        let genuine = |parts: (&str, &str, &str), body: &[u8]| is_genuine(&[key(SECRET)], parts, body, now);
        assert!(!genuine(("msg_other", AT, SIGNATURE), BODY));
        assert!(!genuine((ID, "1614265331", SIGNATURE), BODY));
        assert!(!genuine((ID, AT, SIGNATURE), b"{\"test\": 2432232315}"));
        let other_version = SIGNATURE.replace("v1,", "v2,");
        assert!(!genuine((ID, AT, &other_version), BODY));
        assert!(!genuine((ID, AT, &SIGNATURE[..40]), BODY), "a part of a signature is none");
        for nothing in ["", "v1,", "v1", " ", "v1, v1,"] {
            assert!(!genuine((ID, AT, nothing), BODY), "{nothing:?}");
        }
    }

    #[test]
    fn it_is_taken_within_five_minutes_and_not_later_or_earlier() {
        for (now, is_taken) in [
            (1_614_265_330 + 300, true),
            (1_614_265_330 - 300, true),
            (1_614_265_330 + 301, false),
            (1_614_265_029, false),
        ] {
            assert_eq!(is_genuine(&[key(SECRET)], (ID, AT, SIGNATURE), BODY, at(now)), is_taken, "{now}");
        }
        assert!(!is_genuine(&[key(SECRET)], (ID, "-9223372036854775808", SIGNATURE), BODY, at(1)));
        assert!(!is_genuine(&[key(SECRET)], (ID, "soon", SIGNATURE), BODY, at(1)));
    }

    #[test]
    fn while_a_secret_is_replaced_both_sign_and_either_is_taken() {
        let (old, new) = (key(SECRET), key("a new secret of thirty-two bytes"));
        let both = sign(&[new.clone(), old.clone()], ID, AT, BODY);
        assert_eq!(both.split(' ').count(), 2);
        let now = at(1_614_265_330);
        assert!(
            is_genuine(std::slice::from_ref(&old), (ID, AT, &both), BODY, now)
                && is_genuine(std::slice::from_ref(&new), (ID, AT, &both), BODY, now)
        );
        assert!(is_genuine(&[new.clone(), old], (ID, AT, SIGNATURE), BODY, now));
        assert!(!is_genuine(&[new], (ID, AT, SIGNATURE), BODY, now));
    }

    #[test]
    fn a_secret_that_is_too_short_or_garbled_is_refused_without_being_shown() {
        for bad in ["hunter2", "whsec_hunter2!", "whsec_aHVudGVyMg==", &"hunter2".repeat(20)] {
            let error = SigningKey::parse(&Secret::new(bad.to_owned())).map(drop).unwrap_err().to_string();
            assert!(
                error.starts_with("secret ") && !error.contains("hunter2") && error.lines().count() == 1,
                "{error}"
            );
        }
    }
}
