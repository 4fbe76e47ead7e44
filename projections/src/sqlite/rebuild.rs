//! Rebuilding views beside the live ones: shadow tables are filled from the start of the log, brought to where
//! the live ones stand, compared with them by digest, and swapped in. The live views go on all the while, but
//! for the moments in which both must stand at one position.

use std::time::Duration;

use domain::secret::to_hex;
use rusqlite::{Connection, params};
use schemas::envelope::Position;
use serde::Serialize;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{
    SqliteViews,
    apply::{Target, apply, apply_within, stands_at, transaction},
    digest::{Digested, digest},
    file::{self, signed},
    foremost,
    threads::{SHADOW, WriterState},
};
use crate::{
    change::View,
    error::ViewError,
    feed::{self, Batch, ViewSet},
    views::VIEWS,
};

/// Events of one transaction of a rebuild: short enough that live batches hardly wait behind one.
const BATCH: usize = 2_000;
/// Tries to catch the live views standing still, when another process moves them.
const TRIES: u32 = 500;
/// Pause between those.
const AGAIN: Duration = Duration::from_millis(5);
/// What the tables that gave way are called until they are dropped.
const OLD: &str = "__old";

/// How far a rebuild is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RebuildProgress {
    /// Events replayed.
    pub events: u64,
    /// The position it has reached.
    pub position: Position,
    /// The position that the live views stand at.
    pub target: Position,
}

/// What a rebuild found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RebuildReport {
    /// Each view.
    pub views: Vec<RebuiltView>,
    /// Events replayed.
    pub events: u64,
    /// The position at which both were compared.
    pub position: u64,
    /// How long the replay took, without the comparison.
    pub seconds: f64,
    /// Events replayed a second.
    pub events_per_second: f64,
}

impl RebuildReport {
    /// Whether every view that could be compared was equal to its replay.
    pub fn is_equal(&self) -> bool {
        self.views.iter().all(|view| view.equal)
    }
}

/// One view that was rebuilt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RebuiltView {
    /// Its name.
    pub view: &'static str,
    /// Rows of the rebuilt one.
    pub rows: u64,
    /// Digest of the live one; none when that had another shape.
    pub live_digest: Option<String>,
    /// Digest of the rebuilt one.
    pub rebuilt_digest: String,
    /// Whether they are the same.
    pub equal: bool,
}

/// How a rebuild tells how far it is.
pub type OnProgress<'a> = &'a (dyn Fn(RebuildProgress) + Send + Sync);

/// Drops the shadow tables when a rebuild ends early.
struct Shadow<'a> {
    views: &'a SqliteViews,
    set: ViewSet,
    is_done: bool,
}

impl Drop for Shadow<'_> {
    fn drop(&mut self) {
        if !self.is_done {
            let set = self.set;
            let tidied = self.views.writer.hand_in(Box::new(move |state| drop(drop_shadow(state, set))));
            drop(tidied);
        }
    }
}

impl SqliteViews {
    /// Rebuilds a view, or `all`, beside the live one, compares both and swaps it in.
    pub async fn rebuild(
        &self,
        view: &str,
        progress: OnProgress<'_>,
        cancel: &CancellationToken,
    ) -> Result<RebuildReport, ViewError> {
        let set: ViewSet = VIEWS
            .iter()
            .enumerate()
            .filter(|(_, known)| view == "all" || known.name == view)
            .map(|(index, _)| index)
            .collect();
        if set.is_empty() {
            return Err(ViewError::UnknownView(view.to_owned()));
        }
        self.mark_open().await?;
        cancel.run_until_cancelled(self.rebuild_set(set, progress, cancel)).await.unwrap_or(Err(ViewError::Cancelled))
    }

    pub(super) async fn rebuild_set(
        &self,
        set: ViewSet,
        progress: OnProgress<'_>,
        cancel: &CancellationToken,
    ) -> Result<RebuildReport, ViewError> {
        let _one = self.rebuilding.lock().await;
        let begun = Instant::now();
        let mut shadow = Shadow { views: self, set, is_done: false };
        self.writer.run(move |state| transaction(state, |state| begin(state, set))).await?;
        let (mut at, mut events) = self.replay(set, progress).await?;
        let seconds = begun.elapsed().as_secs_f64();
        self.index(set).await?;

        // Compared where both stand at one position.
        let mut pinned = None;
        for _ in 0..TRIES {
            let _gate = self.gate.lock().await;
            let (live, target) = foremost(&self.ask_file().await?);
            let (reached, more) = self.level(set, at, target).await?;
            (at, events) = (reached, events + more);
            pinned = self.pin(set, live, at).await?;
            if pinned.is_some() {
                break;
            }
            tokio::time::sleep(AGAIN).await;
        }
        let views = self.compare(set, pinned.ok_or(ViewError::Moved)?, cancel).await?;
        let position = at.0;

        let mut is_swapped = false;
        for _ in 0..TRIES {
            let _gate = self.gate.lock().await;
            let (_, target) = foremost(&self.ask_file().await?);
            let rest = self.batch(set, at, target).await?;
            let now = self.parts.clock.now().as_millis();
            match self.writer.run(move |state| swap(state, set, rest.as_ref(), at, target, now)).await {
                Ok(()) => {
                    is_swapped = true;
                    break;
                }
                Err(ViewError::Moved) => tokio::time::sleep(AGAIN).await,
                Err(error) => return Err(error),
            }
        }
        if !is_swapped {
            return Err(ViewError::Moved);
        }
        shadow.is_done = true;
        self.writer.run(move |state| drop_tables(&state.connection, set, OLD)).await?;
        #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
        let events_per_second = events as f64 / seconds.max(1e-9);
        Ok(RebuildReport { views, events, position, seconds, events_per_second })
    }

    /// Replays the log up to where the live views stand. The next batch is read and decoded while one is written.
    async fn replay(&self, set: ViewSet, progress: OnProgress<'_>) -> Result<(Position, u64), ViewError> {
        let (mut at, mut events) = (Position::START, 0);
        let mut target = foremost(&self.ask_file().await?).1;
        let mut next = self.batch(set, at, target).await?;
        while let Some(batch) = next {
            (at, events) = (batch.last, events + batch.events as u64);
            if at >= target {
                target = foremost(&self.ask_file().await?).1;
            }
            let write = self.writer.run(move |state| apply(state, &batch, Target::Shadow(set)));
            ((), next) = tokio::try_join!(write, self.batch(set, at, target))?;
            progress(RebuildProgress { events, position: at, target });
        }
        Ok((at, events))
    }

    /// The next events for the shadow, none of them after `target`.
    async fn batch(&self, set: ViewSet, after: Position, target: Position) -> Result<Option<Batch>, ViewError> {
        if after >= target {
            return Ok(None);
        }
        let mut events = self.parts.log.read_all(after, BATCH).await?;
        events.retain(|event| event.position <= target);
        if events.is_empty() {
            return Ok(None);
        }
        feed::batch(&self.parts.keys, set, after, events).await.map(Some)
    }

    async fn index(&self, set: ViewSet) -> Result<(), ViewError> {
        // One job each: live batches go in between.
        for view in set.iter() {
            for table in VIEWS[view].tables {
                for index in table.indexes {
                    self.writer
                        .run(move |state| {
                            let shadow = file::checkpoint(&state.connection, &Target::Shadow(set).checkpoint(view))?;
                            let generation = shadow.ok_or(ViewError::Moved)?.generation;
                            Ok(state.connection.execute_batch(&file::render(index, SHADOW, generation))?)
                        })
                        .await?;
                }
            }
        }
        Ok(())
    }

    /// Brings the shadow to `target`.
    async fn level(&self, set: ViewSet, mut at: Position, target: Position) -> Result<(Position, u64), ViewError> {
        let mut events = 0;
        while let Some(batch) = self.batch(set, at, target).await? {
            (at, events) = (batch.last, events + batch.events as u64);
            self.writer.run(move |state| apply(state, &batch, Target::Shadow(set))).await?;
        }
        Ok((at, events))
    }

    /// A snapshot in which live views and shadows stand at one position, and the views that can be compared.
    async fn pin(&self, set: ViewSet, live: ViewSet, at: Position) -> Result<Option<(Connection, ViewSet)>, ViewError> {
        let path = self.path.clone();
        blocking(move || {
            let connection = file::open_reader(&path)?;
            connection.execute_batch("BEGIN")?;
            let stands = |name: &str| -> rusqlite::Result<bool> {
                Ok(file::checkpoint(&connection, name)?.is_some_and(|found| found.position == at))
            };
            let comparable: ViewSet = set.iter().filter(|view| live.contains(*view)).collect();
            for view in set.iter() {
                let behind = comparable.contains(view) && !stands(VIEWS[view].name)?;
                if behind || !stands(&Target::Shadow(set).checkpoint(view))? {
                    return Ok(None);
                }
            }
            Ok(Some((connection, comparable)))
        })
        .await
    }

    async fn compare(
        &self,
        set: ViewSet,
        (connection, comparable): (Connection, ViewSet),
        cancel: &CancellationToken,
    ) -> Result<Vec<RebuiltView>, ViewError> {
        let cancel = cancel.clone();
        blocking(move || {
            let is_cancelled = || cancel.is_cancelled();
            set.iter()
                .map(|index| {
                    let view = VIEWS[index];
                    let rebuilt = digest(&connection, view, SHADOW, &is_cancelled)?;
                    let live = if comparable.contains(index) {
                        Some(digest(&connection, view, "", &is_cancelled)?)
                    } else {
                        None
                    };
                    Ok(compared(view, live.as_ref(), &rebuilt))
                })
                .collect()
        })
        .await
    }
}

fn compared(view: &View, live: Option<&Digested>, rebuilt: &Digested) -> RebuiltView {
    let equal = live.is_none_or(|live| live == rebuilt);
    if !equal {
        tracing::error!(view = view.name, "the live view differs from a replay of the log; the replay takes its place");
    }
    RebuiltView {
        view: view.name,
        rows: rebuilt.rows,
        live_digest: live.map(|live| to_hex(&live.digest)),
        rebuilt_digest: to_hex(&rebuilt.digest),
        equal,
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ViewError> + Send + 'static,
) -> Result<T, ViewError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| ViewError::Closed)?
}

fn begin(state: &WriterState, set: ViewSet) -> Result<(), ViewError> {
    let connection = &state.connection;
    drop_tables(connection, set, SHADOW)?;
    drop_tables(connection, set, OLD)?;
    for view in set.iter() {
        let known = file::checkpoint(connection, VIEWS[view].name)?.map_or(0, |known| known.generation);
        for table in VIEWS[view].tables {
            file::create(connection, table, SHADOW, known + 1)?;
        }
        connection.execute(
            "INSERT INTO view_checkpoints (view, version, position, generation) VALUES (?1, ?2, 0, ?3)
             ON CONFLICT (view) DO UPDATE SET version = excluded.version, position = 0,
                generation = excluded.generation",
            params![Target::Shadow(set).checkpoint(view), VIEWS[view].version, known + 1],
        )?;
    }
    Ok(())
}

/// The last events, and the shadow's tables in place of the live ones, in one transaction.
fn swap(
    state: &mut WriterState,
    set: ViewSet,
    rest: Option<&Batch>,
    at: Position,
    target: Position,
    now: i64,
) -> Result<(), ViewError> {
    let reached = rest.map_or(at, |batch| batch.last);
    if reached != target {
        return Err(ViewError::Moved);
    }
    transaction(state, |state| {
        // In the transaction nobody else writes: what stands still here, stands still until the end of it.
        if foremost(&super::positions(&state.connection)?).1 != target {
            return Err(ViewError::Moved);
        }
        for view in set.iter() {
            stands_at(state, &Target::Shadow(set).checkpoint(view), at)?;
        }
        if let Some(batch) = rest {
            apply_within(state, batch, Target::Shadow(set))?;
        }
        let connection = &state.connection;
        for view in set.iter() {
            for table in VIEWS[view].tables {
                let name = table.name;
                connection.execute_batch(&format!(
                    "ALTER TABLE {name} RENAME TO {name}{OLD}; ALTER TABLE {name}{SHADOW} RENAME TO {name};"
                ))?;
            }
            let (name, shadow) = (VIEWS[view].name, Target::Shadow(set).checkpoint(view));
            connection.execute("DELETE FROM view_checkpoints WHERE view = ?1", [name])?;
            connection.execute(
                "UPDATE view_checkpoints SET view = ?1, position = ?2, rebuilt_at = ?3 WHERE view = ?4",
                params![name, signed(target.0), now, shadow],
            )?;
        }
        Ok(())
    })
}

fn drop_tables(connection: &Connection, set: ViewSet, suffix: &str) -> Result<(), ViewError> {
    for view in set.iter() {
        for table in VIEWS[view].tables {
            connection.execute_batch(&format!("DROP TABLE IF EXISTS {}{suffix}", table.name))?;
        }
    }
    Ok(())
}

fn drop_shadow(state: &mut WriterState, set: ViewSet) -> Result<(), ViewError> {
    drop_tables(&state.connection, set, SHADOW)?;
    for view in set.iter() {
        state
            .connection
            .execute("DELETE FROM view_checkpoints WHERE view = ?1", [Target::Shadow(set).checkpoint(view)])?;
    }
    Ok(())
}
