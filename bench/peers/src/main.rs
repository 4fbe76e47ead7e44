//! Durable appends of other event-sourcing libraries to the PostgreSQL server that the benchmark measures with.
//! Called by `bench appends --peers`: `peers URL SECONDS WRITERS`.
//!
//! A line for each: its name, a tab, and appends a second, or `!` and why it does not run. Each gets what
//! Countersign gets: events of 700 bytes, one a transaction, each the first of a stream, as many connections as
//! writers, and no more of the library than its append.

use std::{
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};

use cqrs_es::{
    Aggregate, DomainEvent,
    event_sink::EventSink,
    persist::{PersistedEventRepository, SerializedEvent},
};
use disintegrate::{Event, EventStore, query};
use disintegrate_postgres::PgEventStore;
use postgres_es::PostgresEventRepository;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::{PgPool, postgres::PgPoolOptions};
use uuid::Uuid;

type Failure = Box<dyn std::error::Error + Send + Sync>;

const BYTES: usize = 650;

#[derive(Debug, Default, Serialize, Deserialize)]
struct Account;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Opened;

impl DomainEvent for Opened {
    fn event_type(&self) -> String {
        "Opened".to_owned()
    }
    fn event_version(&self) -> String {
        "1".to_owned()
    }
}

impl Aggregate for Account {
    const TYPE: &'static str = "account";
    type Command = ();
    type Event = Opened;
    type Error = std::fmt::Error;
    type Services = ();

    async fn handle(&mut self, (): (), (): &(), _: &EventSink<Self>) -> Result<(), Self::Error> {
        Ok(())
    }
    fn apply(&mut self, _: Opened) {}
}

async fn postgres_es(pool: PgPool, seconds: u64, writers: usize) -> Result<f64, Failure> {
    sqlx::raw_sql(
        "DROP TABLE IF EXISTS events;
         CREATE TABLE events (
             aggregate_type text NOT NULL, aggregate_id text NOT NULL,
             sequence bigint CHECK (sequence >= 0) NOT NULL, event_type text NOT NULL, event_version text NOT NULL,
             payload json NOT NULL, metadata json NOT NULL, PRIMARY KEY (aggregate_type, aggregate_id, sequence))",
    )
    .execute(&pool)
    .await?;
    let repository = Arc::new(PostgresEventRepository::new(pool));
    rate(seconds, writers, move || {
        let repository = Arc::clone(&repository);
        async move {
            let event = SerializedEvent::new(
                Uuid::new_v4().to_string(),
                1,
                Account::TYPE.to_owned(),
                "Opened".to_owned(),
                "1".to_owned(),
                json!({ "Opened": "d".repeat(BYTES) }),
                json!({}),
            );
            Ok(repository.persist::<Account>(&[event], None).await?)
        }
    })
    .await
}

#[derive(Debug, Clone, PartialEq, Eq, Event, Serialize, Deserialize)]
#[stream(AccountEvent, [AccountOpened])]
enum DomainEvents {
    AccountOpened {
        #[id]
        account_id: String,
        data: String,
    },
}

async fn disintegrate_postgres(pool: PgPool, seconds: u64, writers: usize) -> Result<f64, Failure> {
    let serde = disintegrate::serde::json::Json::<DomainEvents>::default();
    let store = PgEventStore::try_new(pool, serde).await?;
    rate(seconds, writers, move || {
        let store = store.clone();
        async move {
            let account_id = Uuid::new_v4().to_string();
            let none = query!(AccountEvent; account_id == account_id.clone());
            let event = DomainEvents::AccountOpened { account_id, data: "d".repeat(BYTES) };
            store.append(vec![event], none, 0).await?;
            Ok(())
        }
    })
    .await
}

async fn rate<F: Future<Output = Result<(), Failure>> + Send>(
    seconds: u64,
    writers: usize,
    append: impl Fn() -> F + Clone + Send + 'static,
) -> Result<f64, Failure> {
    let begun = Instant::now();
    let lasts = Duration::from_secs(seconds);
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..writers {
        let append = append.clone();
        tasks.spawn(async move {
            let mut count = 0_u32;
            while begun.elapsed() < lasts {
                append().await?;
                count += 1;
            }
            Ok::<_, Failure>(count)
        });
    }
    let mut count = 0;
    while let Some(done) = tasks.join_next().await {
        count += done??;
    }
    Ok(f64::from(count) / begun.elapsed().as_secs_f64())
}

fn tell(name: &str, measured: Result<f64, Failure>) {
    match measured {
        Ok(rate) => println!("{name}\t{rate:.0}"),
        Err(error) => println!("{name}\t!{}", error.to_string().lines().next().unwrap_or_default()),
    }
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, seconds, writers] = arguments.as_slice() else { return Err("peers URL SECONDS WRITERS".into()) };
    let (seconds, writers) = (seconds.parse()?, writers.parse()?);
    let connections = u32::try_from(writers)?;
    let pool = PgPoolOptions::new().max_connections(connections).min_connections(connections).connect(url).await?;
    tell("postgres-es", postgres_es(pool.clone(), seconds, writers).await);
    tell("disintegrate-postgres", disintegrate_postgres(pool, seconds, writers).await);
    Ok(())
}
