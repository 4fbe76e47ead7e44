//! Errors of the database as one line that says what to do. Never a password, a whole url, or a value of a row.

use std::{error::Error as _, io, time::Duration};

use tokio_postgres::error::{DbError, Severity, SqlState};

use crate::port::LogError;

/// An error of the driver as one line.
pub fn describe(error: &tokio_postgres::Error) -> LogError {
    at("PostgreSQL", error)
}

/// The same, naming the server.
pub(super) fn at(place: &str, error: &tokio_postgres::Error) -> LogError {
    match error.as_db_error() {
        Some(told) => of_server(place, told),
        None => LogError::Unavailable(format!("{place}: {}", of_connection(error))),
    }
}

/// Nothing came back in time.
pub(super) fn late(place: &str, after: Duration) -> LogError {
    LogError::Unavailable(format!("{place}: no answer within {after:?}"))
}

fn of_server(place: &str, error: &DbError) -> LogError {
    let code = error.code();
    let cure = if *code == SqlState::INVALID_PASSWORD || *code == SqlState::INVALID_AUTHORIZATION_SPECIFICATION {
        "refuses this user or password: check postgres.url and postgres.password"
    } else if *code == SqlState::INVALID_CATALOG_NAME {
        "has no such database: create it, or correct its name in postgres.url"
    } else if *code == SqlState::INSUFFICIENT_PRIVILEGE {
        "the user may not do this: make it the owner of the database"
    } else if *code == SqlState::TOO_MANY_CONNECTIONS {
        "has no connection left: lower postgres.pool_size, or raise max_connections of the server"
    } else if *code == SqlState::READ_ONLY_SQL_TRANSACTION {
        "takes no writes: postgres.url has to name the primary"
    } else if *code == SqlState::DISK_FULL {
        "its disk is full"
    } else if *code == SqlState::QUERY_CANCELED {
        "a statement was cancelled: it took longer than its time-out"
    } else if *code == SqlState::LOCK_NOT_AVAILABLE {
        "another process holds a lock for too long"
    } else if *code == SqlState::CANNOT_CONNECT_NOW {
        "is starting or stopping"
    } else if *code == SqlState::ADMIN_SHUTDOWN || *code == SqlState::CRASH_SHUTDOWN {
        "was stopped"
    } else if *code == SqlState::DATA_CORRUPTED || *code == SqlState::INDEX_CORRUPTED {
        return LogError::Unreadable(format!("{place}: damaged; restore it from a backup ({})", code.code()));
    } else if code.code().starts_with("22") || code.code().starts_with("23") {
        // The texts of these two classes quote values.
        return LogError::Unavailable(format!("{place}: a value was refused ({})", code.code()));
    } else {
        return LogError::Unavailable(format!("{place}: {} ({})", error.message(), code.code()));
    };
    LogError::Unavailable(format!("{place}: {cure}"))
}

fn of_connection(error: &tokio_postgres::Error) -> String {
    let cause = error.source();
    if let Some(error) = cause.and_then(|cause| cause.downcast_ref::<io::Error>()) {
        return match error.kind() {
            io::ErrorKind::PermissionDenied => "takes no writes: postgres.url has to name the primary".to_owned(),
            io::ErrorKind::InvalidData => {
                format!(
                    "TLS failed ({error}): check postgres.ca_file, and that the certificate names the host of postgres.url"
                )
            }
            _ => format!("cannot be reached ({error}): is it running, and is postgres.url right?"),
        };
    }
    match cause {
        Some(cause) => format!("{error}: {cause}"),
        None if error.is_closed() => "the connection was closed".to_owned(),
        None => error.to_string(),
    }
}

/// Whether this error proves that the statement left nothing behind. Only an ordinary error of a server that
/// goes on does: what ends the connection, or comes from a cancellation, may arrive after the commit.
pub(super) fn left_nothing(error: &tokio_postgres::Error) -> bool {
    error.as_db_error().is_some_and(|told| {
        told.parsed_severity() == Some(Severity::Error)
            && !told.code().code().starts_with("57")
            && !told.code().code().starts_with("08")
    })
}

/// Whether a value was refused: an append of a batch is to blame, the others are not.
pub(super) fn is_of_a_value(error: &tokio_postgres::Error) -> bool {
    error.code().is_some_and(|code| ["22", "23", "54"].iter().any(|class| code.code().starts_with(class)))
}
