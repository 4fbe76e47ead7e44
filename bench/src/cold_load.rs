//! An account with a long history, cold and with the cache off, beside one with a short one.

use std::time::Duration;

use domain::{
    commands::Command,
    ids::{AccountId, MethodId},
    values::Label,
};
use engine::Engine;

use crate::{
    Failure, Measured,
    commanded::{engine, request},
    now,
    place::Place,
    quantile, report, seed,
};

/// Loads of each account.
const LOADS: usize = 400;

/// Grows one account by commands, then loads it and a short one in turn.
pub async fn measure(place: &Place, events: u64) -> Measured {
    let seeded = seed::accounts(place, 2).await?;
    let (long, short) = (seeded[0].account, seeded[1].account);
    let (growing, store) = engine(place, 100).await?;
    grow(&growing, long, events).await?;
    grow(&growing, short, 10).await?;
    store.close().await;

    let (cold, store) = engine(place, 0).await?;
    let (mut of_long, mut of_short) = (Vec::new(), Vec::new());
    for _ in 0..LOADS {
        of_long.push(load(&cold, long).await?);
        of_short.push(load(&cold, short).await?);
    }
    of_long.sort_unstable();
    of_short.sort_unstable();
    let (long, short) = (quantile(&of_long, 0.5), quantile(&of_short, 0.5));
    report(format_args!(
        "cold load ({}): {events} events {:.0} µs, 10 events {:.0} µs: ratio {:.2}",
        place.name(),
        long.as_secs_f64() * 1e6,
        short.as_secs_f64() * 1e6,
        long.as_secs_f64() / short.as_secs_f64()
    ));
    store.close().await;
    Ok(())
}

async fn grow(engine: &Engine, account: AccountId, events: u64) -> Measured {
    while engine.load(account).await?.version.0 < events {
        let number = engine.load(account).await?.version.0;
        let command = Command::ChangeMethod {
            method_id: MethodId(1),
            label: Some(Label::parse(&format!("phone {number}"))?),
            make_primary: false,
        };
        engine.execute(account, command, &request()?).await?.outcome?;
    }
    Ok(())
}

async fn load(engine: &Engine, account: AccountId) -> Result<Duration, Failure> {
    let began = now::instant();
    engine.load(account).await?;
    Ok(began.elapsed())
}
