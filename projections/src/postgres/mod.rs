//! The views in PostgreSQL, shared by all processes: one of them applies, all of them read.

mod apply;
mod coalesce;
mod copy;
mod fill;
mod lease;
mod schema;
mod shadow;
mod statement;
mod values;

use std::{
    borrow::Cow,
    future::Future,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use event_store::{port::LogError, postgres::Database};
use schemas::envelope::Position;
use tokio::sync::watch;
use tokio_postgres::types::ToSql;

use self::{
    apply::{Applying, CHANNEL, heard},
    lease::{FREE, Lease},
    shadow::Rebuild,
};
use crate::{
    engine::{Pinned, Positions, Swap, Target, ViewEngine},
    error::ViewError,
    feed::{Batch, ViewSet},
    row::{Row, Value},
};

/// How often to ask where the views stand; moves are told, so this is for those that were not heard.
const ASK_EVERY: Duration = Duration::from_millis(50);
/// How long to wait before listening again.
const LISTEN_AGAIN: Duration = Duration::from_secs(1);
/// How long a statement is waited for.
const PATIENCE: Duration = Duration::from_secs(35);

/// All views, in one database.
pub(crate) struct PostgresEngine {
    database: Arc<Database>,
    lease: Lease,
    /// The connection that applies; taken out while it does, and not put back when that ends early.
    applying: tokio::sync::Mutex<Option<Applying>>,
    /// The rebuild that is under way.
    rebuild: Mutex<Option<Rebuild>>,
}

impl PostgresEngine {
    /// Makes what is missing.
    pub(crate) async fn open(database: Arc<Database>) -> Result<Self, ViewError> {
        schema::prepare(&database).await?;
        Ok(Self {
            database,
            lease: Lease::default(),
            applying: tokio::sync::Mutex::default(),
            rebuild: Mutex::default(),
        })
    }

    async fn listen_once(&self, told: &watch::Sender<Positions>) -> Result<(), LogError> {
        let mut listening = self.database.dedicated().await?;
        self.database.timed(listening.batch_execute(&format!("LISTEN {CHANNEL}"))).await?;
        while let Some(notification) = listening.notified().await {
            if notification.payload() == FREE {
                self.lease.freed.notify_one();
            } else if let Some((views, position)) = heard(notification.payload()) {
                told.send_modify(|all| views.iter().for_each(|view| all[view] = position));
            }
        }
        Ok(())
    }

    fn take_rebuild(&self) -> Option<Rebuild> {
        self.rebuild.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn keep_rebuild(&self, rebuild: Rebuild) {
        *self.rebuild.lock().unwrap_or_else(PoisonError::into_inner) = Some(rebuild);
    }
}

/// What cannot be reached, as the views say it.
fn unavailable(error: LogError) -> ViewError {
    match error {
        LogError::Unavailable(what) => ViewError::Unavailable(what),
        LogError::Unreadable(_) => ViewError::Log(error),
    }
}

/// An error of the driver.
fn failed(database: &Database, error: &tokio_postgres::Error) -> ViewError {
    match error.code().map(tokio_postgres::error::SqlState::code) {
        // The guard's own codes: another process applies, or the views stand elsewhere.
        Some("CS001" | "CS002") => ViewError::Moved,
        _ => unavailable(database.describe(error)),
    }
}

/// Waits for an answer, though not for ever.
async fn timed<T>(
    database: &Database,
    work: impl Future<Output = Result<T, tokio_postgres::Error>>,
) -> Result<T, ViewError> {
    match tokio::time::timeout(PATIENCE, work).await {
        Ok(done) => done.map_err(|error| failed(database, &error)),
        Err(_) => Err(ViewError::Unavailable("the database does not answer".to_owned())),
    }
}

#[async_trait]
impl ViewEngine for PostgresEngine {
    async fn read(&self, sql: Cow<'static, str>, values: Vec<Value>) -> Result<Vec<Row>, ViewError> {
        let client = self.database.client().await.map_err(unavailable)?;
        let values = values.into_iter().map(values::parameter).collect::<Result<Vec<_>, _>>()?;
        let ask = async {
            let statement = client.prepare_cached(&sql).await?;
            let values: Vec<&(dyn ToSql + Sync)> = values.iter().map(|one| &**one as &(dyn ToSql + Sync)).collect();
            client.query(&statement, &values).await?.iter().map(values::row).collect()
        };
        timed(&self.database, ask).await
    }

    fn ask_every(&self) -> Duration {
        ASK_EVERY
    }

    fn fills_faster(&self) -> bool {
        true
    }

    async fn listen(&self, told: &watch::Sender<Positions>) {
        loop {
            if let Err(error) = self.listen_once(told).await {
                tracing::debug!(%error, "moves of the views are not heard; they are asked for");
            }
            tokio::time::sleep(LISTEN_AGAIN).await;
        }
    }

    async fn begin_writing(&self) -> Result<(), ViewError> {
        Ok(())
    }

    async fn lead(&self) -> Result<(), ViewError> {
        self.lease.take(&self.database).await
    }

    async fn resign(&self) {
        self.lease.leave(&self.database).await;
    }

    async fn apply(&self, batch: Batch, target: Target) -> Result<(), ViewError> {
        let epoch = match target {
            Target::Live(_) => Some(self.lease.epoch().ok_or(ViewError::Moved)?),
            Target::Shadow(_) => None,
        };
        let mut place = self.applying.lock().await;
        let mut applying = match place.take() {
            Some(applying) => applying,
            None => Applying::connect(&self.database).await?,
        };
        let applied = applying.apply(&self.database, batch, target, epoch).await;
        if matches!(applied, Ok(()) | Err(ViewError::Moved)) {
            *place = Some(applying);
        }
        applied
    }

    /// The one thing that ends the following of the log: another process follows it now.
    async fn interrupted(&self) -> ViewError {
        self.lease.lost().await;
        ViewError::Moved
    }

    /// A database is not made anew by itself: what is missing is made at the next start.
    async fn recreate(&self) -> Result<(), ViewError> {
        schema::prepare(&self.database).await
    }

    async fn begin_shadow(&self, set: ViewSet) -> Result<(), ViewError> {
        drop(self.take_rebuild());
        let rebuild = Rebuild::begin(&self.database, set).await?;
        self.keep_rebuild(rebuild);
        Ok(())
    }

    async fn fill_shadow(&self, _set: ViewSet, batch: Batch) -> Result<(), ViewError> {
        // Taken out while it is used: one that is given up on here ends, and its transaction with it.
        let mut rebuild = self.take_rebuild().ok_or(ViewError::Moved)?;
        rebuild.fill(batch).await?;
        self.keep_rebuild(rebuild);
        Ok(())
    }

    async fn complete_shadow(&self, _set: ViewSet, at: Position) -> Result<(), ViewError> {
        let mut rebuild = self.take_rebuild().ok_or(ViewError::Moved)?;
        rebuild.complete(&self.database, at).await?;
        self.keep_rebuild(rebuild);
        Ok(())
    }

    async fn hold(&self, still: bool) -> Result<(), ViewError> {
        let rebuild = self.take_rebuild().ok_or(ViewError::Moved)?;
        rebuild.hold(&self.database, still).await?;
        self.keep_rebuild(rebuild);
        Ok(())
    }

    async fn pin(&self, set: ViewSet, compared: ViewSet, at: Position) -> Result<Option<Box<dyn Pinned>>, ViewError> {
        shadow::pin(&self.database, set, compared, at).await
    }

    async fn swap(&self, swap: Swap) -> Result<(), ViewError> {
        let mut place = self.applying.lock().await;
        let mut applying = match place.take() {
            Some(applying) => applying,
            None => Applying::connect(&self.database).await?,
        };
        // One that did not come through leaves its connection in the middle of a transaction: it is not put back.
        shadow::swap(&self.database, &mut applying, swap).await?;
        *place = Some(applying);
        Ok(())
    }

    async fn tidy(&self, _set: ViewSet) -> Result<(), ViewError> {
        drop(self.take_rebuild());
        Ok(())
    }

    fn discard_shadow(&self, set: ViewSet) {
        let rebuild = self.take_rebuild();
        let database = Arc::clone(&self.database);
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                drop(rebuild);
                if let Err(error) = shadow::discard(&database, set).await {
                    tracing::debug!(%error, "the tables of a rebuild that ended early stay until the next one");
                }
            });
        }
    }

    async fn close(&self) {
        self.lease.leave(&self.database).await;
        drop(self.applying.lock().await.take());
        drop(self.take_rebuild());
    }
}
