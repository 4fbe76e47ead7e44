//! Values as they go to an engine and rows as they come from one, whichever it is.

use std::borrow::Cow;

use domain::{secret::to_hex, time::Timestamp};
use uuid::Uuid;

use crate::error::ViewError;

/// A value as an engine takes it and gives it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) enum Value {
    Null,
    Int(i64),
    Text(Cow<'static, str>),
    Uuid(Uuid),
    Bytes(Vec<u8>),
}

impl std::fmt::Debug for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Null => f.write_str("NULL"),
            Self::Int(value) => value.fmt(f),
            Self::Text(value) => write!(f, "{value:?}"),
            Self::Uuid(value) => value.fmt(f),
            Self::Bytes(value) => f.write_str(&to_hex(value)),
        }
    }
}

impl From<Timestamp> for Value {
    fn from(at: Timestamp) -> Self {
        Self::Int(at.as_millis())
    }
}

/// One row of an answer.
pub(crate) struct Row(pub(crate) Vec<Value>);

impl Row {
    /// A column's value. It is taken, not copied: each column is read once.
    pub(crate) fn get<T: Column>(&mut self, column: usize) -> Result<T, ViewError> {
        let value = self.0.get_mut(column).map(|value| std::mem::replace(value, Value::Null));
        value
            .and_then(T::read)
            .ok_or_else(|| ViewError::Unavailable(format!("column {column} of a row has another shape")))
    }

    /// A value that is stored by its stable name.
    pub(crate) fn named<T: serde::de::DeserializeOwned>(&mut self, column: usize) -> Result<T, ViewError> {
        let name: String = self.get(column)?;
        serde_json::from_value(serde_json::Value::String(name))
            .map_err(|_| ViewError::Unavailable(format!("column {column} of a row holds an unknown name")))
    }
}

/// What a column may hold.
pub(crate) trait Column: Sized {
    /// Reads it; `None` when it is something else.
    fn read(value: Value) -> Option<Self>;
}

impl Column for i64 {
    fn read(value: Value) -> Option<Self> {
        if let Value::Int(number) = value { Some(number) } else { None }
    }
}

macro_rules! smaller {
    ($($number:ty),+) => {$(
        impl Column for $number {
            fn read(value: Value) -> Option<Self> {
                i64::read(value).and_then(|number| number.try_into().ok())
            }
        }
    )+};
}

smaller!(u64, u32, u16, i32);

impl Column for bool {
    fn read(value: Value) -> Option<Self> {
        i64::read(value).map(|number| number != 0)
    }
}

impl Column for Timestamp {
    fn read(value: Value) -> Option<Self> {
        i64::read(value).map(Self::from_millis)
    }
}

impl Column for String {
    fn read(value: Value) -> Option<Self> {
        if let Value::Text(text) = value { Some(text.into_owned()) } else { None }
    }
}

impl Column for Vec<u8> {
    fn read(value: Value) -> Option<Self> {
        if let Value::Bytes(bytes) = value { Some(bytes) } else { None }
    }
}

impl Column for Uuid {
    // SQLite knows no ids, only their bytes.
    fn read(value: Value) -> Option<Self> {
        match value {
            Value::Uuid(id) => Some(id),
            Value::Bytes(bytes) => Self::from_slice(&bytes).ok(),
            Value::Null | Value::Int(_) | Value::Text(_) => None,
        }
    }
}

impl<T: Column> Column for Option<T> {
    fn read(value: Value) -> Option<Self> {
        match value {
            Value::Null => Some(None),
            other => T::read(other).map(Some),
        }
    }
}
