//! How long to wait before the next try: twice as long each time up to a bound, less a jitter, so that
//! orders that failed together do not come back together.

use std::time::Duration;

use sha2::{Digest, Sha256};
use uuid::Uuid;

/// A bounded exponential back-off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The first wait, before jitter.
    pub first: Duration,
    /// No wait is longer.
    pub most: Duration,
}

impl Backoff {
    /// The wait after this many failures (1 is the first). Up to half of it is taken off again, by a hash
    /// of the order and the count: spread evenly over orders, and the same whenever it is asked.
    pub fn after(&self, failures: u32, order: Uuid) -> Duration {
        let doublings = failures.saturating_sub(1).min(30);
        let full = self.first.saturating_mul(1 << doublings).min(self.most);
        let hash = Sha256::new().chain_update(order.as_bytes()).chain_update(failures.to_be_bytes()).finalize();
        let share = u32::from(hash[0]);
        full.saturating_sub(full / 2 * share / 255)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACKOFF: Backoff = Backoff { first: Duration::from_secs(1), most: Duration::from_secs(30) };

    #[test]
    fn waits_double_up_to_the_bound_and_lose_at_most_half_to_jitter() {
        for (failures, full) in [(0, 1), (1, 1), (2, 2), (3, 4), (5, 16), (6, 30), (40, 30), (u32::MAX, 30)] {
            let full = Duration::from_secs(full);
            let wait = BACKOFF.after(failures, Uuid::from_u128(7));
            assert!(wait <= full && wait >= full / 2, "{failures}: {wait:?}");
        }
    }

    #[test]
    fn two_orders_wait_differently() {
        let waits: std::collections::BTreeSet<_> =
            (0..50).map(|order| BACKOFF.after(4, Uuid::from_u128(order))).collect();
        assert!(waits.len() > 20);
    }
}
