//! Where workers stand in the log.

use async_trait::async_trait;
use event_store::port::{Checkpoints, LogError};
use schemas::envelope::Position;

use crate::Operations;

#[async_trait]
impl Checkpoints for Operations {
    async fn load(&self, name: &str) -> Result<Position, LogError> {
        Ok(self.keeper.load(name).await?.unwrap_or(Position::START))
    }

    async fn save(&self, name: &str, position: Position) -> Result<(), LogError> {
        self.keeper.save(name, position).await
    }
}
