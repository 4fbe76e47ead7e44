//! The shadow of views that are rebuilt: its tables beside the live ones, in the same file.

use async_trait::async_trait;
use rusqlite::{Connection, params};
use schemas::envelope::Position;
use tokio_util::sync::CancellationToken;

use super::{
    apply::{apply_within, stands_at, transaction},
    digest::digest,
    file::{self, signed},
    threads::{Writer, WriterState},
};
use crate::{
    change::Table,
    dialect::{Dialect, render},
    engine::{Digested, Pinned, Positions, SHADOW, Swap, Target, foremost},
    error::ViewError,
    feed::ViewSet,
    views::VIEWS,
};

/// What the tables that gave way are called until they are dropped.
const OLD: &str = "__old";

/// Builds the indexes that the shadow's tables lack.
pub(super) async fn index(writer: &Writer, set: ViewSet) -> Result<(), ViewError> {
    // One job each: live batches go in between.
    for view in set.iter() {
        for table in VIEWS[view].tables.iter().filter(|table| is_indexed_later(table)) {
            for index in table.indexes {
                writer
                    .run(move |state| {
                        let shadow = file::checkpoint(&state.connection, &Target::Shadow(set).checkpoint(view))?;
                        let generation = shadow.ok_or(ViewError::Moved)?.generation;
                        Ok(state.connection.execute_batch(&render(Dialect::Sqlite, index, SHADOW, generation))?)
                    })
                    .await?;
            }
        }
    }
    Ok(())
}

/// Whether a table is filled first and indexed then. Changes of the others look for rows, and not by the key alone.
const fn is_indexed_later(table: &Table) -> bool {
    !table.appended.is_empty()
}

/// One snapshot of the file; a connection that blocks, so it goes to a thread for each question.
struct Snapshot(Option<Connection>);

#[async_trait]
impl Pinned for Snapshot {
    async fn digest(
        &mut self,
        view: usize,
        suffix: &'static str,
        cancel: &CancellationToken,
    ) -> Result<Digested, ViewError> {
        let cancel = cancel.clone();
        let connection = self.0.take().ok_or(ViewError::Cancelled)?;
        let (connection, digested) = blocking(move || {
            let digested = digest(&connection, VIEWS[view], suffix, &cancel)?;
            Ok((connection, digested))
        })
        .await?;
        self.0 = Some(connection);
        Ok(digested)
    }
}

/// A snapshot in which live views and shadows stand at one position. The views go on with it: a snapshot shows what
/// was committed, and who waits to write does not get in between.
pub(super) fn pin(
    state: &mut WriterState,
    set: ViewSet,
    compared: ViewSet,
    at: Position,
) -> Result<Option<Box<dyn Pinned>>, ViewError> {
    let connection = file::open_reader(&state.path)?;
    state.go_on()?;
    connection.execute_batch("BEGIN")?;
    let stands = |name: &str| -> rusqlite::Result<bool> {
        Ok(file::checkpoint(&connection, name)?.is_some_and(|found| found.position == at))
    };
    for view in set.iter() {
        let behind = compared.contains(view) && !stands(VIEWS[view].name)?;
        if behind || !stands(&Target::Shadow(set).checkpoint(view))? {
            return Ok(None);
        }
    }
    Ok(Some(Box::new(Snapshot(Some(connection)))))
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ViewError> + Send + 'static,
) -> Result<T, ViewError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| ViewError::Closed)?
}

fn positions(connection: &Connection) -> Result<Positions, rusqlite::Error> {
    let mut all = Positions::default();
    for (place, view) in all.iter_mut().zip(VIEWS) {
        *place = file::checkpoint(connection, view.name)?.map_or(Position::START, |found| found.position);
    }
    Ok(all)
}

/// Makes the shadow's tables, empty.
pub(super) fn begin(state: &WriterState, set: ViewSet) -> Result<(), ViewError> {
    let connection = &state.connection;
    drop_tables(connection, set, SHADOW)?;
    drop_tables(connection, set, OLD)?;
    for view in set.iter() {
        let known = file::checkpoint(connection, VIEWS[view].name)?.map_or(0, |known| known.generation);
        for table in VIEWS[view].tables {
            file::create(connection, table, SHADOW, known + 1)?;
            if !is_indexed_later(table) {
                file::create_indexes(connection, table, SHADOW, known + 1)?;
            }
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
pub(super) fn swap(state: &mut WriterState, swap: &Swap) -> Result<(), ViewError> {
    let Swap { set, at, ref rest, target, now } = *swap;
    let reached = rest.as_ref().map_or(at, |batch| batch.last);
    if reached < target {
        return Err(ViewError::Moved);
    }
    transaction(state, |state| {
        // In the transaction nobody else writes: what stands still here, stands still until the end of it.
        if foremost(&positions(&state.connection)?).1 != target {
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
                params![name, signed(reached.0), now, shadow],
            )?;
        }
        Ok(())
    })
}

/// Drops what the swap has set aside.
pub(super) fn drop_old(state: &mut WriterState, set: ViewSet) -> Result<(), ViewError> {
    drop_tables(&state.connection, set, OLD)
}

fn drop_tables(connection: &Connection, set: ViewSet, suffix: &str) -> Result<(), ViewError> {
    for view in set.iter() {
        for table in VIEWS[view].tables {
            connection.execute_batch(&format!("DROP TABLE IF EXISTS {}{suffix}", table.name))?;
        }
    }
    Ok(())
}

/// Drops the shadow.
pub(super) fn drop_shadow(state: &mut WriterState, set: ViewSet) -> Result<(), ViewError> {
    state.let_go();
    drop_tables(&state.connection, set, SHADOW)?;
    for view in set.iter() {
        state
            .connection
            .execute("DELETE FROM view_checkpoints WHERE view = ?1", [Target::Shadow(set).checkpoint(view)])?;
    }
    Ok(())
}
