//! What a view is made of: tables, and changes to them as static SQL with parameters.
//!
//! Each statement is written once for SQLite and PostgreSQL: parameters are `$1`, `$2` … in order of first
//! appearance, upserts are `INSERT … ON CONFLICT`, truth values are 0 and 1. What the engines spell
//! differently stands in braces: `{uuid}`, `{bytes}`, `{key}`, `{clustered}`, and `{shadow}` behind every name of a
//! table, so that a rebuild runs the same statements over shadow tables.

use std::{borrow::Cow, fmt};

use domain::{
    ids::{AccessTokenId, AccountId, ApiKeyId, CommandId, EventId, MethodId, SessionId, VerificationId},
    time::{Seconds, Timestamp},
};
use schemas::envelope::{Position, RecordedEvent, Version};
use uuid::Uuid;

/// A read model: its tables, and the pure function from an event to changes.
#[derive(Debug)]
pub struct View {
    /// Its name, as in `countersign projections rebuild NAME`.
    pub name: &'static str,
    /// Counts its shapes: a file with another one is rebuilt.
    pub version: u32,
    /// Its tables.
    pub tables: &'static [Table],
    /// What an event changes.
    pub changes: fn(&RecordedEvent) -> Vec<Change>,
}

/// A table of a view.
#[derive(Debug)]
pub struct Table {
    /// Its name.
    pub name: &'static str,
    /// `CREATE TABLE`, with `{shadow}` behind the name and `{key}` for the primary key.
    pub create: &'static str,
    /// `CREATE INDEX`, with `{generation}` in each index's name and `{shadow}` behind the table's.
    pub indexes: &'static [&'static str],
    /// The columns that only events determine, the primary key first and in order; the digest covers these.
    pub digest: &'static str,
    /// The primary key's columns.
    pub key: &'static str,
    /// The columns that keep rows apart: changes of rows that differ in one of these may change places.
    pub apart: &'static str,
    /// Statements that only add a row, which no other statement than those of a whole table ever changes: a
    /// rebuild on PostgreSQL copies such rows straight into place.
    pub appended: &'static [&'static str],
}

/// One change of a view's rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// A statement of the view.
    pub sql: &'static str,
    /// Its parameters.
    pub params: Vec<Param>,
    /// Whether the last parameter is a number that is added to a row: several of a batch become one.
    pub adds: bool,
}

/// A change from a statement and its parameters.
pub fn change<const N: usize>(sql: &'static str, params: [Param; N]) -> Change {
    Change { sql, params: params.into(), adds: false }
}

/// A parameter. What is personal is named here and sealed or hashed by the runner, so that the views stay pure.
#[derive(Clone, PartialEq, Eq)]
pub enum Param {
    /// No value.
    Null,
    /// A number, a time in milliseconds, a truth value.
    Int(i64),
    /// A text in clear.
    Text(Cow<'static, str>),
    /// An id.
    Uuid(Uuid),
    /// A text to be sealed under the data key of the event's stream.
    Sealed {
        /// The column it goes to; part of the associated data.
        column: &'static str,
        /// The text.
        text: String,
    },
    /// A text to be found again by its keyed hash.
    Lookup {
        /// What is looked up; part of the hash.
        label: &'static str,
        /// The text.
        text: String,
    },
    /// A part of the event as it is stored, sealed values unopened.
    Stored(StoredPart),
}

/// A part of an event as the log keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoredPart {
    /// The type's stored name.
    EventType,
    /// Version of the type's shape.
    SchemaVersion,
    /// JSON of the metadata.
    Metadata,
    /// JSON of the data.
    Data,
}

impl fmt::Debug for Param {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("NULL"),
            Self::Int(value) => value.fmt(f),
            Self::Text(value) => write!(f, "{value:?}"),
            Self::Uuid(value) => value.fmt(f),
            Self::Sealed { column, .. } => write!(f, "[sealed {column}]"),
            Self::Lookup { label, .. } => write!(f, "[hashed {label}]"),
            Self::Stored(part) => part.fmt(f),
        }
    }
}

macro_rules! params {
    ($($from:ty => $convert:expr,)+) => {$(
        impl From<$from> for Param {
            fn from(value: $from) -> Self {
                ($convert)(value)
            }
        }
    )+};
}

params! {
    i64 => Self::Int,
    u32 => |value| Self::Int(i64::from(value)),
    u16 => |value| Self::Int(i64::from(value)),
    i32 => |value| Self::Int(i64::from(value)),
    u64 => |value| Self::Int(i64::try_from(value).unwrap_or(i64::MAX)),
    bool => |value| Self::Int(i64::from(value)),
    &'static str => |value| Self::Text(Cow::Borrowed(value)),
    String => |value| Self::Text(Cow::Owned(value)),
    Uuid => Self::Uuid,
    AccountId => |id: AccountId| Self::Uuid(id.0),
    SessionId => |id: SessionId| Self::Uuid(id.0),
    AccessTokenId => |id: AccessTokenId| Self::Uuid(id.0),
    ApiKeyId => |id: ApiKeyId| Self::Uuid(id.0),
    VerificationId => |id: VerificationId| Self::Uuid(id.0),
    EventId => |id: EventId| Self::Uuid(id.0),
    CommandId => |id: CommandId| Self::Uuid(id.0),
    MethodId => |id: MethodId| Self::Int(i64::from(id.0)),
    Timestamp => |at: Timestamp| Self::Int(at.as_millis()),
    Seconds => |span: Seconds| Self::Int(i64::from(span.0)),
    Position => |position: Position| Self::from(position.0),
    Version => |version: Version| Self::from(version.0),
    StoredPart => Self::Stored,
}

impl<T: Into<Self>> From<Option<T>> for Param {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}
