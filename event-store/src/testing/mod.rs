//! What tests of this and other rooms need: a clock they move, stores in memory, an engine in a directory
//! of its own. Feature `testing`; never part of the binary.

#[cfg(feature = "postgres")]
pub mod postgres;

use std::{
    collections::{HashMap, HashSet},
    path::PathBuf,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use domain::{
    limits::Charge,
    time::{Seconds, Timestamp},
};
use schemas::envelope::Position;

use crate::port::{Checkpoints, Clock, Limiter, LogError};

#[cfg(feature = "sqlite")]
pub use self::fixture::{Fixture, FixtureOptions};

/// A time that stands until it is moved.
#[derive(Debug)]
pub struct ManualClock {
    at: AtomicI64,
    passed: AtomicU64,
}

impl ManualClock {
    /// Where tests begin: 2026-11-24T12:00:00Z.
    pub const START: Timestamp = Timestamp::from_seconds(1_795_521_600);

    /// A clock that shows this.
    pub const fn new(at: Timestamp) -> Self {
        Self { at: AtomicI64::new(at.as_millis()), passed: AtomicU64::new(0) }
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

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.at.load(Ordering::SeqCst))
    }
    fn running(&self) -> Duration {
        Duration::from_secs(self.passed.load(Ordering::SeqCst))
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

#[cfg(feature = "sqlite")]
mod fixture {
    use std::sync::Arc;

    use domain::{
        ids::{AccountId, CommandId},
        policy::Policy,
        secret::Secret,
        values::{Caller, EmailAddress, Origin},
    };
    use tokio_util::sync::{CancellationToken, DropGuard};
    use uuid::Uuid;
    use vault::{Argon2Cost, Hasher, HasherConfig, KeyRing};

    use super::{ManualClock, MemoryLimiter, Scratch};
    use crate::{
        engine::{CacheOptions, Engine, EngineParts, Idempotency, Request},
        keys::Keys,
        port::Clock,
        sqlite::{SqliteOptions, SqliteStore},
    };

    /// What a test may want otherwise.
    #[derive(Debug, Clone, Default)]
    pub struct FixtureOptions {
        /// The rules' numbers.
        pub policy: Policy,
        /// What is kept in memory.
        pub cache: CacheOptions,
        /// How the file is used.
        pub sqlite: SqliteOptions,
    }

    /// An engine over a `SQLite` file in a directory of its own, with cheap hashes.
    pub struct Fixture {
        /// The engine.
        pub engine: Engine,
        /// Its log, and the stores beside it.
        pub store: Arc<SqliteStore>,
        /// Its clock.
        pub clock: Arc<ManualClock>,
        /// Its limiter.
        pub limiter: Arc<MemoryLimiter>,
        /// Its keys.
        pub keys: Arc<Keys>,
        ring: Arc<KeyRing>,
        options: FixtureOptions,
        scratch: Arc<Scratch>,
        _stops: DropGuard,
    }

    impl Fixture {
        /// With the defaults.
        pub async fn start() -> Self {
            Self::with(FixtureOptions::default()).await
        }

        /// With something else.
        #[expect(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a test without its fixture cannot go on")]
        pub async fn with(options: FixtureOptions) -> Self {
            let ring = Arc::new(KeyRing::generate().unwrap());
            let parts = (Arc::default(), Arc::default());
            Self::over(Arc::new(Scratch::new().unwrap()), ring, options, parts).await
        }

        /// Another engine on the same file, as another process would be: it shares the key ring, the clock
        /// and the limiter, and nothing else.
        pub async fn beside(&self) -> Self {
            let parts = (Arc::clone(&self.clock), Arc::clone(&self.limiter));
            Self::over(Arc::clone(&self.scratch), Arc::clone(&self.ring), self.options.clone(), parts).await
        }

        #[expect(clippy::unwrap_used, reason = "a test without its fixture cannot go on")]
        async fn over(
            scratch: Arc<Scratch>,
            ring: Arc<KeyRing>,
            options: FixtureOptions,
            (clock, limiter): (Arc<ManualClock>, Arc<MemoryLimiter>),
        ) -> Self {
            let path = scratch.file("log.db");
            let store = Arc::new(SqliteStore::open(&path, options.sqlite.clone()).await.unwrap());
            let keys = Arc::new(Keys::new(store.clone(), Arc::clone(&ring), 1_000));
            let cheap = Argon2Cost { memory_kib: 64, passes: 1, lanes: 1 };
            let parts = EngineParts {
                log: store.clone(),
                keys: Arc::clone(&keys),
                snapshots: store.clone(),
                hasher: Hasher::new(HasherConfig { threads: 1, waiting: 1_000, password: cheap, recovery_code: cheap }),
                limiter: limiter.clone(),
                clock: clock.clone(),
                policy: Arc::new(options.policy.clone()),
                cache: options.cache,
            };
            let cancel = CancellationToken::new();
            let engine = Engine::start(parts, cancel.clone()).await.unwrap();
            Self { engine, store, clock, limiter, keys, ring, options, scratch, _stops: cancel.drop_guard() }
        }

        /// The log's file.
        pub fn path(&self) -> std::path::PathBuf {
            self.scratch.file("log.db")
        }

        /// A random id.
        #[expect(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a test without randomness cannot go on")]
        pub fn uuid(&self) -> Uuid {
            vault::random_entropy().unwrap().uuid(self.clock.now(), "test")
        }

        /// A request of this caller, from one address.
        pub fn request(&self, caller: Caller) -> Request {
            Request {
                caller,
                origin: Origin {
                    ip: Some(std::net::IpAddr::from([192, 0, 2, 7])),
                    user_agent: Some("test".to_owned()),
                },
                command_id: CommandId(self.uuid()),
                idempotency: None,
                correlation_id: self.uuid(),
                causation_id: None,
                trace_parent: None,
            }
        }

        /// The same with an idempotency key.
        pub fn request_with_key(&self, caller: Caller, key: &str, body: &str) -> Request {
            let hash = |label, text| self.ring.lookup_hash(label, text);
            let idempotency = Idempotency {
                key: hash("idempotency key", key),
                body: hash("idempotency body", body),
                lives: domain::time::Seconds::hours(24),
            };
            Request { idempotency: Some(idempotency), ..self.request(caller) }
        }

        /// Registers an account and confirms its address, with this password.
        #[expect(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a test without its account cannot go on")]
        pub async fn confirmed_account(&self, email: &str, password: &str) -> AccountId {
            use domain::{commands::Command, ids::StreamId, values::Channel};
            let account = AccountId(self.uuid());
            let register = Command::RegisterAccount {
                account_id: account,
                email: EmailAddress::parse(email).unwrap(),
                password: Some(Secret::new(password.to_owned())),
                vouch_for_email: false,
            };
            let request = self.request(Caller::Anonymous);
            self.engine.execute(account, register, &request).await.unwrap().outcome.unwrap();
            let loaded = self.engine.load(account).await.unwrap();
            let challenge = loaded
                .state
                .verifications
                .values()
                .flat_map(|verification| &verification.codes)
                .map(|code| code.challenge)
                .find(|challenge| challenge.channel == Channel::Email)
                .unwrap();
            let key = self.keys.key(&StreamId::Account(account)).await.unwrap().unwrap();
            let verify = Command::VerifyEmail { code: key.one_time_code(&challenge) };
            self.engine.execute(account, verify, &request).await.unwrap().outcome.unwrap();
            account
        }
    }
}
