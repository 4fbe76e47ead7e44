//! An engine that is given commands, without the rest of a server.

use std::sync::Arc;

use async_trait::async_trait;
use domain::{
    ids::{ApiKeyId, CommandId},
    limits::Charge,
    policy::Policy,
    time::{Seconds, Timestamp},
    values::{Caller, Origin, Scope},
};
use engine::{CacheOptions, Engine, EngineParts, Request};
use event_store::port::{Answers, KeptAnswer, Limiter, LogError};
use tokio_util::sync::CancellationToken;
use vault::{Hasher, HasherConfig};

use crate::{
    Failure, now,
    place::{Place, Store},
    seed,
};

/// A limiter that counts nothing: it is not what is measured.
#[derive(Debug)]
struct NoLimits;

#[async_trait]
impl Limiter for NoLimits {
    async fn charge(&self, _: &[Charge], _: Timestamp) -> Result<Result<(), Seconds>, LogError> {
        Ok(Ok(()))
    }
    async fn refund(&self, _: &[Charge], _: Timestamp) -> Result<(), LogError> {
        Ok(())
    }
    async fn count(&self, _: &Charge, _: Timestamp) -> Result<u32, LogError> {
        Ok(0)
    }
    async fn is_known_network(&self, _: &str, _: &str) -> Result<bool, LogError> {
        Ok(true)
    }
    async fn remember_network(&self, _: &str, _: &str, _: Timestamp) -> Result<(), LogError> {
        Ok(())
    }
}

#[async_trait]
impl Answers for NoLimits {
    async fn keep(&self, answer: KeptAnswer, _: Timestamp) -> Result<KeptAnswer, LogError> {
        Ok(answer)
    }
}

/// An engine on a place.
pub async fn engine(place: &Place, states: usize) -> Result<(Engine, Store), Failure> {
    let store = place.open().await?;
    let parts = EngineParts {
        log: store.log(),
        keys: Arc::clone(&store.keys),
        snapshots: store.snapshots(),
        hasher: Hasher::new(HasherConfig { threads: 1, ..HasherConfig::default() }, &store.runtime),
        limiter: Arc::new(NoLimits),
        answers: Arc::new(NoLimits),
        runtime: store.runtime.clone(),
        policy: Arc::new(Policy::default()),
        cache: CacheOptions { states, ..CacheOptions::default() },
    };
    Ok((Engine::start(parts, CancellationToken::new()).await?, store))
}

/// A request of an API client that may do everything.
pub fn request() -> Result<Request, Failure> {
    let id = seed::uuid(now::now())?;
    Ok(Request {
        caller: Caller::ApiClient(ApiKeyId(id), [Scope::AccountsWrite].into()),
        origin: Origin::default(),
        command_id: CommandId(id),
        idempotency: None,
        correlation_id: id,
        causation_id: None,
        trace_parent: None,
    })
}
