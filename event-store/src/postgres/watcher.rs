//! Notices what other processes append: they notify with the commit, and the log is asked again and again for
//! the case that a notification is lost. Also drops receipts that expired.

use std::{sync::Arc, time::Duration};

use schemas::envelope::Position;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::{Database, Dedicated, shared::Shared};
use crate::port::LogError;

/// Between tries to reach the server: twice as long each time, up to the second.
const PAUSES: [Duration; 2] = [Duration::from_millis(20), Duration::from_secs(1)];

pub(super) const LAST: &str = "SELECT coalesce(max(position), 0) FROM events";

pub(super) struct Watcher {
    pub(super) database: Arc<Database>,
    pub(super) shared: Arc<Shared>,
    pub(super) poll: Duration,
    pub(super) until_closed: CancellationToken,
}

impl Watcher {
    pub(super) async fn listen(database: &Database) -> Result<Dedicated, LogError> {
        let connection = database.dedicated().await?;
        database.timed(connection.batch_execute("LISTEN countersign_events")).await?;
        Ok(connection)
    }

    /// Ends when the store is closed.
    pub(super) async fn run(self, connection: Dedicated) {
        let closed = self.until_closed.clone();
        closed.run_until_cancelled(self.watch(connection)).await;
    }

    async fn watch(&self, mut connection: Dedicated) {
        loop {
            let error = self.follow(connection).await;
            tracing::warn!(%error, "the log is not listened to; connecting again");
            let mut pause = PAUSES[0];
            connection = loop {
                let begun = Instant::now();
                match Self::listen(&self.database).await {
                    Ok(connection) => break connection,
                    // What this process reads and writes reports the error.
                    Err(error) => tracing::debug!(%error, "the log is not listened to"),
                }
                tokio::time::sleep_until(begun + pause).await;
                pause = (pause * 2).min(PAUSES[1]);
            };
        }
    }

    /// Until the connection is lost.
    async fn follow(&self, mut connection: Dedicated) -> LogError {
        let statement = match self.database.timed(connection.prepare(LAST)).await {
            Ok(statement) => statement,
            Err(error) => return error,
        };
        let mut polls = tokio::time::interval(self.poll);
        polls.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                // The tick first: it comes now and then, and whoever notifies may do so all the time.
                biased;
                _ = polls.tick() => match self.database.timed(connection.query_one(&statement, &[])).await {
                    Ok(row) => self.announce(row.try_get(0).unwrap_or(0)),
                    Err(error) => return error,
                },
                told = connection.notified() => match told {
                    // With the commit came the position that it reached.
                    Some(told) => self.announce(told.payload().parse().unwrap_or(0)),
                    None => return LogError::Unavailable("the connection was lost".to_owned()),
                },
            }
        }
    }

    fn announce(&self, position: i64) {
        self.shared.newest.announce(Position(position.unsigned_abs()));
    }
}

/// Drops receipts that expired.
pub(super) async fn tidy(database: Arc<Database>, shared: Arc<Shared>, until_closed: CancellationToken) {
    let work = shared.tidying.run(|now, at_once| {
        let database = Arc::clone(&database);
        async move {
            let at_once = i64::try_from(at_once).unwrap_or(i64::MAX);
            let dropped = database
                .repeatable(
                    "DELETE FROM receipts WHERE key IN (SELECT key FROM receipts WHERE expires_at <= $1 \
                     ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED) RETURNING 1",
                    &[&now.as_millis(), &at_once],
                )
                .await?;
            Ok(dropped.len())
        }
    });
    until_closed.run_until_cancelled(work).await;
}
