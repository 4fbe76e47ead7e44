//! A large store beside an empty one: how long commands take, how long it takes to start, and what an event weighs.

use std::{path::Path, time::Duration};

use domain::{
    commands::Command,
    values::{FreeText, Purpose},
};

use crate::{
    Failure, Measured, commanded, now,
    place::{Engine, Place},
    quantile, report,
    seed::{self, Seeded},
    server::Server,
};

/// Accounts of the store that is called empty.
const FEW: usize = 500;
/// Commands of a measurement.
const COMMANDS: usize = 4_000;

/// Seeds both and compares them.
pub async fn measure(
    binary: &Path,
    engine: Engine,
    folder: &Path,
    accounts: usize,
    events_per_account: usize,
) -> Measured {
    let small = Place::new(engine, &folder.join("small")).await?;
    let few = seed::accounts_of(&small, FEW, events_per_account).await?;
    let large = Place::new(engine, &folder.join("large")).await?;
    let before = large.bytes().await?;
    let began = now::instant();
    let many = seed::accounts_of(&large, accounts, events_per_account).await?;
    let events = accounts * events_per_account;
    let took = began.elapsed().as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "a weight")]
    let (rate, weight) = (events as f64 / took, large.bytes().await?.saturating_sub(before) as f64 / events as f64);
    report(format_args!(
        "large ({}): {accounts} accounts, {events} events seeded in {took:.0} s ({rate:.0} events/s); {weight:.0} bytes an \
         event on the disk, with its indexes and its share of a data key",
        large.name()
    ));
    let in_small = commands(&small, &few).await?;
    let in_large = commands(&large, &many).await?;
    for (name, part) in [("p50", 0.5), ("p99", 0.99)] {
        let (of_small, of_large) = (quantile(&in_small, part), quantile(&in_large, part));
        report(format_args!(
            "large ({}): command on a cold account, {name}: {:.0} µs; baseline, {FEW} accounts: {:.0} µs; ratio {:.2}",
            large.name(),
            of_large.as_secs_f64() * 1e6,
            of_small.as_secs_f64() * 1e6,
            of_large.as_secs_f64() / of_small.as_secs_f64()
        ));
    }
    let of_small = Server::start(binary, &small)?.took.as_secs_f64();
    let of_large = Server::start(binary, &large)?.took.as_secs_f64();
    report(format_args!(
        "large ({}): start-up {:.0} ms; baseline, {FEW} accounts: {:.0} ms; ratio {:.2}",
        large.name(),
        of_large * 1_000.0,
        of_small * 1_000.0,
        of_large / of_small
    ));
    Ok(())
}

/// A step-up each on accounts from all over the store, one after the other.
async fn commands(place: &Place, accounts: &[Seeded]) -> Result<Vec<Duration>, Failure> {
    // No states are kept: every account is cold, whichever of both stores it is in.
    let (engine, store) = commanded::engine(place, 0).await?;
    let mut latencies = Vec::with_capacity(COMMANDS);
    for number in 0..COMMANDS {
        // A prime step walks all over the list.
        let seeded = &accounts[number * 7_919 % accounts.len()];
        let command = Command::StartVerification {
            purpose: Purpose::StepUp,
            action: Some(FreeText::parse("pay")?),
            target: None,
            password: None,
        };
        let request = commanded::request()?;
        let began = now::instant();
        engine.execute(seeded.account, command, &request).await?.outcome?;
        latencies.push(began.elapsed());
    }
    latencies.sort_unstable();
    store.close().await;
    Ok(latencies)
}
