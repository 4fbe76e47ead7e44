//! Durable appends to PostgreSQL by 32 writers, beside what `pgbench` commits row by row on the same server,
//! and what other libraries append.

use std::{io::Write, path::Path, process::Command, sync::Arc, time::Duration};

use domain::ids::{AccountId, EventId, StreamId};
use event_store::port::{Append, EventLog, Expected};
use schemas::envelope::NewEvent;
use servers::postgres::program;
use tokio::task::JoinSet;

use crate::{
    Failure, Measured, now,
    place::{Engine, Place},
    quantile, report, seed,
};

/// How it is measured.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct Options {
    /// Seconds of each measurement
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Writers at a time, each waiting for its append
    #[arg(long, default_value_t = 32)]
    writers: usize,
    /// How often both are measured in turn
    #[arg(long, default_value_t = 3)]
    rounds: usize,
}

/// As the arguments leave it.
pub const USUAL: Options = Options { seconds: 5, writers: 32, rounds: 3 };

/// Measures in turn, and reports the medians.
pub async fn measure(folder: &Path, peers: &Path, options: Options) -> Measured {
    let place = Place::new(Engine::Postgres, &folder.join("data")).await?;
    let store = place.open().await?;
    let database = place.database().ok_or("a database")?;
    let script = prepare(folder, &place).await?;
    let (mut rows, mut events, mut latencies) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..options.rounds {
        rows.push(pgbench(&script, database.url(), options).await?);
        let (rate, mut took) = appended(&store.log(), options).await?;
        events.push(rate);
        latencies.append(&mut took);
    }
    latencies.sort_unstable();
    let (row, event) = (median(rows), median(events));
    let ms = |part| quantile(&latencies, part).as_secs_f64() * 1_000.0;
    report(format_args!(
        "appends: {event:.0}/s with {} writers (p50 {:.2} ms, p99 {:.2} ms); baseline pgbench, single rows: {row:.0}/s; \
         ratio {:.2}",
        options.writers,
        ms(0.5),
        ms(0.99),
        event / row
    ));
    store.close().await;
    if !peers.exists() {
        report(format_args!(
            "appends: peers not built: nice cargo build --release --manifest-path bench/peers/Cargo.toml"
        ));
        return Ok(());
    }
    for line in against(peers, database.url(), options).await?.lines() {
        let (name, found) = line.split_once('\t').ok_or("a peer's line")?;
        match found.parse::<f64>() {
            Ok(rate) => report(format_args!("appends: {name} {rate:.0}/s: ratio {:.2}", event / rate)),
            Err(_) => report(format_args!("appends: {name} does not run here: {}", found.trim_start_matches('!'))),
        }
    }
    Ok(())
}

/// A table of rows like events, and what `pgbench` does to it.
async fn prepare(folder: &Path, place: &Place) -> Result<std::path::PathBuf, Failure> {
    let client = place.database().ok_or("a database")?.client().await;
    client
        .batch_execute(
            "CREATE TABLE baseline (position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, \
             stream uuid NOT NULL DEFAULT gen_random_uuid(), version bigint NOT NULL, body text NOT NULL, \
             UNIQUE (stream, version))",
        )
        .await?;
    let script = folder.join("insert.sql");
    let body = "d".repeat(700);
    writeln!(std::fs::File::create(&script)?, "INSERT INTO baseline (version, body) VALUES (1, '{body}');")?;
    Ok(script)
}

async fn pgbench(script: &Path, url: &str, options: Options) -> Result<f64, Failure> {
    let mut command = Command::new(program("pgbench"));
    command
        .args(["--no-vacuum", "--protocol=prepared", "--jobs=2"])
        .arg(format!("--client={}", options.writers))
        .arg(format!("--time={}", options.seconds))
        .arg("--file")
        .arg(script)
        .arg(url);
    let output = tokio::task::spawn_blocking(move || command.output()).await??;
    let text = String::from_utf8(output.stdout)?;
    let rate = text.lines().filter_map(|line| line.strip_prefix("tps = ")).find_map(|line| line.split(' ').next());
    let Some(rate) = rate else { return Err(String::from_utf8_lossy(&output.stderr).into_owned().into()) };
    Ok(rate.parse()?)
}

async fn against(peers: &Path, url: &str, options: Options) -> Result<String, Failure> {
    let mut command = Command::new(peers);
    command.arg(url).arg(options.seconds.to_string()).arg(options.writers.to_string());
    let output = tokio::task::spawn_blocking(move || command.output()).await??;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// Appends to fresh streams, one event at a time for each writer.
async fn appended(log: &Arc<dyn EventLog>, options: Options) -> Result<(f64, Vec<Duration>), Failure> {
    let (began, lasts) = (now::instant(), Duration::from_secs(options.seconds));
    let mut running = JoinSet::new();
    for _ in 0..options.writers {
        let log = Arc::clone(log);
        running.spawn(async move {
            let mut latencies = Vec::new();
            while began.elapsed() < lasts {
                let append = append()?;
                let one = now::instant();
                log.append(append).await?;
                latencies.push(one.elapsed());
            }
            Ok::<_, Failure>(latencies)
        });
    }
    let mut latencies = Vec::new();
    while let Some(done) = running.join_next().await {
        latencies.append(&mut done??);
    }
    let took = began.elapsed();
    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    let rate = latencies.len() as f64 / took.as_secs_f64();
    Ok((rate, latencies))
}

fn append() -> Result<Append, Failure> {
    let at = now::now();
    let event = NewEvent {
        id: EventId(seed::uuid(at)?),
        event_type: "Something".into(),
        schema_version: 1,
        metadata: vec![b'm'; 500],
        data: vec![b'd'; 200],
    };
    let stream = StreamId::Account(AccountId(seed::uuid(at)?));
    Ok(Append { stream, expected: Expected::NoStream, events: vec![event], receipt: None })
}

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates.get(rates.len() / 2).copied().unwrap_or_default()
}
