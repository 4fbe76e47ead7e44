//! The engine over the adapter: commands with a key, two processes, and connections that break under load.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;

use domain::{
    commands::Command,
    ids::{AccountId, CommandId, StreamId},
    policy::Policy,
    secret::Secret,
    time::Seconds,
    values::{Caller, EmailAddress, Origin},
};
use engine::{CacheOptions, Engine, EngineParts, Idempotency, Request};
use event_store::{
    contract::LogUnderTest,
    keys::Keys,
    port::EventLog,
    subscription::subscribe,
    testing::{ManualClock, MemoryLimiter, eventually},
};
use schemas::envelope::{Position, Version};
use tokio_util::sync::CancellationToken;
use vault::{Argon2Cost, Hasher, HasherConfig, KeyRing};

use servers::kurrentdb::{FakeServer, under_test::Kurrent};
use uuid::Uuid;

fn uuid() -> Uuid {
    uuid::Builder::from_random_bytes(*runtime::Runtime::system().unwrap().random_bytes::<16>().unwrap()).into_uuid()
}

async fn engine(kurrent: &Kurrent, ring: &Arc<KeyRing>) -> Engine {
    let cheap = Argon2Cost { memory_kib: 64, passes: 1, lanes: 1 };
    let runtime = Arc::<ManualClock>::default().runtime();
    let parts = EngineParts {
        log: kurrent.log(),
        keys: Arc::new(Keys::new(&runtime, kurrent.keys(), Arc::clone(ring), 1_000)),
        snapshots: kurrent.snapshots(),
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
        limiter: Arc::new(MemoryLimiter::default()),
        answers: Arc::new(MemoryLimiter::default()),
        runtime,
        policy: Arc::new(Policy::default()),
        cache: CacheOptions::default(),
    };
    Engine::start(parts, CancellationToken::new()).await.unwrap()
}

fn request(key: u8) -> Request {
    let id = uuid();
    Request {
        caller: Caller::Anonymous,
        origin: Origin::default(),
        command_id: CommandId(id),
        idempotency: Some(Idempotency { key: [key; 32], body: [1; 32], lives: Seconds::hours(24) }),
        correlation_id: id,
        causation_id: None,
        trace_parent: None,
    }
}

fn register(account: AccountId) -> Command {
    Command::RegisterAccount {
        account_id: account,
        email: EmailAddress::parse(&format!("{account}@example.com")).unwrap(),
        password: Some(Secret::new("korrekt-Pferd-Batterie-9".to_owned())),
        vouch_for_email: false,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_with_a_key_is_carried_out_once_whichever_process_is_asked() {
    let kurrent = Kurrent::on(FakeServer::start().await).await;
    let beside = kurrent.beside().await;
    let ring = Arc::new(KeyRing::generate(&runtime::Runtime::system().unwrap()).unwrap());
    let (one, other) = (engine(&kurrent, &ring).await, engine(&beside, &ring).await);
    let account = AccountId(uuid());
    let first = one.execute(account, register(account), &request(7)).await.unwrap();
    assert!(!first.replayed);
    // As a client that heard no answer would ask again: for an account of its own, whose id the server makes.
    let again = AccountId(uuid());
    let second = other.execute(again, register(again), &request(7)).await.unwrap();
    assert!(second.replayed);
    assert_eq!(second.outcome, first.outcome);
    assert_eq!(kurrent.store.head(&StreamId::Account(again)).await.unwrap(), Version::NONE);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_while_connections_broke_is_in_the_log_once() {
    let kurrent = Kurrent::on(FakeServer::start().await).await;
    let beside = kurrent.beside().await;
    let ring = Arc::new(KeyRing::generate(&runtime::Runtime::system().unwrap()).unwrap());
    let engines = [engine(&kurrent, &ring).await, engine(&beside, &ring).await];
    let mut tasks = Vec::new();
    for n in 0..40_u8 {
        let engine = engines[usize::from(n % 2)].clone();
        tasks.push(tokio::spawn(async move {
            // A client asks again with the same key until it has an answer.
            let key = n + 1;
            let outcome = eventually(|| async {
                let account = AccountId(uuid());
                engine.execute(account, register(account), &request(key)).await.ok()
            });
            outcome.await.unwrap().outcome.unwrap()
        }));
        if n % 8 == 7 {
            kurrent.server.cut_connections();
            tokio::task::yield_now().await;
        }
    }
    for task in tasks {
        task.await.unwrap();
    }
    let records: Vec<_> = kurrent
        .server
        .core
        .journal()
        .records
        .iter()
        .filter(|record| record.stream.starts_with("account-") && record.revision == 0)
        .map(|record| record.stream.clone())
        .collect();
    assert_eq!(records.len(), 40, "one account for each key");
    // And a subscriber of either process finds them.
    let last = eventually(|| async { kurrent.store.last_position().await.ok() }).await.unwrap();
    let mut subscription = subscribe(&runtime::Runtime::system().unwrap(), beside.log(), Position::START, 100);
    let mut found = 0;
    while subscription.position() < last {
        let Ok(events) = subscription.next().await else { continue };
        found += events.iter().filter(|event| &*event.event_type == "AccountRegistered").count();
    }
    assert_eq!(found, 40);
}
