//! What can go wrong with a view; no text here repeats a value of a row.

use domain::ids::EventId;
use event_store::{keys::KeysError, port::LogError};
use schemas::envelope::Position;

/// Why a view cannot be kept or asked.
#[derive(Debug, thiserror::Error)]
pub enum ViewError {
    /// The file is damaged. It holds nothing that the log does not: it is deleted and rebuilt.
    #[error("the views' file is damaged: {0}")]
    Damaged(String),
    /// The file cannot be read or written now.
    #[error("views unavailable: {0}")]
    Unavailable(String),
    /// The log cannot be read.
    #[error(transparent)]
    Log(#[from] LogError),
    /// A data key cannot be had.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// An event that this version cannot read: views stop before it rather than skip it silently.
    #[error("event {event} at position {position} cannot be read: {reason}")]
    Undecodable {
        /// The event.
        event: EventId,
        /// Where it stands.
        position: Position,
        /// Why.
        reason: String,
    },
    /// Someone else moved the views; their place is to be read again.
    #[error("the views were moved by another process")]
    Moved,
    /// No view has this name.
    #[error("no view is called {0}")]
    UnknownView(String),
    /// A cursor that no list has given.
    #[error("not a cursor of this list")]
    InvalidCursor,
    /// It was cancelled.
    #[error("cancelled")]
    Cancelled,
    /// The views were closed.
    #[error("the views are closed")]
    Closed,
}

impl From<rusqlite::Error> for ViewError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
        match error.sqlite_error_code() {
            Some(DatabaseCorrupt | NotADatabase) => Self::Damaged(error.to_string()),
            _ => Self::Unavailable(error.to_string()),
        }
    }
}

/// A query asked for a position that the views did not reach in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the views have reached position {reached} only")]
pub struct Stale {
    /// How far they are.
    pub reached: Position,
}
