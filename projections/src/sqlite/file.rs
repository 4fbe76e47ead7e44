//! The views' file: its pragmas, its tables, and how it is told that it must be made anew.

use std::{io, path::Path, time::Duration};

use rusqlite::{Connection, OpenFlags, OptionalExtension, params};
use schemas::envelope::Position;

use crate::{
    change::Table,
    dialect::{self, Dialect, render},
    engine::Checkpoint,
    error::ViewError,
    views::VIEWS,
};

/// Marks the file as ours (`CSvw`).
const APPLICATION_ID: i32 = 0x4353_7677;
/// Shape of the bookkeeping tables.
const FORMAT: i32 = 1;
/// How long a statement waits for another process.
const BUSY: Duration = Duration::from_secs(10);

/// The marker of a file that was closed in order.
const CLEAN: &str = "clean";

/// A connection that writes.
pub(crate) fn open_writer(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(BUSY)?;
    connection.set_prepared_statement_cache_capacity(256);
    // The file holds nothing that the log does not: it is not synced while it is written (see `mark_open`).
    connection.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; PRAGMA cache_size = -8000; PRAGMA temp_store = MEMORY; \
         PRAGMA journal_size_limit = 67108864;",
    )?;
    Ok(connection)
}

/// A connection that reads.
pub(crate) fn open_reader(path: &Path) -> rusqlite::Result<Connection> {
    let connection =
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(BUSY)?;
    connection.set_prepared_statement_cache_capacity(64);
    connection.execute_batch("PRAGMA query_only = ON; PRAGMA cache_size = -2000;")?;
    Ok(connection)
}

/// Opens the file for writing; what is damaged, foreign, or was written when the machine lost power is
/// deleted first. Returns the reason of that.
pub(crate) fn open(path: &Path) -> Result<(Connection, Option<String>), ViewError> {
    match examined(path) {
        Ok(connection) => Ok((connection, None)),
        Err(ViewError::Damaged(reason)) => {
            delete(path).map_err(|error| ViewError::Unavailable(error.to_string()))?;
            Ok((examined(path)?, Some(reason)))
        }
        Err(error) => Err(error),
    }
}

fn examined(path: &Path) -> Result<Connection, ViewError> {
    let is_new = std::fs::metadata(path).map_or(true, |file| file.len() == 0);
    event_store::private_file::create(path).map_err(|error| ViewError::Unavailable(error.to_string()))?;
    let connection = open_writer(path)?;
    if !is_new {
        let id: i32 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
        let format: i32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        if (id, format) != (APPLICATION_ID, FORMAT) {
            return Err(ViewError::Damaged("not a file of views of this version".to_owned()));
        }
        was_closed_or_interrupted_softly(&connection)?;
    }
    prepare(&connection)?;
    Ok(connection)
}

/// Removes the file and what SQLite keeps beside it.
pub(crate) fn delete(path: &Path) -> io::Result<()> {
    for suffix in ["", "-wal", "-shm", "-journal"] {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        match std::fs::remove_file(&name) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

fn prepare(connection: &Connection) -> Result<(), ViewError> {
    connection.execute_batch("BEGIN IMMEDIATE")?;
    let done = (|| {
        connection.pragma_update(None, "application_id", APPLICATION_ID)?;
        connection.pragma_update(None, "user_version", FORMAT)?;
        connection.execute_batch(
            "CREATE TABLE IF NOT EXISTS view_checkpoints (
                view TEXT NOT NULL PRIMARY KEY,
                version INTEGER NOT NULL,
                position INTEGER NOT NULL,
                event_at INTEGER,
                rebuilt_at INTEGER,
                generation INTEGER NOT NULL
            ) WITHOUT ROWID;
            CREATE TABLE IF NOT EXISTS views_file (
                name TEXT NOT NULL PRIMARY KEY,
                value TEXT NOT NULL
            ) WITHOUT ROWID;",
        )?;
        VIEWS.iter().try_for_each(|view| prepare_view(connection, view))
    })();
    connection.execute_batch(if done.is_ok() { "COMMIT" } else { "ROLLBACK" })?;
    done
}

/// A view that is missing or of another version begins anew; the runner fills it beside the live ones.
fn prepare_view(connection: &Connection, view: &crate::change::View) -> Result<(), ViewError> {
    let known = checkpoint(connection, view.name)?;
    if known.as_ref().is_some_and(|known| known.version == view.version) {
        for table in view.tables {
            // Reading one row finds a table that is not there or cannot be read.
            let sql = format!("SELECT {} FROM {} LIMIT 1", table.digest, table.name);
            connection
                .query_row(&sql, [], |_| Ok(()))
                .optional()
                .map_err(|error| ViewError::Damaged(error.to_string()))?;
        }
        return Ok(());
    }
    let generation = known.map_or(0, |known| known.generation + 1);
    for table in view.tables {
        connection.execute_batch(&format!("DROP TABLE IF EXISTS {}", table.name))?;
        create(connection, table, "", generation)?;
        create_indexes(connection, table, "", generation)?;
    }
    connection.execute(
        "INSERT INTO view_checkpoints (view, version, position, generation) VALUES (?1, ?2, 0, ?3)
         ON CONFLICT (view) DO UPDATE SET version = excluded.version, position = 0, event_at = NULL,
            rebuilt_at = NULL, generation = excluded.generation",
        params![view.name, view.version, generation],
    )?;
    Ok(())
}

/// Creates one table.
pub(crate) fn create(connection: &Connection, table: &Table, suffix: &str, generation: i64) -> rusqlite::Result<()> {
    connection.execute_batch(&dialect::create(Dialect::Sqlite, table, suffix, generation))
}

/// Creates the indexes of one table.
pub(crate) fn create_indexes(
    connection: &Connection,
    table: &Table,
    suffix: &str,
    generation: i64,
) -> rusqlite::Result<()> {
    table
        .indexes
        .iter()
        .try_for_each(|index| connection.execute_batch(&render(Dialect::Sqlite, index, suffix, generation)))
}

/// The checkpoint of a view or of its shadow.
pub(crate) fn checkpoint(connection: &Connection, name: &str) -> rusqlite::Result<Option<Checkpoint>> {
    connection
        .prepare_cached(
            "SELECT version, position, event_at, rebuilt_at, generation FROM view_checkpoints WHERE view = ?1",
        )?
        .query_row([name], |row| {
            Ok(Checkpoint {
                version: row.get(0)?,
                position: Position(row.get::<_, i64>(1)?.unsigned_abs()),
                event_at: row.get(2)?,
                rebuilt_at: row.get(3)?,
                generation: row.get(4)?,
            })
        })
        .optional()
}

/// SQLite counts in signed numbers; ours stay far below the difference.
pub(crate) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

// Without syncing, the death of the process loses nothing (the kernel has the pages), but a loss of power may
// leave pages of different ages on the disk, and no check of structure finds that. So the file says in which
// boot of the machine it was last written; one that was neither closed in order nor written in this boot is
// rebuilt.

/// Which boot of the machine this is; where that cannot be told, every unclean file is rebuilt.
fn boot() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map_or_else(|_| "unknown".to_owned(), |id| id.trim().to_owned())
}

fn marker(connection: &Connection) -> rusqlite::Result<Option<String>> {
    connection.query_row("SELECT value FROM views_file WHERE name = 'written'", [], |row| row.get(0)).optional()
}

fn was_closed_or_interrupted_softly(connection: &Connection) -> Result<(), ViewError> {
    let marker = marker(connection).map_err(|error| ViewError::Damaged(error.to_string()))?;
    let boot = boot();
    match marker.as_deref() {
        None | Some(CLEAN) => Ok(()),
        Some(marker) if boot != "unknown" && marker.split(' ').next() == Some(&boot) => Ok(()),
        Some(_) => Err(ViewError::Damaged("it was not closed before the machine stopped".to_owned())),
    }
}

/// Says, durably, that the file is being written from now on; returns what `mark_clean` needs.
pub(crate) fn mark_open(connection: &Connection) -> rusqlite::Result<String> {
    let own = format!("{} {}", boot(), std::process::id());
    durably(connection, |connection| mark(connection, &own))?;
    Ok(own)
}

/// Says, durably, that everything is on the disk, unless someone else has taken over the writing.
pub(crate) fn mark_clean(connection: &Connection, own: &str) -> rusqlite::Result<()> {
    if marker(connection)?.as_deref() != Some(own) {
        return Ok(());
    }
    // What was written before goes to the disk first: the marker must never be ahead of what it speaks of.
    durably(connection, |_| Ok(()))?;
    durably(connection, |connection| mark(connection, CLEAN))
}

fn mark(connection: &Connection, value: &str) -> rusqlite::Result<()> {
    connection
        .execute(
            "INSERT INTO views_file (name, value) VALUES ('written', ?1)
             ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            [value],
        )
        .map(drop)
}

/// Writes, copies the write-ahead log into the file, and waits until both are on the disk.
fn durably(connection: &Connection, write: impl FnOnce(&Connection) -> rusqlite::Result<()>) -> rusqlite::Result<()> {
    connection.pragma_update(None, "synchronous", "FULL")?;
    let written = write(connection).and_then(|()| {
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0)).map(drop)
    });
    connection.pragma_update(None, "synchronous", "OFF")?;
    written
}
