//! The digest of a view in a file of SQLite; what it is made of stands in [`crate::digest`].

use rusqlite::{Connection, types::ValueRef};
use tokio_util::sync::CancellationToken;

use crate::{
    change::View,
    digest::{Cell, Hash, select},
    engine::Digested,
    error::ViewError,
};

/// Digests a view's tables, or with a suffix those of its shadow.
pub(crate) fn digest(
    connection: &Connection,
    view: &View,
    suffix: &str,
    cancel: &CancellationToken,
) -> Result<Digested, ViewError> {
    let mut hash = Hash::default();
    for table in view.tables {
        let columns = hash.begin(table);
        let mut statement = connection.prepare(&select(table, suffix))?;
        let mut found = statement.query([])?;
        while let Some(row) = found.next()? {
            if hash.row().is_multiple_of(4_096) && cancel.is_cancelled() {
                return Err(ViewError::Cancelled);
            }
            for column in 0..columns {
                hash.add(match row.get_ref(column)? {
                    ValueRef::Null => Cell::Null,
                    ValueRef::Integer(number) => Cell::Int(number),
                    ValueRef::Text(text) => Cell::Text(text),
                    ValueRef::Blob(bytes) => Cell::Bytes(bytes),
                    ValueRef::Real(_) => return Err(ViewError::Damaged("a view holds a fraction".to_owned())),
                });
            }
        }
    }
    Ok(hash.finish())
}
