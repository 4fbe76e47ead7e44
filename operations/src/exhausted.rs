//! Which limits are used up, kept in memory: a right second factor must not wait for a limit, and who keeps asking after
//! being refused costs no look-up.

use std::{collections::BTreeMap, sync::Mutex};

use domain::{
    limits::{Charge, LimitName},
    time::{Seconds, Timestamp},
};

/// More sources than this at once are not remembered; the accounts' own bounds hold for them all the same.
const REMEMBERED: usize = 65_536;

/// Wrong passwords are given back when a right one comes, and in another process nobody would hear of it: so long.
const UNHEARD: Seconds = Seconds(1);

/// Buckets that were found full, by their keyed hash, and until when.
#[derive(Default)]
pub(crate) struct Exhausted(Mutex<BTreeMap<[u8; 32], Timestamp>>);

impl Exhausted {
    /// For how much of the wait a charge's limit is remembered here, if it is.
    pub(crate) fn kept_for(charge: &Charge, wait: Seconds) -> Option<Seconds> {
        match charge.name {
            LimitName::SecondFactorsPerSource | LimitName::SecondFactorsPerClient => Some(wait),
            LimitName::PasswordsPerAddress => Some(wait.min(UNHEARD)),
            _ => None,
        }
    }

    pub(crate) fn remember(&self, bucket: [u8; 32], until: Timestamp, now: Timestamp) {
        let mut full = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if full.len() >= REMEMBERED {
            full.retain(|_, until| now < *until);
        }
        if full.len() < REMEMBERED {
            full.insert(bucket, until);
        }
    }

    /// How long to wait for a bucket; its hash is made only where any bucket is full.
    pub(crate) fn wait(&self, bucket: impl FnOnce() -> [u8; 32], now: Timestamp) -> Option<Seconds> {
        let full = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if full.is_empty() {
            return None;
        }
        let until = full.get(&bucket()).filter(|until| now < **until)?;
        Some(Seconds(until.seconds_since(now).max(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_bucket_is_full_until_then_and_no_other_is() {
        let (full, now) = (Exhausted::default(), Timestamp::from_seconds(1_000));
        assert_eq!(full.wait(|| [1; 32], now), None);
        full.remember([1; 32], now.plus(Seconds(60)), now);
        assert_eq!(full.wait(|| [1; 32], now), Some(Seconds(60)));
        assert_eq!(full.wait(|| [2; 32], now), None);
        assert_eq!(full.wait(|| [1; 32], now.plus(Seconds(60))), None);
    }
}
