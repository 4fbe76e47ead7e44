//! The views in SQLite: a file of their own, one thread that writes, a few connections that read.

mod apply;
mod digest;
pub(crate) mod file;
mod rebuild;
mod runner;
mod threads;

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use domain::time::Timestamp;
use event_store::{
    keys::Keys,
    port::{Clock, EventLog},
};
use schemas::envelope::Position;
use serde::Serialize;
use tokio::sync::{Notify, watch};

pub use self::rebuild::{RebuildProgress, RebuildReport, RebuiltView};
use self::threads::{Readers, Writer};
use crate::{
    error::{Stale, ViewError},
    feed::ViewSet,
    views::VIEWS,
};

/// Connections that read at a time.
const READERS: usize = 3;
/// How often the file is asked where it stands, when another process runs the views.
const ASK_FILE: Duration = Duration::from_millis(20);

/// What the views need of the other rooms.
#[derive(Clone)]
pub struct ViewParts {
    /// The log they follow.
    pub log: Arc<dyn EventLog>,
    /// The keys of what they keep sealed.
    pub keys: Arc<Keys>,
    /// The time, for lag and for what has expired.
    pub clock: Arc<dyn Clock>,
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

type Positions = [Position; VIEWS.len()];

/// All views, in one file.
pub struct SqliteViews {
    path: PathBuf,
    pub(crate) parts: ViewParts,
    writer: Writer,
    readers: Readers,
    positions: watch::Sender<Positions>,
    /// Someone waits for a position: the runner does not linger.
    hurry: Notify,
    /// A query found the file damaged.
    damaged: Notify,
    /// Whether the runner of this process keeps the views.
    is_running: AtomicBool,
    /// Held while a batch is applied; a rebuild holds it for the moments in which the views must stand still.
    gate: tokio::sync::Mutex<()>,
    /// One rebuild at a time.
    rebuilding: tokio::sync::Mutex<()>,
    /// What the file was marked with by this process.
    marker: Arc<Mutex<Option<String>>>,
}

impl SqliteViews {
    /// Opens the file, or makes it. A damaged or foreign file is deleted; the runner fills the new one.
    pub async fn open(path: &Path, parts: ViewParts) -> Result<Self, ViewError> {
        let owned = path.to_owned();
        let (connection, positions, reason) = tokio::task::spawn_blocking(move || {
            let (connection, reason) = file::open(&owned)?;
            let positions = positions(&connection)?;
            Ok::<_, ViewError>((connection, positions, reason))
        })
        .await
        .map_err(|_| ViewError::Closed)??;
        if let Some(reason) = reason {
            tracing::warn!(reason, "the views' file was damaged: it is rebuilt from the log");
        }
        Ok(Self {
            path: path.to_owned(),
            parts,
            writer: Writer::start(connection, path)?,
            readers: Readers::new(path, READERS),
            positions: watch::Sender::new(positions),
            hurry: Notify::new(),
            damaged: Notify::new(),
            is_running: AtomicBool::new(false),
            gate: tokio::sync::Mutex::new(()),
            rebuilding: tokio::sync::Mutex::new(()),
            marker: Arc::default(),
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
                    // Another process runs them, or none does: the file knows. What it says is not published:
                    // a runner that begins meanwhile knows better.
                    if let Ok(all) = self.ask_file().await
                        && reached(&all) >= position
                    {
                        return reached(&all);
                    }
                    tokio::time::sleep(ASK_FILE).await;
                }
            }
        };
        let found = tokio::time::timeout(deadline, wait).await;
        found.map_err(|_| Stale { reached: reached(&self.positions.borrow()) })
    }

    async fn ask_file(&self) -> Result<Positions, ViewError> {
        self.readers.read(positions).await
    }

    /// Publishes where the views stand. For the runner alone, which knows of every move.
    fn moved(&self, all: Positions) {
        self.positions.send_if_modified(|known| std::mem::replace(known, all) != all);
    }

    /// The position that every view has reached.
    pub fn position(&self) -> Position {
        self.positions.borrow().iter().copied().min().unwrap_or_default()
    }

    /// Each view with its position: what a health check asks often, so no row is counted for it.
    pub async fn levels(&self) -> Result<Vec<(&'static str, Position)>, ViewError> {
        self.readers
            .read(move |connection| {
                let mut all = Vec::with_capacity(VIEWS.len());
                for view in VIEWS {
                    if let Some(found) = file::checkpoint(connection, view.name)? {
                        all.push((view.name, found.position));
                    }
                }
                Ok(all)
            })
            .await
    }

    /// Where each view stands, with its rows counted.
    pub async fn status(&self) -> Result<Vec<ViewStatus>, ViewError> {
        let head = self.parts.log.last_position().await?;
        self.readers
            .read(move |connection| {
                let mut all = Vec::with_capacity(VIEWS.len());
                for view in VIEWS {
                    let Some(found) = file::checkpoint(connection, view.name)? else { continue };
                    let mut rows = 0;
                    for table in view.tables {
                        let sql = format!("SELECT count(*) FROM {}", table.name);
                        rows += connection.query_row(&sql, [], |row| row.get::<_, i64>(0))?.unsigned_abs();
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
            })
            .await
    }

    /// Reads with one of the pool's connections.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&rusqlite::Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, ViewError> {
        let found = self.readers.read(read).await;
        if matches!(found, Err(ViewError::Damaged(_))) {
            self.damaged.notify_one();
        }
        found
    }

    /// Deletes the file and makes it anew.
    async fn recreate(&self) -> Result<(), ViewError> {
        let marker = Arc::clone(&self.marker);
        let all = self
            .writer
            .run(move |state| {
                // The old connection must be gone before its file is.
                state.connection = rusqlite::Connection::open_in_memory()?;
                file::delete(&state.path).map_err(|error| ViewError::Unavailable(error.to_string()))?;
                state.connection = file::open(&state.path)?.0;
                *marker.lock().unwrap_or_else(PoisonError::into_inner) = Some(file::mark_open(&state.connection)?);
                Ok(positions(&state.connection)?)
            })
            .await;
        self.readers.renew();
        self.moved(all?);
        Ok(())
    }

    /// Says in the file that it is being written (once).
    async fn mark_open(&self) -> Result<(), ViewError> {
        let marker = Arc::clone(&self.marker);
        self.writer
            .run(move |state| {
                let mut marker = marker.lock().unwrap_or_else(PoisonError::into_inner);
                if marker.is_none() {
                    *marker = Some(file::mark_open(&state.connection)?);
                }
                Ok(())
            })
            .await
    }

    /// Ends the writing; what was applied goes to the disk. The runner is to be cancelled before.
    pub async fn close(&self) {
        self.readers.close();
        let marker = self.marker.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(own) = marker {
            let closed = self.writer.run(move |state| Ok(file::mark_clean(&state.connection, &own)?)).await;
            if let Err(error) = closed {
                tracing::warn!(%error, "the views' file could not be closed in order; it is rebuilt when the machine restarts");
            }
        }
        self.writer.close().await;
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl std::fmt::Debug for SqliteViews {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SqliteViews").field("position", &self.position()).finish_non_exhaustive()
    }
}

fn positions(connection: &rusqlite::Connection) -> Result<Positions, rusqlite::Error> {
    let mut all = Positions::default();
    for (place, view) in all.iter_mut().zip(VIEWS) {
        *place = file::checkpoint(connection, view.name)?.map_or(Position::START, |found| found.position);
    }
    Ok(all)
}

/// The views that stand farthest: the runner keeps these, the others are rebuilt beside them.
fn foremost(all: &Positions) -> (ViewSet, Position) {
    let most = all.iter().copied().max().unwrap_or_default();
    let set = all.iter().enumerate().filter(|(_, position)| **position == most).map(|(view, _)| view).collect();
    (set, most)
}
