//! The file's tables, how they came about, and how a connection to it is opened.

use std::{path::Path, time::Duration};

use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::port::LogError;

/// Marks the file as ours (`CSgn`), so that another program's database is refused instead of altered.
const APPLICATION_ID: i32 = 0x4353_676e;

/// One entry per version of the file; `user_version` counts how many were applied.
///
/// A stream's name is stored once and stands in the log as a number: the unique index over (stream,
/// version) is then small enough to stay in memory, and answers head, expected version and the reading of
/// a stream with one probe. `events.position` is the row id, so reading the log is a scan of the table.
const MIGRATIONS: [&str; 1] = ["
CREATE TABLE streams (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;
CREATE TABLE events (
    position INTEGER PRIMARY KEY,
    stream INTEGER NOT NULL REFERENCES streams (id),
    version INTEGER NOT NULL,
    id BLOB NOT NULL,
    type TEXT NOT NULL,
    schema_version INTEGER NOT NULL,
    metadata BLOB NOT NULL,
    data BLOB NOT NULL,
    UNIQUE (stream, version)
) STRICT;
CREATE TABLE data_keys (
    stream TEXT PRIMARY KEY,
    ring_key INTEGER,
    bytes BLOB
) STRICT, WITHOUT ROWID;
CREATE TABLE snapshots (
    stream TEXT PRIMARY KEY,
    version INTEGER NOT NULL,
    position INTEGER NOT NULL,
    format INTEGER NOT NULL,
    bytes BLOB NOT NULL
) STRICT;
CREATE TABLE receipts (
    key BLOB PRIMARY KEY,
    body BLOB NOT NULL,
    stream TEXT NOT NULL,
    answer BLOB NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX receipts_by_expiry ON receipts (expires_at);
"];

/// Opens the file, creates it when it is not there, and brings it to the current version.
pub(super) fn prepare(path: &Path, busy: Duration) -> Result<(), LogError> {
    // The file holds wrapped keys.
    crate::private_file::create(path).map_err(|error| LogError::Unavailable(format!("{}: {error}", path.display())))?;
    let mut connection = connect(path, busy)?;
    let failed = |error| describe(path, &error);
    let mode: String = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0)).map_err(failed)?;
    if mode != "wal" {
        return Err(LogError::Unavailable(format!("{}: the file system allows no write-ahead log", path.display())));
    }
    let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).map_err(failed)?;
    let version: i64 = transaction.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(failed)?;
    let application: i32 = transaction.query_row("PRAGMA application_id", [], |row| row.get(0)).map_err(failed)?;
    let tables: i64 =
        transaction.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(failed)?;
    if application != APPLICATION_ID && (application != 0 || version != 0 || tables != 0) {
        return Err(LogError::Unreadable(format!(
            "{}: a database, but not an event log of Countersign",
            path.display()
        )));
    }
    let done = usize::try_from(version).unwrap_or(usize::MAX);
    if done > MIGRATIONS.len() {
        return Err(LogError::Unreadable(format!(
            "{}: written by a newer Countersign (version {version} of the file, this one knows {})",
            path.display(),
            MIGRATIONS.len()
        )));
    }
    if done < MIGRATIONS.len() {
        for migration in MIGRATIONS.iter().skip(done) {
            transaction.execute_batch(migration).map_err(failed)?;
        }
        transaction.pragma_update(None, "application_id", APPLICATION_ID).map_err(failed)?;
        let current = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
        transaction.pragma_update(None, "user_version", current).map_err(failed)?;
    }
    transaction.commit().map_err(failed)
}

/// A connection that writes.
pub(super) fn writer(path: &Path, busy: Duration) -> Result<Connection, LogError> {
    let connection = connect(path, busy)?;
    let set = |name: &str, value: &dyn rusqlite::ToSql| {
        connection.pragma_update(None, name, value).map_err(|error| describe(path, &error))
    };
    set("synchronous", &"FULL")?;
    set("secure_delete", &"ON")?;
    set("cache_size", &-4_096)?;
    // The checkpointer runs beside the writer; this is the bound when it cannot keep up.
    set("wal_autocheckpoint", &32_768)?;
    set("journal_size_limit", &(64 << 20))?;
    Ok(connection)
}

/// A connection that reads.
pub(super) fn reader(path: &Path, busy: Duration) -> Result<Connection, LogError> {
    let connection = connect(path, busy)?;
    let set = |name: &str, value: &dyn rusqlite::ToSql| {
        connection.pragma_update(None, name, value).map_err(|error| describe(path, &error))
    };
    set("query_only", &"ON")?;
    set("cache_size", &-1_024)?;
    Ok(connection)
}

/// A connection that copies the write-ahead log into the file.
pub(super) fn checkpointer(path: &Path, busy: Duration) -> Result<Connection, LogError> {
    let connection = connect(path, busy)?;
    connection.pragma_update(None, "synchronous", "FULL").map_err(|error| describe(path, &error))?;
    connection.pragma_update(None, "cache_size", -256).map_err(|error| describe(path, &error))?;
    Ok(connection)
}

fn connect(path: &Path, busy: Duration) -> Result<Connection, LogError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(|error| describe(path, &error))?;
    connection.busy_timeout(busy).map_err(|error| describe(path, &error))?;
    connection.set_prepared_statement_cache_capacity(32);
    Ok(connection)
}

/// One line that says what to do.
pub(super) fn describe(path: &Path, error: &rusqlite::Error) -> LogError {
    let path = path.display();
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            LogError::Unavailable(format!("{path}: locked by another process"))
        }
        Some(ErrorCode::NotADatabase) => LogError::Unreadable(format!("{path}: not a database")),
        Some(ErrorCode::DatabaseCorrupt) => LogError::Unreadable(format!("{path}: damaged; restore it from a backup")),
        Some(ErrorCode::CannotOpen) => LogError::Unavailable(format!("{path}: cannot be opened")),
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
            LogError::Unavailable(format!("{path}: no permission to write"))
        }
        Some(ErrorCode::DiskFull) => LogError::Unavailable(format!("{path}: the disk is full")),
        _ => LogError::Unavailable(format!("{path}: {error}")),
    }
}
