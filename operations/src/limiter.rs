//! Limits over more than one account: a sliding window per bucket, so that never more than its count falls into
//! any span of its length. Buckets stand under keyed hashes; the name of the rule is part of the hash.

use async_trait::async_trait;
use domain::{
    limits::Charge,
    time::{Seconds, Timestamp},
};
use event_store::port::{Answers, KeptAnswer, Limiter, LogError};

use crate::{Operations, exhausted::Exhausted, holdings::Bucket};

/// A network that was not seen for so long is a stranger again.
const NETWORK_KNOWN: Seconds = Seconds::days(180);
/// A known network is written again after this.
const NETWORK_AGAIN: Seconds = Seconds::days(1);

impl Operations {
    fn bucket(&self, charge: &Charge) -> Bucket {
        Bucket {
            hash: self.ring.lookup_hash(&format!("limit:{}", charge.name.name()), &charge.subject),
            count: charge.limit.count,
            window: charge.limit.window,
        }
    }

    fn buckets(&self, charges: &[Charge]) -> Vec<Bucket> {
        charges.iter().map(|charge| self.bucket(charge)).collect()
    }

    fn network(&self, address: &str, network: &str) -> [u8; 32] {
        // Neither contains a line feed, so no two pairs read alike.
        self.ring.lookup_hash("known network", &format!("{address}\n{network}"))
    }
}

#[async_trait]
impl Answers for Operations {
    async fn keep(&self, answer: KeptAnswer, now: Timestamp) -> Result<KeptAnswer, LogError> {
        self.keeper.keep_answer(answer, now).await
    }
}

#[async_trait]
impl Limiter for Operations {
    async fn charge(&self, charges: &[Charge], now: Timestamp) -> Result<Result<(), Seconds>, LogError> {
        if charges.is_empty() {
            return Ok(Ok(()));
        }
        let word = self.keeper.charge(self.buckets(charges), now).await?;
        // Of several buckets nobody said which one is full.
        if let (Err(wait), [charge]) = (word, charges)
            && let Some(kept) = Exhausted::kept_for(charge, wait)
        {
            self.exhausted.remember(self.bucket(charge).hash, now.plus(kept), now);
        }
        Ok(word)
    }

    fn exhausted(&self, charges: &[Charge], now: Timestamp) -> Option<Seconds> {
        charges.iter().filter_map(|charge| self.exhausted.wait(|| self.bucket(charge).hash, now)).max()
    }

    async fn refund(&self, charges: &[Charge], now: Timestamp) -> Result<(), LogError> {
        if charges.is_empty() {
            return Ok(());
        }
        self.keeper.refund(self.buckets(charges), now).await
    }

    async fn count(&self, charge: &Charge, now: Timestamp) -> Result<u32, LogError> {
        self.keeper.count(self.bucket(charge), now).await
    }

    async fn is_known_network(&self, address: &str, network: &str) -> Result<bool, LogError> {
        self.keeper.is_known_network(self.network(address, network)).await
    }

    async fn remember_network(&self, address: &str, network: &str, now: Timestamp) -> Result<(), LogError> {
        let (again, forget) = (now.minus(NETWORK_AGAIN), now.minus(NETWORK_KNOWN));
        self.keeper.remember_network(self.network(address, network), now, again, forget).await
    }
}
