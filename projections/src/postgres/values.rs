//! Values to and from the driver.

use tokio_postgres::types::{FromSql, ToSql, Type};

use crate::{
    digest::Cell,
    error::ViewError,
    row::{Row, Value},
};

/// A parameter as the driver takes it.
pub(super) type Parameter = Box<dyn ToSql + Sync + Send>;

impl<'a> FromSql<'a> for Value {
    fn from_sql(of: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(match *of {
            Type::INT8 => Self::Int(i64::from_sql(of, raw)?),
            Type::INT4 => Self::Int(i32::from_sql(of, raw)?.into()),
            Type::UUID => Self::Uuid(uuid::Uuid::from_sql(of, raw)?),
            Type::BYTEA => Self::Bytes(raw.to_vec()),
            _ => Self::Text(String::from_sql(of, raw)?.into()),
        })
    }

    fn from_sql_null(_of: &Type) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self::Null)
    }

    fn accepts(of: &Type) -> bool {
        matches!(*of, Type::INT8 | Type::INT4 | Type::UUID | Type::BYTEA | Type::TEXT | Type::VARCHAR)
    }
}

impl<'a> FromSql<'a> for Cell<'a> {
    fn from_sql(of: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(match *of {
            Type::INT8 => Self::Int(i64::from_sql(of, raw)?),
            Type::TEXT => Self::Text(raw),
            _ => Self::Bytes(raw),
        })
    }

    fn from_sql_null(_of: &Type) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self::Null)
    }

    fn accepts(of: &Type) -> bool {
        matches!(*of, Type::INT8 | Type::UUID | Type::BYTEA | Type::TEXT)
    }
}

/// A row of the driver as one of ours.
pub(super) fn row(row: &tokio_postgres::Row) -> Result<Row, tokio_postgres::Error> {
    (0..row.len()).map(|column| row.try_get(column)).collect::<Result<_, _>>().map(Row)
}

/// A single value. Queries ask for values that there are.
pub(super) fn parameter(value: Value) -> Result<Parameter, ViewError> {
    Ok(match value {
        Value::Int(number) => Box::new(number),
        Value::Text(text) => Box::new(text),
        Value::Uuid(id) => Box::new(id),
        Value::Bytes(bytes) => Box::new(bytes),
        Value::Null => return Err(ViewError::Unavailable("a query asks for nothing".to_owned())),
    })
}

/// How the arrays of a statement for many rows are typed.
pub(super) fn name(of: &Type) -> Option<&'static str> {
    match *of {
        Type::INT8 => Some("bigint"),
        Type::TEXT => Some("text"),
        Type::UUID => Some("uuid"),
        Type::BYTEA => Some("bytea"),
        _ => None,
    }
}

/// The parameters of many rows: an array for each, in the order of `types`.
pub(super) fn arrays(types: &[Type], rows: Vec<Vec<Value>>) -> Result<Vec<Parameter>, ViewError> {
    let mut columns: Vec<Vec<Value>> = types.iter().map(|_| Vec::with_capacity(rows.len())).collect();
    for row in rows {
        for (column, value) in columns.iter_mut().zip(row) {
            column.push(value);
        }
    }
    types.iter().zip(columns).map(|(of, column)| array(of, column)).collect()
}

fn array(of: &Type, values: Vec<Value>) -> Result<Parameter, ViewError> {
    fn all<T: ToSql + Sync + Send + 'static>(
        values: Vec<Value>,
        read: impl Fn(Value) -> Option<T>,
    ) -> Result<Parameter, ViewError>
    where
        Option<T>: ToSql,
    {
        let other = || ViewError::Unavailable("a change has a value of another type than its column".to_owned());
        let read = |value| if value == Value::Null { Ok(None) } else { read(value).map(Some).ok_or_else(other) };
        Ok(Box::new(values.into_iter().map(read).collect::<Result<Vec<Option<T>>, _>>()?))
    }
    match *of {
        Type::INT8 => all(values, |value| if let Value::Int(number) = value { Some(number) } else { None }),
        Type::UUID => all(values, |value| if let Value::Uuid(id) = value { Some(id) } else { None }),
        Type::BYTEA => all(values, |value| if let Value::Bytes(bytes) = value { Some(bytes) } else { None }),
        _ => all(values, |value| if let Value::Text(text) = value { Some(text) } else { None }),
    }
}
