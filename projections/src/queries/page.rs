//! Pages, cursors, and the conditions of a query.

use domain::{
    secret::{from_hex, to_hex},
    time::Timestamp,
};
use serde::Serialize;
use uuid::Uuid;

use crate::{error::ViewError, row::Value};

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
    values: Vec<Value>,
}

impl Conditions {
    pub(super) fn add(&mut self, condition: &str, values: impl IntoIterator<Item = Value>) {
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
    /// The statement of a page, with its values: one row more than asked for, to know whether another follows. The
    /// limit is a parameter, so that pages of all lengths are one statement.
    pub(super) fn page(mut self, select: &str, order: &str, limit: u32) -> (String, Vec<Value>) {
        self.values.push(Value::Int(i64::from(limit.clamp(1, LONGEST)) + 1));
        (format!("{select}{} ORDER BY {order} LIMIT ${}", self.sql, self.values.len()), self.values)
    }
}
