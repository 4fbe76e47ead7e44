//! The digest of a view: SHA-256 over its rows in the order of their keys, of the columns that events
//! determine. Two views with one digest answer every query alike.

use rusqlite::{Connection, types::ValueRef};
use sha2::{Digest, Sha256};

use crate::{change::View, error::ViewError};

/// The digest and the number of rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Digested {
    pub(crate) digest: [u8; 32],
    pub(crate) rows: u64,
}

/// Digests a view's tables, or with a suffix those of its shadow.
pub(crate) fn digest(
    connection: &Connection,
    view: &View,
    suffix: &str,
    is_cancelled: &dyn Fn() -> bool,
) -> Result<Digested, ViewError> {
    let mut hash = Sha256::new();
    let mut rows = 0_u64;
    for table in view.tables {
        let columns = table.digest.split(',').count();
        hash.update(table.name.as_bytes());
        hash.update([0]);
        let sql = format!("SELECT {} FROM {}{suffix} ORDER BY {}", table.digest, table.name, table.key);
        let mut statement = connection.prepare(&sql)?;
        let mut found = statement.query([])?;
        while let Some(row) = found.next()? {
            rows += 1;
            if rows.is_multiple_of(4_096) && is_cancelled() {
                return Err(ViewError::Cancelled);
            }
            for column in 0..columns {
                add(&mut hash, row.get_ref(column)?);
            }
        }
    }
    Ok(Digested { digest: hash.finalize().into(), rows })
}

/// Each value with its type and length, so that no two rows read alike.
fn add(hash: &mut Sha256, value: ValueRef<'_>) {
    let mut sized = |kind: u8, bytes: &[u8]| {
        hash.update([kind]);
        hash.update((bytes.len() as u64).to_be_bytes());
        hash.update(bytes);
    };
    match value {
        ValueRef::Null => sized(0, &[]),
        ValueRef::Integer(number) => sized(1, &number.to_be_bytes()),
        ValueRef::Real(number) => sized(2, &number.to_be_bytes()),
        ValueRef::Text(text) => sized(3, text),
        ValueRef::Blob(bytes) => sized(4, bytes),
    }
}
