//! An engine in a directory of its own, for the tests of this and other rooms. Feature `testing`; never part of the
//! binary.

use std::sync::Arc;

use domain::{
    delivery::CodeOrder,
    ids::{AccountId, CommandId, StreamId},
    policy::Policy,
    secret::{Secret, SecretText},
    values::{Caller, Channel, EmailAddress, Origin},
};
use schemas::envelope::Version;
use tokio_util::sync::{CancellationToken, DropGuard};
use uuid::Uuid;
use vault::{Argon2Cost, Hasher, HasherConfig, KeyRing};

use crate::{CacheOptions, Engine, EngineParts, Idempotency, Request};
use event_store::{
    keys::Keys,
    sqlite::{SqliteOptions, SqliteStore},
    testing::{ManualClock, MemoryLimiter, Scratch},
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
        let clock = Arc::<ManualClock>::default();
        let ring = Arc::new(KeyRing::generate(&clock.runtime()).unwrap());
        let parts = (clock, Arc::default());
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
        let runtime = clock.runtime();
        let keys = Arc::new(Keys::new(&runtime, store.clone(), Arc::clone(&ring), 1_000));
        let cheap = Argon2Cost { memory_kib: 64, passes: 1, lanes: 1 };
        let parts = EngineParts {
            log: store.clone(),
            keys: Arc::clone(&keys),
            snapshots: store.clone(),
            hasher: Hasher::new(
                HasherConfig {
                    threads: 1,
                    waiting: 1_000,
                    waiting_per_source: 1_000,
                    password: cheap,
                    recovery_code: cheap,
                },
                &runtime,
            ),
            limiter: limiter.clone(),
            answers: limiter.clone(),
            runtime,
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
        self.engine.runtime().entropy().unwrap().uuid(self.engine.now(), "test")
    }

    /// A request of this caller, from one address.
    pub fn request(&self, caller: Caller) -> Request {
        Request {
            caller,
            origin: Origin {
                ip: Some(std::net::IpAddr::from([192, 0, 2, 7])),
                user_agent: Some("test".to_owned()),
                device: None,
                end_user_ip: None,
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
        use domain::commands::Command;
        let account = AccountId(self.uuid());
        let register = Command::RegisterAccount {
            account_id: account,
            email: EmailAddress::parse(email).unwrap(),
            password: Some(Secret::new(password.to_owned())),
            vouch_for_email: false,
        };
        let request = self.request(Caller::Anonymous);
        self.engine.execute(account, register, &request).await.unwrap().outcome.unwrap();
        let code = self.last_code(account, Channel::Email).await.unwrap();
        let verify = Command::VerifyEmail { code };
        self.engine.execute(account, verify, &request).await.unwrap().outcome.unwrap();
        account
    }

    /// The last code that was ordered for an account over a channel, as its holder reads it. Where the mail of another
    /// sign-up with the address serves this one too, it is that.
    pub async fn last_code(&self, account: AccountId, channel: Channel) -> Option<SecretText> {
        let stream = StreamId::Account(account);
        let history = self.engine.history(&stream, Version::NONE, 10_000).await.ok()?;
        let orders = history.iter().rev().filter_map(|recorded| CodeOrder::of(&recorded.event));
        let Some(order) = orders.into_iter().find(|order| order.challenge.channel == channel) else {
            let loaded = self.engine.load(account).await.ok()?;
            let window = u32::try_from(self.engine.now().as_seconds() / 600).ok()?;
            let address = loaded.state.email.as_ref()?.known()?;
            return Some(self.keys.ring().confirmation_code(address, window));
        };
        let key = self.keys.key(&stream).await.ok()??;
        self.engine.ordered_code(&key, &order)
    }
}
