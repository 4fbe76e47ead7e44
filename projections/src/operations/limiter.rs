//! Limits over more than one account: a sliding window per bucket, so that never more than its count falls into
//! any span of its length. Buckets stand under keyed hashes; the name of the rule is part of the hash.

use async_trait::async_trait;
use domain::{
    limits::Charge,
    time::{Seconds, Timestamp},
};
use event_store::port::{Limiter, LogError};
use rusqlite::{Connection, OptionalExtension, params};

use super::Operations;

/// Up to this count each charge keeps its own millisecond.
const EXACT: u32 = 128;
/// Above it, the window is cut into so many parts: a bucket stays small however much it holds, and a charge
/// counts at most one part longer than it should.
const PARTS: i64 = 64;
/// Expired buckets that one charge takes away with it: the table tidies itself while it is used.
const TIDIED: i64 = 16;
/// A network that was not seen for so long is a stranger again.
const NETWORK_KNOWN: Seconds = Seconds::days(180);
/// A known network is written again after this.
const NETWORK_AGAIN: Seconds = Seconds::days(1);

/// A bucket as it is looked up.
#[derive(Clone)]
struct Bucket {
    hash: [u8; 32],
    count: u32,
    window: Seconds,
}

impl Bucket {
    /// The length of a part of its window, in milliseconds.
    fn part(&self) -> i64 {
        if self.count <= EXACT { 1 } else { (self.window.as_millis() / PARTS).max(1) }
    }
}

/// What a bucket holds: how many charges end their window when.
struct Held(Vec<(i64, u32)>);

impl Held {
    fn read(connection: &Connection, bucket: &Bucket, now: Timestamp) -> rusqlite::Result<Self> {
        let bytes: Option<Vec<u8>> = connection
            .prepare_cached("SELECT charges FROM limits WHERE bucket = $1 AND window_seconds = $2")?
            .query_row(params![bucket.hash, bucket.window.0], |row| row.get(0))
            .optional()?;
        let mut held = Vec::new();
        for entry in bytes.unwrap_or_default().chunks_exact(12) {
            if let (Some(end), Some(n)) = (entry.first_chunk::<8>(), entry.last_chunk::<4>()) {
                held.push((i64::from_be_bytes(*end), u32::from_be_bytes(*n)));
            }
        }
        held.retain(|(end, _)| *end > now.as_millis());
        Ok(Self(held))
    }

    fn write(&self, connection: &Connection, bucket: &Bucket) -> rusqlite::Result<()> {
        let Some((last, _)) = self.0.last() else {
            return connection
                .prepare_cached("DELETE FROM limits WHERE bucket = $1 AND window_seconds = $2")?
                .execute(params![bucket.hash, bucket.window.0])
                .map(drop);
        };
        let bytes: Vec<u8> =
            self.0.iter().flat_map(|(end, n)| end.to_be_bytes().into_iter().chain(n.to_be_bytes())).collect();
        connection
            .prepare_cached(
                "INSERT INTO limits (bucket, window_seconds, charges, expires_at) VALUES ($1, $2, $3, $4)
                 ON CONFLICT (bucket, window_seconds) DO UPDATE SET charges = excluded.charges,
                    expires_at = excluded.expires_at",
            )?
            .execute(params![bucket.hash, bucket.window.0, bytes, last])
            .map(drop)
    }

    fn count(&self) -> u32 {
        self.0.iter().fold(0, |sum, (_, n)| sum.saturating_add(*n))
    }

    fn add(&mut self, bucket: &Bucket, now: Timestamp) {
        let part = bucket.part();
        let end = now.as_millis().saturating_add(bucket.window.as_millis());
        let end = end.saturating_add(part - 1) / part * part;
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

fn charge(connection: &Connection, buckets: &[Bucket], now: Timestamp) -> rusqlite::Result<Result<(), Seconds>> {
    connection
        .prepare_cached(
            "DELETE FROM limits WHERE (bucket, window_seconds) IN
                (SELECT bucket, window_seconds FROM limits WHERE expires_at <= $1 LIMIT $2)",
        )?
        .execute([now.as_millis(), TIDIED])?;
    let mut wait: Option<Seconds> = None;
    for (index, bucket) in buckets.iter().enumerate() {
        let mut held = Held::read(connection, bucket, now)?;
        // The same bucket twice in one charge counts twice.
        for _ in buckets[..index].iter().filter(|b| b.hash == bucket.hash && b.window == bucket.window) {
            held.add(bucket, now);
        }
        wait = wait.max(held.wait(bucket, now));
    }
    if let Some(wait) = wait {
        return Ok(Err(wait));
    }
    for bucket in buckets {
        let mut held = Held::read(connection, bucket, now)?;
        held.add(bucket, now);
        held.write(connection, bucket)?;
    }
    Ok(Ok(()))
}

impl Operations {
    fn bucket(&self, charge: &Charge) -> Bucket {
        Bucket {
            hash: self.ring.lookup_hash(&format!("limit:{}", charge.name.name()), &charge.subject),
            count: charge.limit.count,
            window: charge.limit.window,
        }
    }

    fn network(&self, address: &str, network: &str) -> [u8; 32] {
        // Neither contains a line feed, so no two pairs read alike.
        self.ring.lookup_hash("known network", &format!("{address}\n{network}"))
    }
}

#[async_trait]
impl Limiter for Operations {
    async fn charge(&self, charges: &[Charge], now: Timestamp) -> Result<Result<(), Seconds>, LogError> {
        if charges.is_empty() {
            return Ok(Ok(()));
        }
        let buckets: Vec<Bucket> = charges.iter().map(|charge| self.bucket(charge)).collect();
        self.writer.run(move |connection| charge(connection, &buckets, now)).await
    }

    async fn refund(&self, charges: &[Charge], now: Timestamp) -> Result<(), LogError> {
        let buckets: Vec<Bucket> = charges.iter().map(|charge| self.bucket(charge)).collect();
        self.writer
            .run(move |connection| {
                buckets.iter().try_for_each(|bucket| {
                    let mut held = Held::read(connection, bucket, now)?;
                    held.take_back();
                    held.write(connection, bucket)
                })
            })
            .await
    }

    async fn count(&self, charge: &Charge, now: Timestamp) -> Result<u32, LogError> {
        let bucket = self.bucket(charge);
        self.writer.run(move |connection| Ok(Held::read(connection, &bucket, now)?.count())).await
    }

    async fn is_known_network(&self, address: &str, network: &str) -> Result<bool, LogError> {
        let hash = self.network(address, network);
        self.writer
            .run(move |connection| {
                connection.prepare_cached("SELECT 1 FROM known_networks WHERE network = $1")?.exists([hash])
            })
            .await
    }

    async fn remember_network(&self, address: &str, network: &str, now: Timestamp) -> Result<(), LogError> {
        let hash = self.network(address, network);
        self.writer
            .run(move |connection| {
                connection
                    .prepare_cached("DELETE FROM known_networks WHERE seen_at < $1")?
                    .execute([now.minus(NETWORK_KNOWN).as_millis()])?;
                connection
                    .prepare_cached(
                        "INSERT INTO known_networks (network, seen_at) VALUES ($1, $2)
                         ON CONFLICT (network) DO UPDATE SET seen_at = excluded.seen_at WHERE known_networks.seen_at < $3",
                    )?
                    .execute(params![hash, now.as_millis(), now.minus(NETWORK_AGAIN).as_millis()])
                    .map(drop)
            })
            .await
    }
}
