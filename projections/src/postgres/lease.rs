//! Who applies: one process of all that share a database. The holder says every second that it is there; one that
//! does not for a few seconds, or whose connection is gone, has lost its place. The epoch that each holder begins
//! is looked at in every transaction that applies, so one who does not know yet that it is over does no harm.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use event_store::postgres::{Database, Dedicated};
use tokio::{sync::Notify, task::JoinHandle};

use super::{CHANNEL, failed, timed, unavailable};
use crate::error::ViewError;

/// How often the holder says that it is there.
const SAY_EVERY: Duration = Duration::from_secs(1);
/// How long what it said holds, in seconds: a pause of the machine that is shorter changes nothing.
const HOLDS: f64 = 4.0;
/// How often the others look.
const LOOK_EVERY: Duration = Duration::from_millis(400);

/// What is told when a holder leaves.
pub(super) const FREE: &str = "free";

const TAKE: &str = "UPDATE view_runner SET epoch = epoch + 1, backend = pg_backend_pid(),
        expires_at = clock_timestamp() + make_interval(secs => $1)
    WHERE expires_at < clock_timestamp() OR NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = view_runner.backend)
    RETURNING epoch";
const SAY: &str = "UPDATE view_runner SET expires_at = clock_timestamp() + make_interval(secs => $1) WHERE epoch = $2";
const LEAVE: &str = "WITH free AS (UPDATE view_runner SET expires_at = '-infinity' WHERE epoch = $1 RETURNING epoch)
    SELECT pg_notify($2, $3) FROM free";

/// A place that is held.
struct Held {
    epoch: i64,
    /// The connection whose end is the end of the place.
    connection: Arc<Dedicated>,
    says: JoinHandle<()>,
    is_over: Arc<AtomicBool>,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.says.abort();
    }
}

/// The place of the one that applies.
#[derive(Default)]
pub(super) struct Lease {
    held: Mutex<Option<Held>>,
    /// It was lost.
    lost: Arc<Notify>,
    /// Another holder left.
    pub(super) freed: Notify,
}

impl Lease {
    /// The epoch, while the place is held as far as this process knows.
    pub(super) fn epoch(&self) -> Option<i64> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(|held| held.epoch)
    }

    /// Returns when the place was lost.
    pub(super) async fn lost(&self) {
        loop {
            self.lost.notified().await;
            // A word of an earlier holding says nothing about this one.
            let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
            if held.as_ref().is_none_or(|held| held.is_over.load(Ordering::SeqCst)) {
                break;
            }
        }
        self.forget();
    }

    /// Forgets the place: it is lost.
    pub(super) fn forget(&self) {
        drop(self.held.lock().unwrap_or_else(PoisonError::into_inner).take());
    }

    /// Returns when the place is held by this process: at once when it is already.
    pub(super) async fn take(&self, database: &Arc<Database>) -> Result<(), ViewError> {
        if let Some((epoch, connection)) = self.known() {
            if say(database, &connection, epoch).await.unwrap_or(false) {
                return Ok(());
            }
            self.forget();
        }
        let connection = Arc::new(database.dedicated().await.map_err(unavailable)?);
        loop {
            let taken = timed(database, connection.query_opt(TAKE, &[&HOLDS])).await?;
            if let Some(row) = taken {
                let epoch = row.try_get(0).map_err(|error| failed(database, &error))?;
                tracing::info!(epoch, "this process keeps the views");
                let is_over = Arc::new(AtomicBool::new(false));
                let holding = hold(Arc::clone(database), Arc::clone(&connection), epoch);
                let (over, lost) = (Arc::clone(&is_over), Arc::clone(&self.lost));
                let says = tokio::spawn(async move {
                    holding.await;
                    over.store(true, Ordering::SeqCst);
                    lost.notify_one();
                });
                let held = Held { epoch, connection, says, is_over };
                *self.held.lock().unwrap_or_else(PoisonError::into_inner) = Some(held);
                return Ok(());
            }
            drop(tokio::time::timeout(LOOK_EVERY, self.freed.notified()).await);
        }
    }

    fn known(&self) -> Option<(i64, Arc<Dedicated>)> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.as_ref().map(|held| (held.epoch, Arc::clone(&held.connection)))
    }

    /// Leaves the place to another, and says so.
    pub(super) async fn leave(&self, database: &Database) {
        let Some((epoch, connection)) = self.known() else { return };
        self.forget();
        // Who cannot be told sees that the connection is gone.
        let left = timed(database, connection.execute(LEAVE, &[&epoch, &CHANNEL, &FREE])).await;
        if let Err(error) = left {
            tracing::debug!(%error, "the place of the one that applies was left without a word");
        }
    }
}

/// Says that the holder is there; whether it still is.
async fn say(database: &Database, connection: &Dedicated, epoch: i64) -> Result<bool, ViewError> {
    Ok(timed(database, connection.execute(SAY, &[&HOLDS, &epoch])).await? == 1)
}

/// Holds the place until it is lost.
async fn hold(database: Arc<Database>, connection: Arc<Dedicated>, epoch: i64) {
    let holds = async {
        loop {
            tokio::time::sleep(SAY_EVERY).await;
            // One that cannot say so in time has lost it: another may have taken it by now.
            let said = tokio::time::timeout(Duration::from_secs_f64(HOLDS), say(&database, &connection, epoch)).await;
            if !matches!(said, Ok(Ok(true))) {
                return;
            }
        }
    };
    tokio::select! {
        biased;
        () = connection.lost() => {}
        () = holds => {}
    }
    tracing::warn!(epoch, "this process no longer keeps the views");
}
