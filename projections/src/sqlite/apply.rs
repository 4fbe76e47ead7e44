//! Applying a batch: all changes of all views and their checkpoints, in one transaction.

use rusqlite::{
    ToSql, params,
    types::{ToSqlOutput, ValueRef},
};
use schemas::envelope::Position;

use super::{
    file::{self, signed},
    threads::WriterState,
};
use crate::{engine::Target, error::ViewError, feed::Batch, row::Value};

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Int(value) => ValueRef::Integer(*value),
            Self::Text(value) => ValueRef::Text(value.as_bytes()),
            Self::Uuid(value) => ValueRef::Blob(value.as_bytes()),
            Self::Bytes(value) => ValueRef::Blob(value),
        }))
    }
}

/// Runs `work` in one transaction; in a part of the one that [`WriterState::hold`] began, when it did.
pub(crate) fn transaction<T>(
    state: &mut WriterState,
    work: impl FnOnce(&mut WriterState) -> Result<T, ViewError>,
) -> Result<T, ViewError> {
    let (begin, end, undo) = if state.is_held() {
        ("SAVEPOINT part", "RELEASE part", "ROLLBACK TO part; RELEASE part")
    } else {
        ("BEGIN IMMEDIATE", "COMMIT", "ROLLBACK")
    };
    state.connection.prepare_cached(begin)?.execute([])?;
    let done = work(state).and_then(|done| {
        state.connection.prepare_cached(end)?.execute([])?;
        Ok(done)
    });
    if done.is_err() && !state.connection.is_autocommit() {
        // A roll-back that fails leaves the transaction to the next BEGIN, which then fails loudly.
        drop(state.connection.execute_batch(undo));
    }
    done
}

/// Applies a batch in a transaction of its own.
pub(crate) fn apply(state: &mut WriterState, batch: &Batch, target: Target) -> Result<(), ViewError> {
    if matches!(target, Target::Live(_)) {
        // Live views do not move while they are held: a rebuild was cancelled in that moment.
        state.let_go();
    }
    transaction(state, |state| apply_within(state, batch, target))
}

/// Applies a batch within an open transaction. The views must stand where the batch begins.
pub(crate) fn apply_within(state: &mut WriterState, batch: &Batch, target: Target) -> Result<(), ViewError> {
    for view in target.views().iter() {
        stands_at(state, &target.checkpoint(view), batch.after)?;
    }
    for change in &batch.changes {
        if !target.views().contains(change.view) {
            continue;
        }
        let sql = state.rendered(change.sql, target.suffix());
        let mut statement = state.connection.prepare_cached(&sql)?;
        for (index, value) in change.values.iter().enumerate() {
            statement.raw_bind_parameter(index + 1, value)?;
        }
        statement.raw_execute()?;
    }
    for view in target.views().iter() {
        state
            .connection
            .prepare_cached("UPDATE view_checkpoints SET position = ?1, event_at = ?2 WHERE view = ?3")?
            .execute(params![signed(batch.last.0), batch.last_at.as_millis(), target.checkpoint(view)])?;
    }
    Ok(())
}

/// Fails with [`ViewError::Moved`] unless the checkpoint is there.
pub(crate) fn stands_at(state: &WriterState, name: &str, position: Position) -> Result<(), ViewError> {
    match file::checkpoint(&state.connection, name)? {
        Some(found) if found.position == position => Ok(()),
        _ => Err(ViewError::Moved),
    }
}
