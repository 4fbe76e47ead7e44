//! `operations.db`: its pragmas and tables, and what becomes of a damaged one.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use event_store::port::LogError;
use rusqlite::Connection;

use event_store::private_file;

/// Marks the file as ours (`CSop`).
const APPLICATION_ID: i32 = 0x4353_6f70;
/// Shape of its tables.
const FORMAT: i32 = 1;
/// How long a statement waits for another process.
const BUSY: Duration = Duration::from_secs(5);

const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS limits (
        bucket BLOB NOT NULL,
        window_seconds INTEGER NOT NULL,
        charges BLOB NOT NULL,
        expires_at INTEGER NOT NULL,
        PRIMARY KEY (bucket, window_seconds)
    ) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS limits_by_end ON limits (expires_at);
    CREATE TABLE IF NOT EXISTS known_networks (
        network BLOB NOT NULL PRIMARY KEY,
        seen_at INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS known_networks_by_time ON known_networks (seen_at);
    CREATE TABLE IF NOT EXISTS answers (
        key BLOB NOT NULL PRIMARY KEY,
        body BLOB NOT NULL,
        answer BLOB NOT NULL,
        expires_at INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS answers_by_end ON answers (expires_at);
    CREATE TABLE IF NOT EXISTS session_activity (
        session_id BLOB NOT NULL PRIMARY KEY,
        last_used_at INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS session_activity_by_time ON session_activity (last_used_at);
    CREATE TABLE IF NOT EXISTS worker_checkpoints (
        worker TEXT NOT NULL PRIMARY KEY,
        position INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS inbox (
        number INTEGER PRIMARY KEY,
        message_id BLOB NOT NULL UNIQUE,
        recipient BLOB NOT NULL,
        at INTEGER NOT NULL,
        box BLOB NOT NULL
    );
    CREATE INDEX IF NOT EXISTS inbox_by_recipient ON inbox (recipient, number);
    CREATE INDEX IF NOT EXISTS inbox_by_time ON inbox (at);
";

/// What a statement says that failed; never a value.
pub(super) fn failed(error: &rusqlite::Error) -> LogError {
    use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
    match error.sqlite_error_code() {
        Some(DatabaseCorrupt | NotADatabase) => LogError::Unreadable(format!("the file of operations: {error}")),
        _ => LogError::Unavailable(format!("the file of operations: {error}")),
    }
}

/// Opens the file, or makes it: a connection that writes and one that reads.
pub(super) fn open(path: &Path) -> Result<(Connection, Connection), LogError> {
    match examined(path) {
        Err(LogError::Unreadable(reason)) => {
            let aside = set_aside(path).map_err(|error| LogError::Unavailable(error.to_string()))?;
            tracing::error!(reason, set_aside = %aside.display(), "the file of operations was damaged: begun anew");
            examined(path)
        }
        other => other,
    }
}

fn examined(path: &Path) -> Result<(Connection, Connection), LogError> {
    let is_new = std::fs::metadata(path).map_or(true, |file| file.len() == 0);
    private_file::create(path).map_err(|error| LogError::Unavailable(error.to_string()))?;
    (|| {
        let connection = Connection::open(path)?;
        connection.busy_timeout(BUSY)?;
        connection
            .execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA cache_size = -1000;")?;
        if is_new {
            connection.pragma_update(None, "application_id", APPLICATION_ID)?;
            connection.pragma_update(None, "user_version", FORMAT)?;
        }
        let id: i32 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
        let format: i32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        if (id, format) != (APPLICATION_ID, FORMAT) {
            return Ok(None);
        }
        connection.execute_batch(TABLES)?;
        let reading = Connection::open(path)?;
        reading.busy_timeout(BUSY)?;
        reading.execute_batch("PRAGMA query_only = ON; PRAGMA cache_size = -500;")?;
        Ok(Some((connection, reading)))
    })()
    .map_err(|error: rusqlite::Error| failed(&error))?
    .ok_or_else(|| LogError::Unreadable("not a file of operations of this version".to_owned()))
}

/// Renames a damaged file, so that someone can look at it.
fn set_aside(path: &Path) -> std::io::Result<PathBuf> {
    let with = |suffix: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    };
    let aside = with(".damaged");
    std::fs::rename(path, &aside)?;
    for suffix in ["-wal", "-shm"] {
        match std::fs::remove_file(with(suffix)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(aside)
}
