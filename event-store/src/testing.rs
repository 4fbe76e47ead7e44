//! What tests of this and other rooms need: a machine whose clock they move, stores in memory. Feature `testing`; never part of
//! the binary.

use std::{
    collections::{HashMap, HashSet},
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use domain::{
    limits::Charge,
    time::{Seconds, Timestamp},
};
use futures::future::BoxFuture;
use runtime::{Machine, NoRandomness, Runtime, System};
use schemas::envelope::Position;

use crate::port::{Answers, Checkpoints, KeptAnswer, Limiter, LogError};

/// The system's machine, but that its clocks stand until they are moved. What waits goes by the real time all the
/// same: hours pass at once for the rules, and no time-out runs out for it.
#[derive(Debug)]
pub struct ManualClock {
    at: AtomicI64,
    passed: AtomicU64,
    system: System,
}

impl ManualClock {
    /// Where tests begin: 2026-11-24T12:00:00Z.
    pub const START: Timestamp = Timestamp::from_seconds(1_795_521_600);

    /// A clock that shows this.
    pub fn new(at: Timestamp) -> Self {
        Self { at: AtomicI64::new(at.as_millis()), passed: AtomicU64::new(0), system: System::default() }
    }
    /// Now.
    pub fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.at.load(Ordering::SeqCst))
    }
    /// A handle to it.
    #[expect(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a test without randomness cannot go on")]
    pub fn runtime(self: &Arc<Self>) -> Runtime {
        Runtime::new(Arc::<Self>::clone(self)).unwrap()
    }
    /// Moves it on.
    pub fn advance(&self, by: Seconds) {
        self.at.fetch_add(by.as_millis(), Ordering::SeqCst);
        self.passed.fetch_add(u64::from(by.0), Ordering::SeqCst);
    }
    /// Sets it, also back, as an operator or NTP does: no time passes.
    pub fn set(&self, at: Timestamp) {
        self.at.store(at.as_millis(), Ordering::SeqCst);
    }
}

impl Default for ManualClock {
    fn default() -> Self {
        Self::new(Self::START)
    }
}

impl Machine for ManualClock {
    fn now(&self) -> Timestamp {
        self.now()
    }
    fn running(&self) -> Duration {
        Duration::from_secs(self.passed.load(Ordering::SeqCst))
    }
    fn timer(&self) -> Duration {
        self.system.running()
    }
    fn sleep(&self, pause: Duration) -> BoxFuture<'static, ()> {
        self.system.sleep(pause)
    }
    fn spawn(&self, name: &'static str, task: BoxFuture<'static, ()>) {
        self.system.spawn(name, task);
    }
    fn run_blocking(&self, name: &'static str, work: Box<dyn FnOnce() + Send>) {
        self.system.run_blocking(name, work);
    }
    fn fill(&self, bytes: &mut [u8]) -> Result<(), NoRandomness> {
        self.system.fill(bytes)
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A rule's name, its window and whose bucket.
type Bucket = (&'static str, Seconds, String);

/// A limiter that remembers every charge.
#[derive(Debug, Default)]
pub struct MemoryLimiter {
    charged: Mutex<HashMap<Bucket, Vec<Timestamp>>>,
    networks: Mutex<HashSet<(String, String)>>,
    answers: Mutex<HashMap<[u8; 32], KeptAnswer>>,
    is_down: std::sync::atomic::AtomicBool,
}

impl MemoryLimiter {
    /// Whether it answers; `false` makes every call fail.
    pub fn set_reachable(&self, reachable: bool) {
        self.is_down.store(!reachable, Ordering::SeqCst);
    }

    fn reached(&self) -> Result<(), LogError> {
        if self.is_down.load(Ordering::SeqCst) {
            return Err(LogError::Unavailable("the limiter is down".to_owned()));
        }
        Ok(())
    }
}

fn bucket(charge: &Charge) -> Bucket {
    (charge.name.name(), charge.limit.window, charge.subject.clone())
}

fn live(held: &mut Vec<Timestamp>, charge: &Charge, now: Timestamp) {
    // What was charged in the future was charged before the clock was set back.
    for at in held.iter_mut() {
        *at = now.min(*at);
    }
    held.retain(|at| now < at.plus(charge.limit.window));
}

#[async_trait]
impl Limiter for MemoryLimiter {
    async fn charge(&self, charges: &[Charge], now: Timestamp) -> Result<Result<(), Seconds>, LogError> {
        self.reached()?;
        let mut buckets = locked(&self.charged);
        let mut wait: Option<Seconds> = None;
        for charge in charges {
            let held = buckets.entry(bucket(charge)).or_default();
            live(held, charge, now);
            if held.len() >= charge.limit.count as usize {
                let until = held.first().copied().unwrap_or(now).plus(charge.limit.window);
                wait = wait.max(Some(Seconds(until.seconds_since(now).max(1))));
            }
        }
        if let Some(wait) = wait {
            return Ok(Err(wait));
        }
        for charge in charges {
            buckets.entry(bucket(charge)).or_default().push(now);
        }
        Ok(Ok(()))
    }

    async fn refund(&self, charges: &[Charge], _now: Timestamp) -> Result<(), LogError> {
        self.reached()?;
        let mut buckets = locked(&self.charged);
        for charge in charges {
            buckets.entry(bucket(charge)).or_default().pop();
        }
        Ok(())
    }

    async fn count(&self, charge: &Charge, now: Timestamp) -> Result<u32, LogError> {
        self.reached()?;
        let mut buckets = locked(&self.charged);
        let held = buckets.entry(bucket(charge)).or_default();
        live(held, charge, now);
        Ok(u32::try_from(held.len()).unwrap_or(u32::MAX))
    }

    async fn is_known_network(&self, address: &str, network: &str) -> Result<bool, LogError> {
        self.reached()?;
        Ok(locked(&self.networks).contains(&(address.to_owned(), network.to_owned())))
    }

    async fn remember_network(&self, address: &str, network: &str, _now: Timestamp) -> Result<(), LogError> {
        self.reached()?;
        locked(&self.networks).insert((address.to_owned(), network.to_owned()));
        Ok(())
    }
}

#[async_trait]
impl Answers for MemoryLimiter {
    async fn keep(&self, answer: KeptAnswer, now: Timestamp) -> Result<KeptAnswer, LogError> {
        self.reached()?;
        let mut answers = locked(&self.answers);
        let kept = answers.entry(answer.key).or_insert_with(|| answer.clone());
        if now >= kept.expires_at {
            *kept = answer;
        }
        Ok(kept.clone())
    }
}

/// Checkpoints that are gone with the test.
#[derive(Debug, Default)]
pub struct MemoryCheckpoints(Mutex<HashMap<String, Position>>);

#[async_trait]
impl Checkpoints for MemoryCheckpoints {
    async fn load(&self, name: &str) -> Result<Position, LogError> {
        Ok(locked(&self.0).get(name).copied().unwrap_or(Position::START))
    }
    async fn save(&self, name: &str, position: Position) -> Result<(), LogError> {
        locked(&self.0).insert(name.to_owned(), position);
        Ok(())
    }
}

/// A directory that goes when it is dropped.
#[derive(Debug)]
pub struct Scratch(tempfile::TempDir);

impl Scratch {
    /// A fresh one.
    pub fn new() -> std::io::Result<Self> {
        tempfile::tempdir().map(Self)
    }
    /// A file in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

/// Asks until the answer is there; `None` when it does not come within ten seconds.
pub async fn eventually<T, F: Future<Output = Option<T>>>(mut ask: impl FnMut() -> F) -> Option<T> {
    tokio::time::timeout(Duration::from_secs(10), async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await
    .ok()
}
