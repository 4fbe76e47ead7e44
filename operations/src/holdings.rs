//! What buckets hold: a sliding window each, so that never more than its count falls into any span of its length.

use std::collections::BTreeMap;

use domain::time::{Seconds, Timestamp};

/// Up to this count each charge keeps its own millisecond.
const EXACT: u32 = 128;
/// Above it, the window is cut into so many parts: a bucket stays small however much it holds, and a charge
/// counts at most one part longer than it should.
const PARTS: i64 = 64;

/// A bucket as it is looked up.
#[derive(Debug, Clone)]
pub(super) struct Bucket {
    pub(super) hash: [u8; 32],
    pub(super) count: u32,
    pub(super) window: Seconds,
}

/// What a bucket is found by: a rule may have several windows.
pub(super) type BucketKey = ([u8; 32], u32);

impl Bucket {
    pub(super) const fn key(&self) -> BucketKey {
        (self.hash, self.window.0)
    }

    /// The length of a part of its window, in milliseconds.
    fn part(&self) -> i64 {
        if self.count <= EXACT { 1 } else { (self.window.as_millis() / PARTS).max(1) }
    }

    /// When a charge of now leaves its window, in milliseconds.
    fn end(&self, now: Timestamp) -> i64 {
        let part = self.part();
        let end = now.as_millis().saturating_add(self.window.as_millis());
        end.saturating_add(part - 1) / part * part
    }
}

/// What a bucket holds: how many charges end their window when.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Held(Vec<(i64, u32)>);

impl Held {
    /// Reads it as it is kept.
    pub(super) fn from_bytes(bytes: &[u8]) -> Self {
        let mut held = Vec::new();
        for entry in bytes.chunks_exact(12) {
            if let (Some(end), Some(n)) = (entry.first_chunk::<8>(), entry.last_chunk::<4>()) {
                held.push((i64::from_be_bytes(*end), u32::from_be_bytes(*n)));
            }
        }
        Self(held)
    }

    /// How it is kept.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        self.0.iter().flat_map(|(end, n)| end.to_be_bytes().into_iter().chain(n.to_be_bytes())).collect()
    }

    /// When its last charge leaves the window; none when it holds nothing.
    pub(super) fn end(&self) -> Option<i64> {
        self.0.last().map(|(end, _)| *end)
    }

    fn forget(&mut self, now: Timestamp) {
        self.0.retain(|(end, _)| *end > now.as_millis());
    }

    fn count(&self) -> u32 {
        self.0.iter().fold(0, |sum, (_, n)| sum.saturating_add(*n))
    }

    /// What ends later than a charge of now was charged before the clock was set back: it counts as charged now, a
    /// window long, and not until the clock has caught up. Says whether there was any.
    fn pull_back(&mut self, bucket: &Bucket, now: Timestamp) -> bool {
        let latest = bucket.end(now);
        let kept = self.0.partition_point(|(end, _)| *end <= latest);
        let late = self.0.drain(kept..).fold(0, |sum: u32, (_, n)| sum.saturating_add(n));
        if late == 0 {
            return false;
        }
        match self.0.last_mut() {
            Some((end, n)) if *end == latest => *n = n.saturating_add(late),
            _ => self.0.push((latest, late)),
        }
        true
    }

    fn add(&mut self, bucket: &Bucket, now: Timestamp) {
        let end = bucket.end(now);
        match self.0.binary_search_by_key(&end, |(end, _)| *end) {
            Ok(index) => self.0[index].1 = self.0[index].1.saturating_add(1),
            Err(index) => self.0.insert(index, (end, 1)),
        }
    }

    fn take_back(&mut self) {
        if let Some((_, n)) = self.0.last_mut() {
            *n = n.saturating_sub(1);
        }
        self.0.retain(|(_, n)| *n > 0);
    }

    /// How long until one more fits; `None` when it does.
    fn wait(&self, bucket: &Bucket, now: Timestamp) -> Option<Seconds> {
        let mut surplus = self.count().checked_sub(bucket.count)?.saturating_add(1);
        for (end, n) in &self.0 {
            surplus = surplus.saturating_sub(*n);
            if surplus == 0 {
                return Some(Seconds(Timestamp::from_millis(*end).seconds_since(now).max(1)));
            }
        }
        // A limit of nothing.
        Some(bucket.window)
    }
}

/// Buckets that were looked up, and what happens to them in one transaction.
#[derive(Debug, Default)]
pub(super) struct Holdings {
    held: BTreeMap<BucketKey, Held>,
    changed: Vec<BucketKey>,
}

impl Holdings {
    /// Takes in a bucket as it is kept.
    pub(super) fn insert(&mut self, key: BucketKey, bytes: &[u8]) {
        self.held.insert(key, Held::from_bytes(bytes));
    }

    fn now(&mut self, bucket: &Bucket, now: Timestamp) -> &mut Held {
        let held = self.held.entry(bucket.key()).or_default();
        held.forget(now);
        if held.pull_back(bucket, now) {
            self.changed.push(bucket.key());
        }
        held
    }

    /// Charges every bucket by one, or none of them: then how long to wait.
    pub(super) fn charge(&mut self, buckets: &[Bucket], now: Timestamp) -> Result<(), Seconds> {
        let mut wait: Option<Seconds> = None;
        for (index, bucket) in buckets.iter().enumerate() {
            let mut held = self.now(bucket, now).clone();
            // The same bucket twice in one charge counts twice.
            for _ in buckets[..index].iter().filter(|other| other.key() == bucket.key()) {
                held.add(bucket, now);
            }
            wait = wait.max(held.wait(bucket, now));
        }
        if let Some(wait) = wait {
            return Err(wait);
        }
        for bucket in buckets {
            self.now(bucket, now).add(bucket, now);
            self.changed.push(bucket.key());
        }
        Ok(())
    }

    /// Gives one charge of each back.
    pub(super) fn refund(&mut self, buckets: &[Bucket], now: Timestamp) {
        for bucket in buckets {
            self.now(bucket, now).take_back();
            self.changed.push(bucket.key());
        }
    }

    /// How much a bucket holds.
    pub(super) fn count(&mut self, bucket: &Bucket, now: Timestamp) -> u32 {
        self.now(bucket, now).count()
    }

    /// What is to be written: each bucket that was changed, once.
    pub(super) fn changed(&self) -> impl Iterator<Item = (BucketKey, &Held)> {
        let mut keys = self.changed.clone();
        keys.sort_unstable();
        keys.dedup();
        keys.into_iter().filter_map(|key| Some((key, self.held.get(&key)?)))
    }
}
