//! Pages, cursors, and the conditions of a query.

use domain::{
    secret::{from_hex, to_hex},
    time::Timestamp,
};
use rusqlite::Row;
use serde::Serialize;
use uuid::Uuid;

use crate::{error::ViewError, feed::Value};

/// The longest page.
const LONGEST: u32 = 500;

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Page<T> {
    /// Its items.
    pub items: Vec<T>,
    /// Where the next page begins; none after the last one. Opaque.
    pub next_cursor: Option<String>,
}

/// In which order a list is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// The last one first.
    #[default]
    NewestFirst,
    /// The first one first.
    OldestFirst,
}

impl Order {
    pub(super) const fn comparison(self) -> &'static str {
        match self {
            Self::NewestFirst => "<",
            Self::OldestFirst => ">",
        }
    }
    pub(super) const fn direction(self) -> &'static str {
        match self {
            Self::NewestFirst => "DESC",
            Self::OldestFirst => "ASC",
        }
    }
}

/// The limit of a page, one more than asked for, to know whether another follows.
pub(super) fn one_more(limit: u32) -> i64 {
    i64::from(limit.clamp(1, LONGEST)) + 1
}

/// A page of rows that were read with one more.
pub(super) fn page<T>(mut items: Vec<T>, limit: u32, cursor: impl Fn(&T) -> String) -> Page<T> {
    let limit = limit.clamp(1, LONGEST) as usize;
    let is_more = items.len() > limit;
    items.truncate(limit);
    let next_cursor = items.last().filter(|_| is_more).map(cursor);
    Page { items, next_cursor }
}

/// The cursor behind a row at a time with an id.
pub(super) fn cursor_of(at: Timestamp, id: Uuid) -> String {
    let mut bytes = at.as_millis().to_be_bytes().to_vec();
    bytes.extend_from_slice(id.as_bytes());
    to_hex(&bytes)
}

pub(super) fn read_cursor(cursor: &str) -> Result<(Timestamp, Uuid), ViewError> {
    let bytes: [u8; 24] = from_hex(cursor).and_then(|bytes| bytes.try_into().ok()).ok_or(ViewError::InvalidCursor)?;
    let (at, id) = bytes.split_first_chunk::<8>().ok_or(ViewError::InvalidCursor)?;
    let id = Uuid::from_slice(id).map_err(|_| ViewError::InvalidCursor)?;
    Ok((Timestamp::from_millis(i64::from_be_bytes(*at)), id))
}

/// The conditions of a query; each `?` becomes the next numbered parameter.
#[derive(Default)]
pub(super) struct Conditions {
    sql: String,
    pub(super) values: Vec<Value>,
}

impl Conditions {
    pub(super) fn add<const N: usize>(&mut self, condition: &str, values: [Value; N]) {
        self.sql.push_str(if self.sql.is_empty() { " WHERE " } else { " AND " });
        let mut next = self.values.len();
        for c in condition.chars() {
            if c == '?' {
                next += 1;
                self.sql.push('$');
                self.sql.push_str(&next.to_string());
            } else {
                self.sql.push(c);
            }
        }
        self.values.extend(values);
    }
    pub(super) fn sql(&self) -> &str {
        &self.sql
    }
}

impl From<Timestamp> for Value {
    fn from(at: Timestamp) -> Self {
        Self::Int(at.as_millis())
    }
}

pub(super) fn uuid(row: &Row<'_>, column: usize) -> rusqlite::Result<Uuid> {
    row.get::<_, [u8; 16]>(column).map(Uuid::from_bytes)
}

pub(super) fn uuid_option(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Uuid>> {
    Ok(row.get::<_, Option<[u8; 16]>>(column)?.map(Uuid::from_bytes))
}

pub(super) fn time(row: &Row<'_>, column: usize) -> rusqlite::Result<Timestamp> {
    row.get(column).map(Timestamp::from_millis)
}

pub(super) fn time_option(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Timestamp>> {
    Ok(row.get::<_, Option<i64>>(column)?.map(Timestamp::from_millis))
}

/// A value that is stored by its stable name.
pub(super) fn named<T: serde::de::DeserializeOwned>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    let name: String = row.get(column)?;
    serde_json::from_value(serde_json::Value::String(name))
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, error.into()))
}
