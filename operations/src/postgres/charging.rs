//! Charges of limits: what waits is charged together, in one transaction that holds its buckets. Two round trips,
//! however many charges: the buckets are locked and read, what becomes of them is worked out as on SQLite, and all
//! are written. Locks are taken in the order of the buckets, so processes wait for each other and never in a circle.

use std::{sync::Arc, time::Duration};

use deadpool_postgres::Object;
use domain::time::{Seconds, Timestamp};
use event_store::{port::LogError, postgres::Database};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
};

use super::{
    super::holdings::{Bucket, BucketKey, Holdings},
    QUICKLY, closed, discarded,
};

/// Charges of one transaction, at most.
const BATCH: usize = 128;
/// A charge that takes longer is no charge: whoever waits is told that limits cannot be reached.
const PATIENCE: Duration = Duration::from_secs(5);
/// Expired buckets that one transaction takes away with it: the table tidies itself while it is used.
const TIDIED: i64 = 64;

/// A bucket that is not there is made, so that there is a row to lock.
const LOCK: &str = "INSERT INTO limits (bucket, window_seconds, charges, expires_at)
    SELECT given.bucket, given.window_seconds, '', 0
    FROM unnest($1::bytea[], $2::bigint[]) AS given (bucket, window_seconds)
    ON CONFLICT (bucket, window_seconds) DO UPDATE SET bucket = excluded.bucket
    RETURNING bucket, window_seconds, charges";
const WRITE: &str = "UPDATE limits SET charges = given.charges, expires_at = given.expires_at
    FROM unnest($1::bytea[], $2::bigint[], $3::bytea[], $4::bigint[])
        AS given (bucket, window_seconds, charges, expires_at)
    WHERE limits.bucket = given.bucket AND limits.window_seconds = given.window_seconds";
const TIDY: &str = "DELETE FROM limits WHERE (bucket, window_seconds) IN
    (SELECT bucket, window_seconds FROM limits WHERE expires_at <= $1 LIMIT $2 FOR UPDATE SKIP LOCKED)";

/// What is asked for.
pub(super) enum Wish {
    /// All buckets, or none.
    Charge(oneshot::Sender<Result<Result<(), Seconds>, LogError>>),
    /// Charges are given back.
    Refund(oneshot::Sender<Result<(), LogError>>),
}

/// A wish that waits.
struct Waiting {
    buckets: Vec<Bucket>,
    now: Timestamp,
    wish: Wish,
}

/// Where charges are handed in.
pub(super) struct Charging {
    waiting: std::sync::Mutex<Option<mpsc::UnboundedSender<Waiting>>>,
    task: std::sync::Mutex<Option<JoinHandle<()>>>,
}

impl Charging {
    pub(super) fn start(database: Arc<Database>) -> Self {
        let (waiting, mut wishes) = mpsc::unbounded_channel();
        let task = tokio::spawn(async move {
            let mut batch = Vec::with_capacity(BATCH);
            while wishes.recv_many(&mut batch, BATCH).await > 0 {
                let wishes = std::mem::take(&mut batch);
                match tokio::time::timeout(PATIENCE, together(&database, &wishes)).await {
                    Ok(Ok(answers)) => answer(wishes, answers),
                    Ok(Err(error)) => refuse(wishes, &error),
                    Err(_) => refuse(wishes, &LogError::Unavailable("limits do not answer".to_owned())),
                }
            }
        });
        Self { waiting: std::sync::Mutex::new(Some(waiting)), task: std::sync::Mutex::new(Some(task)) }
    }

    pub(super) fn hand_in(&self, buckets: Vec<Bucket>, now: Timestamp, wish: Wish) -> Result<(), LogError> {
        let waiting = self.waiting.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        waiting.as_ref().ok_or_else(closed)?.send(Waiting { buckets, now, wish }).map_err(|_| closed())
    }

    /// Ends after what was handed in.
    pub(super) async fn close(&self) {
        drop(self.waiting.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take());
        let task = self.task.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        if let Some(task) = task {
            drop(task.await);
        }
    }
}

fn answer(wishes: Vec<Waiting>, answers: Vec<Result<(), Seconds>>) {
    // Whoever gave up waiting needs no answer.
    for (waiting, answer) in wishes.into_iter().zip(answers) {
        match waiting.wish {
            Wish::Charge(reply) => drop(reply.send(Ok(answer))),
            Wish::Refund(reply) => drop(reply.send(Ok(()))),
        }
    }
}

fn refuse(wishes: Vec<Waiting>, error: &LogError) {
    let error = || match error {
        LogError::Unavailable(what) => LogError::Unavailable(what.clone()),
        LogError::Unreadable(what) => LogError::Unreadable(what.clone()),
    };
    for waiting in wishes {
        match waiting.wish {
            Wish::Charge(reply) => drop(reply.send(Err(error()))),
            Wish::Refund(reply) => drop(reply.send(Err(error()))),
        }
    }
}

/// All wishes, in the order they came, in one transaction.
async fn together(database: &Database, wishes: &[Waiting]) -> Result<Vec<Result<(), Seconds>>, LogError> {
    let client = Whole(Some(database.client().await?));
    let mut keys: Vec<BucketKey> = wishes.iter().flat_map(|waiting| &waiting.buckets).map(Bucket::key).collect();
    keys.sort_unstable();
    keys.dedup();
    let charged = charged(&client, wishes, &keys).await.map_err(|error| database.describe(&error))?;
    client.keep();
    Ok(charged)
}

async fn charged(
    client: &Object,
    wishes: &[Waiting],
    keys: &[BucketKey],
) -> Result<Vec<Result<(), Seconds>>, tokio_postgres::Error> {
    let (hashes, windows): (Vec<&[u8]>, Vec<i64>) =
        keys.iter().map(|(hash, window)| (hash.as_slice(), i64::from(*window))).unzip();
    let lock = client.prepare_cached(LOCK).await?;
    let write = client.prepare_cached(WRITE).await?;
    let tidy = client.prepare_cached(TIDY).await?;
    let ((), rows) =
        futures::try_join!(client.batch_execute(QUICKLY), async { client.query(&lock, &[&hashes, &windows]).await })?;
    let mut holdings = Holdings::default();
    for row in rows {
        let (hash, window, charges): (&[u8], i64, &[u8]) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        if let (Ok(hash), Ok(window)) = (hash.try_into(), window.try_into()) {
            holdings.insert((hash, window), charges);
        }
    }
    let answers = wishes
        .iter()
        .map(|waiting| match waiting.wish {
            Wish::Charge(_) => holdings.charge(&waiting.buckets, waiting.now),
            Wish::Refund(_) => {
                holdings.refund(&waiting.buckets, waiting.now);
                Ok(())
            }
        })
        .collect();
    let (mut hashes, mut windows, mut charges, mut ends) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for ((hash, window), held) in holdings.changed() {
        hashes.push(hash.to_vec());
        windows.push(i64::from(window));
        charges.push(held.to_bytes());
        ends.push(held.end().unwrap_or_default());
    }
    let now = wishes.iter().map(|waiting| waiting.now.as_millis()).min().unwrap_or_default();
    futures::try_join!(
        async { client.execute(&write, &[&hashes, &windows, &charges, &ends]).await },
        async { client.execute(&tidy, &[&now, &TIDIED]).await },
        client.batch_execute("COMMIT"),
    )?;
    Ok(answers)
}

/// A connection in a transaction: one that was not ended is no use to the pool.
struct Whole(Option<Object>);

impl Whole {
    fn keep(mut self) {
        drop(self.0.take());
    }
}

impl std::ops::Deref for Whole {
    type Target = Object;
    #[expect(clippy::expect_used, reason = "it is there until it is kept or dropped")]
    fn deref(&self) -> &Object {
        self.0.as_ref().expect("a connection")
    }
}

impl Drop for Whole {
    fn drop(&mut self) {
        if let Some(client) = self.0.take() {
            discarded(client);
        }
    }
}
