//! From command to gateway: how long a code takes from the moment it is ordered until it is handed over.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use domain::{
    commands::Command,
    outcome::Outcome,
    values::{Channel, FreeText, Purpose},
};
use engine::Engine;
use event_store::port::{Checkpoints, LogError};
use schemas::envelope::Position;
use servers::nats::NatsServer;
use tokio_util::sync::CancellationToken;
use workers::{
    Accepted, EmailGateway, EmailMessage, GatewayError, Inbox, InboxMessage, InboxUnavailable, Source, WorkersConfig,
    nats::{Broker, NatsOptions},
};

use crate::{
    Measured, commanded, now,
    place::Place,
    quantile, report,
    seed::{self, Seeded},
};

/// Checkpoints in memory.
#[derive(Debug, Default)]
struct Kept(Mutex<HashMap<String, Position>>);

#[async_trait]
impl Checkpoints for Kept {
    async fn load(&self, name: &str) -> Result<Position, LogError> {
        Ok(self.0.lock().unwrap_or_else(PoisonError::into_inner).get(name).copied().unwrap_or_default())
    }
    async fn save(&self, name: &str, position: Position) -> Result<(), LogError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), position);
        Ok(())
    }
}

/// A gateway that notes when an address was written to.
#[derive(Debug, Default)]
struct Arrivals(Mutex<HashMap<String, Instant>>);

#[async_trait]
impl EmailGateway for Arrivals {
    fn name(&self) -> &'static str {
        "bench"
    }
    async fn send(&self, message: &EmailMessage) -> Result<Accepted, GatewayError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(message.to.clone(), now::instant());
        Ok(Accepted { provider_message_id: None, is_delivered: true })
    }
}

#[async_trait]
impl Inbox for Arrivals {
    async fn put(&self, _: InboxMessage) -> Result<(), InboxUnavailable> {
        Ok(())
    }
}

impl Arrivals {
    /// When an address was written to, once it was.
    async fn of(&self, address: &str) -> Result<Instant, crate::Failure> {
        let arrived = tokio::time::timeout(Duration::from_secs(10), async {
            loop {
                let found = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(address).copied();
                if let Some(at) = found {
                    return at;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        Ok(arrived.await?)
    }
}

/// Orders codes at a steady rate and compares the moment of each order with the moment of its arrival.
pub async fn measure(place: &Place, over_nats: bool, rate: u32, seconds: u32) -> Measured {
    let count = rate * seconds;
    let seeded = seed::accounts(place, count as usize + 1).await?;
    let (engine, store) = commanded::engine(place, 10_000).await?;
    let arrivals = Arc::new(Arrivals::default());
    let mut config = WorkersConfig::with_inbox(Arc::<Arrivals>::clone(&arrivals), "Bench");
    config.gateways.email = vec![Arc::<Arrivals>::clone(&arrivals)];
    let stop = CancellationToken::new();
    let checkpoints = Arc::new(Kept::default());
    let nats = if over_nats { Some(NatsServer::start().await) } else { None };
    if let Some(server) = &nats {
        let broker = Broker::connect(&NatsOptions::new(server.url())).await?;
        config.source = Source::Broker(Arc::clone(&broker));
        let (runtime, log) = (store.runtime.clone(), store.log());
        tokio::spawn(workers::relay::run(runtime, log, broker, Arc::<Kept>::clone(&checkpoints), stop.clone()));
    }
    let working = tokio::spawn(workers::run(config, engine.clone(), checkpoints, stop.clone()));

    // One before the clock runs: until it arrives, history is read and published.
    let (first, seeded) = seeded.split_first().ok_or("an account")?;
    let (address, _) = order(&engine, first, std::future::ready(())).await?;
    arrivals.of(&address).await?;
    let mut ordered = Vec::new();
    let mut tick = tokio::time::interval(Duration::from_secs(1) / rate);
    for seeded in seeded {
        ordered.push(
            order(&engine, seeded, async {
                tick.tick().await;
            })
            .await?,
        );
    }
    let mut latencies = Vec::new();
    for (address, began) in ordered {
        latencies.push(arrivals.of(&address).await?.duration_since(began));
    }
    latencies.sort_unstable();
    let ms = |part| quantile(&latencies, part).as_secs_f64() * 1_000.0;
    report(format_args!(
        "gateway ({}{}): {count} codes at {rate}/s, from command to gateway p50 {:.2} ms, p99 {:.2} ms, longest {:.2} ms",
        place.name(),
        if over_nats { ", over NATS" } else { ", in process" },
        ms(0.5),
        ms(0.99),
        ms(1.0)
    ));
    stop.cancel();
    working.await??;
    store.close().await;
    Ok(())
}

/// Orders a code by mail at a moment, and says for which address and since when.
async fn order(
    engine: &Engine,
    seeded: &Seeded,
    moment: impl Future<Output = ()>,
) -> Result<(String, Instant), crate::Failure> {
    let command = Command::StartVerification {
        purpose: Purpose::StepUp,
        action: Some(FreeText::parse("pay")?),
        target: None,
        password: None,
    };
    let request = commanded::request()?;
    let Outcome::VerificationStarted(started) = engine.execute(seeded.account, command, &request).await?.outcome?
    else {
        return Err("no verification".into());
    };
    moment.await;
    let command =
        Command::SendCode { verification_id: started.verification.id, channel: Channel::Email, method_id: None };
    let began = now::instant();
    engine.execute(seeded.account, command, &request_of(&request)?).await?.outcome?;
    Ok((format!("{}@example.com", seeded.account.0.simple()), began))
}

/// The same client's next request.
fn request_of(first: &engine::Request) -> Result<engine::Request, crate::Failure> {
    let id = seed::uuid(now::now())?;
    Ok(engine::Request { command_id: domain::ids::CommandId(id), correlation_id: id, ..first.clone() })
}
