//! How fast the views follow and are rebuilt:
//! `cargo run --release -p projections --features postgres --example measure [EVENTS]`.
//!
//! The log holds accounts that enroll an app and are then verified again and again, as under load. Reported
//! are a catch-up from nothing, a rebuild of all views beside the live ones, and the processor time that
//! following 5,000 events a second takes.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement")]
#![expect(clippy::wildcard_imports, reason = "the vocabulary of events")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use domain::{events::*, ids::*, personal::Personal, secret::TokenHash, secret::TokenSecret, time::Seconds, values::*};
use event_store::{
    codec,
    keys::Keys,
    port::{Append, EventLog, Expected},
    postgres::Database,
    sqlite::{SqliteOptions, SqliteStore},
    testing::ManualClock,
};
use futures::{SinkExt, TryStreamExt};
use projections::{ViewParts, Views};
use schemas::envelope::{Metadata, Position, Version};
use servers::postgres::PostgresServer;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;
use vault::KeyRing;

/// Events of one account.
const PER_ACCOUNT: u64 = 20;

struct Load {
    store: Arc<SqliteStore>,
    keys: Arc<Keys>,
    clock: Arc<ManualClock>,
    ids: AtomicU64,
}

impl Load {
    fn uuid(&self) -> Uuid {
        Uuid::from_u128(0x0192_0000_0000_7000_8000_0000_0000_0000 + u128::from(self.ids.fetch_add(1, Ordering::SeqCst)))
    }

    fn verified(&self) -> [Event; 2] {
        let verification_id = VerificationId(self.uuid());
        let until = self.clock.now().plus(Seconds(600));
        [
            VerificationStarted {
                verification_id,
                purpose: Purpose::StepUp,
                action: Some(Personal::Known(FreeText::parse("transfer").unwrap())),
                target: None,
                started_by: None,
                token_hash: TokenHash::of(&TokenSecret::new([1; 32])),
                first_factor: vec![],
                new_email: None,
                yields_session: false,
                attempts: None,
                expires_at: until,
                asked: None,
                source: None,
                replaces: None,
            }
            .into(),
            VerificationSucceeded {
                verification_id,
                purpose: Purpose::StepUp,
                kind: FactorKind::Totp,
                method_id: Some(MethodId(1)),
                totp_step: Some(self.ids.load(Ordering::SeqCst)),
                usable_until: until,
                needs_second_factor: false,
                good_from: None,
                side: domain::values::Side::Others,
            }
            .into(),
        ]
    }

    fn account(&self, account_id: AccountId) -> Vec<Event> {
        let now = self.clock.now();
        let address = format!("person-{}@example.com", self.ids.load(Ordering::SeqCst));
        let mut events: Vec<Event> = vec![
            AccountRegistered {
                account_id,
                email: Personal::Known(EmailAddress::parse(&address).unwrap()),
                password: None,
                registered_by: None,
                expires_at: now.plus(Seconds::days(1)),
                number: None,
            }
            .into(),
            EmailVerified { verification_id: None, vouched_by: None }.into(),
            TotpEnrollmentStarted {
                method_id: MethodId(1),
                verification_id: VerificationId(self.uuid()),
                secret: Personal::Known(TotpSecret::new(vec![1; 20])),
                algorithm: TotpAlgorithm::Sha1,
                digits: 6,
                period: 30,
                started_by: Credential::Session(SessionId(self.uuid())),
                attempts: 5,
                expires_at: now.plus(Seconds::hours(1)),
            }
            .into(),
            MethodEnabled {
                method_id: MethodId(1),
                kind: MethodKind::Totp,
                label: Personal::Known(Label::parse("App").unwrap()),
                verification_id: VerificationId(self.uuid()),
                totp_step: Some(1),
                is_primary: true,
            }
            .into(),
        ];
        while events.len() < usize::try_from(PER_ACCOUNT).unwrap() {
            events.extend(self.verified());
        }
        events
    }

    async fn append(&self, account: AccountId, after: Version, events: Vec<Event>) -> Version {
        let stream = StreamId::Account(account);
        let key = self.keys.ensure(&stream).await.unwrap();
        let metadata = Metadata {
            at: self.clock.now(),
            actor: Actor::Anonymous,
            command_id: CommandId(self.uuid()),
            correlation_id: self.uuid(),
            causation_id: None,
            ip: Some(Personal::Known([192, 0, 2, 7].into())),
            end_user_ip: None,
            user_agent: Some(Personal::Known("Measure/1.0 (a usual length of user agents, more or less)".to_owned())),
            trace_parent: None,
        };
        let events =
            events.iter().map(|e| codec::encode(e, EventId(self.uuid()), &stream, &metadata, &key).unwrap()).collect();
        let expected = if after == Version::NONE { Expected::NoStream } else { Expected::Version(after) };
        self.store.append(Append { stream, expected, events, receipt: None }).await.unwrap().version
    }
}

/// Processor time of this process, all threads.
fn processor_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0
}

#[expect(clippy::cast_precision_loss, reason = "rates for people")]
fn report(what: &str, events: u64, took: Duration, processor: f64) {
    println!(
        "{what}: {events} events in {:.2} s = {:.0} a second, {:.1} µs of processor each",
        took.as_secs_f64(),
        events as f64 / took.as_secs_f64(),
        processor * 1e6 / events as f64
    );
}

fn run(views: &Arc<Views>, cancel: &CancellationToken) -> tokio::task::JoinHandle<()> {
    let (views, cancel) = (Arc::clone(views), cancel.clone());
    tokio::spawn(async move { views.run(cancel).await.unwrap() })
}

/// The same on PostgreSQL, beside what plain `COPY` of as many lines of the history takes there.
async fn on_postgres(load: &Load, head: Position) {
    let server = Arc::new(PostgresServer::start().await);
    let place = server.database().await;
    let database = Database::connect(&place.options()).await.unwrap();
    let parts = ViewParts { log: load.store.clone(), keys: load.keys.clone(), runtime: load.clock.runtime() };
    let views = Arc::new(Views::postgres(database, parts).await.unwrap());
    let cancel = CancellationToken::new();
    let (begun, spent) = (Instant::now(), processor_seconds());
    let runner = run(&views, &cancel);
    views.wait_for(head, Duration::from_hours(1)).await.unwrap();
    report("PostgreSQL: filled from nothing, with indexes", head.0, begun.elapsed(), processor_seconds() - spent);
    let (begun, spent) = (Instant::now(), processor_seconds());
    let rebuilt = views.rebuild("all", &|_| (), &CancellationToken::new()).await.unwrap();
    println!("PostgreSQL rebuild: {:.0} events a second, equal: {}", rebuilt.events_per_second, rebuilt.is_equal());
    report("PostgreSQL rebuild with indexes, digests and swap", head.0, begun.elapsed(), processor_seconds() - spent);
    cancel.cancel();
    runner.await.unwrap();
    views.close().await;

    let client = place.client().await;
    let read = client.copy_out("COPY timeline TO STDOUT (FORMAT binary)").await.unwrap();
    let pieces: Vec<_> = read.try_collect().await.unwrap();
    for (what, like) in [("indexed", "INCLUDING INDEXES"), ("bare", "")] {
        client.batch_execute(&format!("CREATE TABLE plain_{what} (LIKE timeline {like})")).await.unwrap();
        let begun = Instant::now();
        let sink = client.copy_in(&format!("COPY plain_{what} FROM STDIN (FORMAT binary)")).await.unwrap();
        let mut sink = std::pin::pin!(sink);
        for piece in &pieces {
            sink.feed(piece.clone()).await.unwrap();
        }
        let rows = sink.finish().await.unwrap();
        report(&format!("plain COPY into one {what} table"), rows, begun.elapsed(), 0.0);
    }
}

#[tokio::main]
async fn main() {
    let events: u64 = std::env::args().nth(1).map_or(200_000, |n| n.parse().unwrap());
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(SqliteStore::open(&dir.path().join("log.db"), SqliteOptions::default()).await.unwrap());
    let keys = Arc::new(Keys::new(
        &runtime::Runtime::system().unwrap(),
        store.clone(),
        Arc::new(KeyRing::generate(&runtime::Runtime::system().unwrap()).unwrap()),
        10_000,
    ));
    let load = Arc::new(Load { store, keys, clock: Arc::default(), ids: AtomicU64::new(1) });
    let mut accounts = Vec::new();
    for _ in 0..events / PER_ACCOUNT {
        let account = AccountId(load.uuid());
        let version = load.append(account, Version::NONE, load.account(account)).await;
        accounts.push((account, version));
    }
    let head = load.store.last_position().await.unwrap();
    println!(
        "log of {} events, {} MB",
        head.0,
        std::fs::metadata(dir.path().join("log.db")).unwrap().len() / 1_000_000
    );

    let parts = ViewParts { log: load.store.clone(), keys: load.keys.clone(), runtime: load.clock.runtime() };
    let views = Arc::new(Views::sqlite(&dir.path().join("views.db"), parts).await.unwrap());
    let cancel = CancellationToken::new();
    let (begun, spent) = (Instant::now(), processor_seconds());
    let runner = run(&views, &cancel);
    views.wait_for(head, Duration::from_hours(1)).await.unwrap();
    report("catch-up from nothing", head.0, begun.elapsed(), processor_seconds() - spent);

    let (begun, spent) = (Instant::now(), processor_seconds());
    let rebuilt = views.rebuild("all", &|_| (), &CancellationToken::new()).await.unwrap();
    println!("rebuild: {:.0} events a second, equal: {}", rebuilt.events_per_second, rebuilt.is_equal());
    report("rebuild with indexes, digests and swap", head.0, begun.elapsed(), processor_seconds() - spent);

    cancel.cancel();
    runner.await.unwrap();
    on_postgres(&load, head).await;
    // 2,500 appends of two events a second for five seconds: once to warm up, once without the views to know
    // what that costs by itself, once with them.
    let rate = async || {
        let (begun, spent) = (Instant::now(), processor_seconds());
        let mut interval = tokio::time::interval(Duration::from_millis(10));
        let mut last = Position::START;
        for tick in 0..500 {
            interval.tick().await;
            for n in 0..25 {
                let (account, _) = accounts[(tick * 25 + n) % accounts.len()];
                let after = load.store.head(&StreamId::Account(account)).await.unwrap();
                load.append(account, after, load.verified().to_vec()).await;
            }
            last = load.store.last_position().await.unwrap();
        }
        (begun.elapsed(), processor_seconds() - spent, last)
    };
    rate().await;
    let (_, without, last) = rate().await;
    let cancel = CancellationToken::new();
    let runner = run(&views, &cancel);
    views.wait_for(last, Duration::from_mins(1)).await.unwrap();
    let (took, with, last) = rate().await;
    let behind = Instant::now();
    views.wait_for(last, Duration::from_mins(1)).await.unwrap();
    let behind = behind.elapsed();
    cancel.cancel();
    runner.await.unwrap();
    println!(
        "following 25,000 events in {:.2} s: {:.2} s of processor, {:.1} µs each; {:.1} ms behind at the end",
        took.as_secs_f64(),
        with - without,
        (with - without) * 1e6 / 25_000.0,
        behind.as_secs_f64() * 1e3
    );
    let size = std::fs::metadata(dir.path().join("views.db")).unwrap().len();
    println!("views of {} MB", size / 1_000_000);
    views.close().await;
}
