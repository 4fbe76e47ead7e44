//! Stand-ins for what a test steers or never asks.

use std::{
    collections::HashMap,
    sync::{
        Mutex,
        atomic::{AtomicI64, Ordering},
    },
};

use async_trait::async_trait;
use domain::{
    limits::Charge,
    time::{Seconds, Timestamp},
};
use event_store::port::{Checkpoints, Clock, Limiter, LogError};
use schemas::envelope::Position;

/// A clock that stands until it is moved.
pub struct StandingClock(AtomicI64);

impl StandingClock {
    pub fn new(at: Timestamp) -> Self {
        Self(AtomicI64::new(at.as_millis()))
    }
    pub fn advance(&self, span: Seconds) {
        self.0.fetch_add(span.as_millis(), Ordering::SeqCst);
    }
}

impl Clock for StandingClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
}

/// Checkpoints that can be read and lost.
#[derive(Default)]
pub struct HeldCheckpoints(Mutex<HashMap<String, Position>>);

impl HeldCheckpoints {
    pub fn of(&self, role: &str) -> Position {
        self.0.lock().unwrap().get(&format!("workers.{role}")).copied().unwrap_or_default()
    }
    pub fn lose(&self) {
        self.0.lock().unwrap().clear();
    }
}

#[async_trait]
impl Checkpoints for HeldCheckpoints {
    async fn load(&self, name: &str) -> Result<Position, LogError> {
        Ok(self.0.lock().unwrap().get(name).copied().unwrap_or_default())
    }
    async fn save(&self, name: &str, position: Position) -> Result<(), LogError> {
        self.0.lock().unwrap().insert(name.to_owned(), position);
        Ok(())
    }
}

/// A limiter without limits.
pub struct NoLimits;

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
        Ok(false)
    }
    async fn remember_network(&self, _: &str, _: &str, _: Timestamp) -> Result<(), LogError> {
        Ok(())
    }
}
