//! The digest of a view: SHA-256 over its rows in the order of their keys, of the columns that events
//! determine. Two views with one digest answer every query alike, whichever engine keeps them.

use sha2::{Digest, Sha256};

use crate::{change::Table, engine::Digested};

/// A value as it is digested.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Cell<'a> {
    Null,
    Int(i64),
    Text(&'a [u8]),
    /// Bytes, and ids as theirs.
    Bytes(&'a [u8]),
}

/// A digest that is being made.
#[derive(Default)]
pub(crate) struct Hash {
    hash: Sha256,
    rows: u64,
}

/// The rows of a table as they are digested.
pub(crate) fn select(table: &Table, suffix: &str) -> String {
    format!("SELECT {} FROM {}{suffix} ORDER BY {}", table.digest, table.name, table.key)
}

impl Hash {
    /// Begins a table; returns how many columns its rows have.
    pub(crate) fn begin(&mut self, table: &Table) -> usize {
        self.hash.update(table.name.as_bytes());
        self.hash.update([0]);
        table.digest.split(',').count()
    }

    /// Begins a row; returns how many there are now.
    pub(crate) fn row(&mut self) -> u64 {
        self.rows += 1;
        self.rows
    }

    /// Each value with its type and length, so that no two rows read alike.
    pub(crate) fn add(&mut self, cell: Cell<'_>) {
        let mut sized = |kind: u8, bytes: &[u8]| {
            self.hash.update([kind]);
            self.hash.update((bytes.len() as u64).to_be_bytes());
            self.hash.update(bytes);
        };
        match cell {
            Cell::Null => sized(0, &[]),
            Cell::Int(number) => sized(1, &number.to_be_bytes()),
            Cell::Text(text) => sized(3, text),
            Cell::Bytes(bytes) => sized(4, bytes),
        }
    }

    pub(crate) fn finish(self) -> Digested {
        Digested { digest: self.hash.finalize().into(), rows: self.rows }
    }
}
