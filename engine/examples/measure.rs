//! How fast the engine and its embedded log are here. One run, a few seconds each:
//!
//! `cargo run --release -p event-store --features testing --example measure`
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement tells what it found, or fails")]

use std::{sync::Arc, time::Duration};

use domain::{
    decision::{Context, Decider, Decision},
    events::{Event, PasswordRejected, RetentionApplied},
    evidence::{Evidence, Need},
    ids::{AccountId, CommandId, EventId, StreamId},
    outcome::Outcome,
    time::Timestamp,
    values::{Actor, Caller},
};
use engine::{
    CacheOptions,
    testing::{Fixture, FixtureOptions},
};
use event_store::{
    codec,
    port::{Append, EventLog, Expected},
    testing::eventually,
};
use schemas::envelope::{Metadata, NewEvent, Position, Version};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use uuid::Uuid;

const WRITERS: usize = 32;
const LASTS: Duration = Duration::from_secs(3);

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Tally(u64);

impl Decider for Tally {
    type Command = ();
    fn decide(&self, (): &(), context: &Context<'_>, _: &Evidence) -> Result<Decision, Need> {
        Ok(Decision::accept(vec![RetentionApplied { before: context.now }.into()], Outcome::Done))
    }
    fn evolve(self, _event: &Event, _at: Timestamp) -> Self {
        Self(self.0 + 1)
    }
}

#[expect(clippy::cast_precision_loss, reason = "a rate to be read")]
fn rate(count: usize, took: Duration) -> String {
    format!("{:.0} a second", count as f64 / took.as_secs_f64())
}

fn random() -> Uuid {
    uuid::Builder::from_random_bytes(*runtime::Runtime::system().unwrap().random_bytes::<16>().unwrap()).into_uuid()
}

fn event() -> NewEvent {
    NewEvent {
        id: EventId(random()),
        event_type: "Something".into(),
        schema_version: 1,
        metadata: vec![b'm'; 500],
        data: vec![b'd'; 200],
    }
}

async fn appends(writers: usize) {
    let fixture = Fixture::start().await;
    let begun = Instant::now();
    let mut tasks = Vec::new();
    for _ in 0..writers {
        let store = Arc::clone(&fixture.store);
        tasks.push(tokio::spawn(async move {
            let (mut count, mut slowest) = (0, Duration::ZERO);
            while begun.elapsed() < LASTS {
                let stream = StreamId::Account(AccountId(random()));
                let one = Instant::now();
                let append = Append { stream, expected: Expected::NoStream, events: vec![event()], receipt: None };
                store.append(append).await.unwrap();
                slowest = slowest.max(one.elapsed());
                count += 1;
            }
            (count, slowest)
        }));
    }
    let (mut count, mut slowest) = (0, Duration::ZERO);
    for task in tasks {
        let (one, slow) = task.await.unwrap();
        count += one;
        slowest = slowest.max(slow);
    }
    println!("durable appends, {writers} writers: {} (slowest {slowest:?})", rate(count, begun.elapsed()));
}

async fn commands() -> Fixture {
    let fixture = Fixture::start().await;
    let begun = Instant::now();
    let mut tasks = Vec::new();
    for _ in 0..WRITERS {
        let (engine, request) = (fixture.engine.clone(), fixture.request(Caller::Worker));
        tasks.push(tokio::spawn(async move {
            let streams: Vec<StreamId> = (0..50).map(|_| StreamId::Account(AccountId(random()))).collect();
            let mut count = 0;
            while begun.elapsed() < LASTS {
                engine.execute_on::<Tally>(&streams[count % 50], &(), &request).await.unwrap().outcome.unwrap();
                count += 1;
            }
            count
        }));
    }
    let mut count = 0;
    for task in tasks {
        count += task.await.unwrap();
    }
    println!("commands through the engine, {WRITERS} clients, sealed metadata: {}", rate(count, begun.elapsed()));
    fixture
}

async fn catching_up(fixture: &Fixture) {
    for opened in [false, true] {
        let begun = Instant::now();
        let (mut after, mut count) = (Position::START, 0);
        loop {
            let page = fixture.store.read_all(after, 1_000).await.unwrap();
            let Some(last) = page.last() else { break };
            after = last.position;
            count += page.len();
            for stored in &page {
                let key = if opened { fixture.keys.key(&stored.stream.parse().unwrap()).await.unwrap() } else { None };
                codec::decode(stored, key.as_ref()).unwrap();
            }
        }
        let how = if opened { "opened" } else { "unopened" };
        println!("reading the log on one task, {how}: {} events at {}", count, rate(count, begun.elapsed()));
    }
}

/// An account of this many events.
async fn account(fixture: &Fixture, events: u64) -> AccountId {
    let account = fixture.confirmed_account(&format!("a{events}@example.com"), "correct horse battery").await;
    let stream = StreamId::Account(account);
    let key = fixture.keys.key(&stream).await.unwrap().unwrap();
    let mut head = fixture.store.head(&stream).await.unwrap().0;
    while head < events {
        let count = (events - head).min(500);
        let encoded = (0..count)
            .map(|_| {
                let metadata = Metadata {
                    at: fixture.engine.now(),
                    actor: Actor::Anonymous,
                    command_id: CommandId(random()),
                    correlation_id: random(),
                    causation_id: None,
                    ip: None,
                    end_user_ip: None,
                    user_agent: Some(domain::personal::Personal::Known("a browser".to_owned())),
                    trace_parent: None,
                };
                let event = PasswordRejected { count: 1 }.into();
                codec::encode(&event, EventId(random()), &stream, &metadata, &key).unwrap()
            })
            .collect();
        let expected = Expected::Version(Version(head));
        let append = Append { stream: stream.clone(), expected, events: encoded, receipt: None };
        head = fixture.store.append(append).await.unwrap().version.0;
    }
    account
}

async fn loading() {
    let cache = CacheOptions { states: 0, ..CacheOptions::default() };
    let fixture = Fixture::with(FixtureOptions { cache, ..FixtureOptions::default() }).await;
    for events in [10, 19, 10_000, 10_019] {
        let account = account(&fixture, events).await;
        // The first load leaves the snapshot that later ones begin from.
        fixture.engine.load(account).await.unwrap();
        if events > 100 {
            use event_store::port::SnapshotStore;
            let stream = StreamId::Account(account);
            eventually(|| async { fixture.store.load(&stream).await.unwrap() }).await.unwrap();
        }
        let mut times = Vec::new();
        for _ in 0..300 {
            fixture.keys.forget(&StreamId::Account(account));
            let begun = Instant::now();
            fixture.engine.load(account).await.unwrap();
            times.push(begun.elapsed());
        }
        times.sort();
        println!("cold load of {events} events: median {:?}", times[times.len() / 2]);
    }
}

#[tokio::main]
async fn main() {
    appends(1).await;
    appends(WRITERS).await;
    appends(256).await;
    let fixture = commands().await;
    catching_up(&fixture).await;
    loading().await;
}
