//! The views as the rest of the program holds them: over an engine, current to a position, and told so.

use std::{
    borrow::Cow,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use domain::time::Timestamp;
use event_store::{keys::Keys, port::EventLog};
use runtime::{AbortOnDrop, Runtime};
use schemas::envelope::Position;
use serde::Serialize;
use tokio::sync::{Notify, watch};

use crate::{
    engine::{Checkpoint, Positions, ViewEngine},
    error::{Stale, ViewError},
    row::{Row, Value},
    sqlite::SqliteEngine,
    views::VIEWS,
};

/// What the views need of the other rooms.
#[derive(Clone)]
pub struct ViewParts {
    /// The log they follow.
    pub log: Arc<dyn EventLog>,
    /// The keys of what they keep sealed.
    pub keys: Arc<Keys>,
    /// What runs them: waiting, tasks, and the time, for lag and for what has expired.
    pub runtime: Runtime,
}

/// Where a view stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ViewStatus {
    /// Its name.
    pub view: &'static str,
    /// The position it has reached.
    pub position: u64,
    /// Distance to the log's last position. Positions may have gaps: 0 is exact, more is a hint.
    pub lag: u64,
    /// Time of the last event it has applied.
    pub event_at: Option<Timestamp>,
    /// Its rows, over all its tables.
    pub rows: u64,
    /// When it was last rebuilt beside itself.
    pub rebuilt_at: Option<Timestamp>,
}

/// All views, in a file of SQLite or a database of PostgreSQL.
pub struct Views {
    pub(crate) parts: ViewParts,
    pub(crate) engine: Arc<dyn ViewEngine>,
    /// Where they stand, as far as this process knows.
    pub(crate) positions: watch::Sender<Positions>,
    /// What another process's runner says of its moves.
    heard: Arc<watch::Sender<Positions>>,
    hearing: AbortOnDrop<()>,
    /// Someone waits for a position: the runner does not linger.
    pub(crate) hurry: Notify,
    /// Whether the runner of this process keeps the views.
    pub(crate) is_running: AtomicBool,
    /// Held while a batch is applied; a rebuild holds it for the moments in which the views must stand still.
    pub(crate) gate: tokio::sync::Mutex<()>,
    /// One rebuild at a time.
    pub(crate) rebuilding: tokio::sync::Mutex<()>,
}

impl Views {
    /// Opens the views in a file of SQLite, or makes it. A damaged or foreign file is deleted; the runner fills the
    /// new one.
    pub async fn sqlite(path: &Path, parts: ViewParts) -> Result<Self, ViewError> {
        Self::over(Arc::new(SqliteEngine::open(path).await?), parts).await
    }

    /// Opens the views in a database of PostgreSQL, or makes them. All processes that share it see the same ones, and
    /// one of those that run them applies.
    #[cfg(feature = "postgres")]
    pub async fn postgres(database: Arc<event_store::postgres::Database>, parts: ViewParts) -> Result<Self, ViewError> {
        Self::over(Arc::new(crate::postgres::PostgresEngine::open(database).await?), parts).await
    }

    async fn over(engine: Arc<dyn ViewEngine>, parts: ViewParts) -> Result<Self, ViewError> {
        let all = positions(engine.as_ref()).await?;
        let heard = Arc::new(watch::Sender::new(all));
        let (listening, ears) = (Arc::clone(&engine), Arc::clone(&heard));
        let hearing = parts.runtime.spawn("views listen", async move { listening.listen(&ears).await }).abort_on_drop();
        Ok(Self {
            parts,
            engine,
            positions: watch::Sender::new(all),
            heard,
            hearing,
            hurry: Notify::new(),
            is_running: AtomicBool::new(false),
            gate: tokio::sync::Mutex::new(()),
            rebuilding: tokio::sync::Mutex::new(()),
        })
    }

    /// Waits until every view has reached a position.
    pub async fn wait_for(&self, position: Position, deadline: Duration) -> Result<Position, Stale> {
        self.wait_until(deadline, position, |all| all.iter().copied().min().unwrap_or_default()).await
    }

    /// Waits until one view has reached a position.
    pub async fn wait_for_view(&self, view: &str, position: Position, deadline: Duration) -> Result<Position, Stale> {
        let index = VIEWS.iter().position(|known| known.name == view);
        self.wait_until(deadline, position, |all| index.map_or(Position::START, |index| all[index])).await
    }

    async fn wait_until(
        &self,
        deadline: Duration,
        position: Position,
        reached: impl Fn(&Positions) -> Position,
    ) -> Result<Position, Stale> {
        let mut moves = self.positions.subscribe();
        let mut heard = self.heard.subscribe();
        let wait = async {
            loop {
                let now = reached(&moves.borrow_and_update());
                if now >= position {
                    return now;
                }
                if self.is_running.load(Ordering::Relaxed) {
                    self.hurry.notify_one();
                    if moves.changed().await.is_err() {
                        std::future::pending::<()>().await;
                    }
                } else {
                    // Another process runs them, or none does: it tells, or the engine knows. What they say is not
                    // published: a runner that begins meanwhile knows better.
                    let now = reached(&heard.borrow_and_update());
                    if now >= position {
                        return now;
                    }
                    if let Ok(all) = self.ask().await
                        && reached(&all) >= position
                    {
                        return reached(&all);
                    }
                    drop(self.parts.runtime.timeout(self.engine.ask_every(), heard.changed()).await);
                }
            }
        };
        let found = self.parts.runtime.timeout(deadline, wait).await;
        found.map_err(|_| Stale { reached: reached(&self.positions.borrow()).max(reached(&self.heard.borrow())) })
    }

    /// Asks the engine where the views stand.
    pub(crate) async fn ask(&self) -> Result<Positions, ViewError> {
        positions(self.engine.as_ref()).await
    }

    /// Publishes where the views stand. For the runner alone, which knows of every move.
    pub(crate) fn moved(&self, all: Positions) {
        self.positions.send_if_modified(|known| std::mem::replace(known, all) != all);
    }

    /// The position that every view has reached, as far as this process knows.
    pub fn position(&self) -> Position {
        let least = |all: &watch::Sender<Positions>| all.borrow().iter().copied().min().unwrap_or_default();
        if self.is_running.load(Ordering::Relaxed) {
            least(&self.positions)
        } else {
            least(&self.positions).max(least(&self.heard))
        }
    }

    /// Each view with its position: what a health check asks often, so no row is counted for it.
    pub async fn levels(&self) -> Result<Vec<(&'static str, Position)>, ViewError> {
        let known = checkpoints(self.engine.as_ref(), "").await?;
        Ok(VIEWS.iter().zip(known).filter_map(|(view, found)| Some((view.name, found?.position))).collect())
    }

    /// Where each view stands, with its rows counted.
    pub async fn status(&self) -> Result<Vec<ViewStatus>, ViewError> {
        let head = self.parts.log.last_position().await?;
        let known = checkpoints(self.engine.as_ref(), "").await?;
        let mut all = Vec::with_capacity(VIEWS.len());
        for (view, found) in VIEWS.iter().zip(known) {
            let Some(found) = found else { continue };
            let mut rows = 0;
            for table in view.tables {
                let counted = self.rows(format!("SELECT count(*) FROM {}", table.name), [], |row| row.get(0)).await?;
                rows += counted.first().copied().unwrap_or(0_u64);
            }
            all.push(ViewStatus {
                view: view.name,
                position: found.position.0,
                lag: head.0.saturating_sub(found.position.0),
                event_at: found.event_at.map(Timestamp::from_millis),
                rows,
                rebuilt_at: found.rebuilt_at.map(Timestamp::from_millis),
            });
        }
        Ok(all)
    }

    /// Asks one statement, which sees one state, and reads each row of its answer.
    pub(crate) async fn rows<T>(
        &self,
        sql: impl Into<Cow<'static, str>>,
        values: impl Into<Vec<Value>>,
        read: impl FnMut(&mut Row) -> Result<T, ViewError>,
    ) -> Result<Vec<T>, ViewError> {
        let mut rows = self.engine.read(sql.into(), values.into()).await?;
        rows.iter_mut().map(read).collect()
    }

    /// Ends the writing; what was applied is kept. The runner is to be cancelled before.
    pub async fn close(&self) {
        self.hearing.abort();
        self.engine.close().await;
    }
}

impl std::fmt::Debug for Views {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Views").field("position", &self.position()).finish_non_exhaustive()
    }
}

/// The views' checkpoints, or with a suffix those of their shadows.
pub(crate) async fn checkpoints(
    engine: &dyn ViewEngine,
    suffix: &str,
) -> Result<[Option<Checkpoint>; VIEWS.len()], ViewError> {
    const SQL: &str = "SELECT view, version, position, event_at, rebuilt_at, generation FROM view_checkpoints";
    let mut all = [const { None }; VIEWS.len()];
    for mut row in engine.read(SQL.into(), Vec::new()).await? {
        let name: String = row.get(0)?;
        if let Some(index) = name.strip_suffix(suffix).and_then(|name| VIEWS.iter().position(|view| view.name == name))
        {
            all[index] = Some(Checkpoint {
                version: row.get(1)?,
                position: Position(row.get(2)?),
                event_at: row.get(3)?,
                rebuilt_at: row.get(4)?,
                generation: row.get(5)?,
            });
        }
    }
    Ok(all)
}

async fn positions(engine: &dyn ViewEngine) -> Result<Positions, ViewError> {
    Ok(checkpoints(engine, "").await?.map(|found| found.map_or(Position::START, |found| found.position)))
}
