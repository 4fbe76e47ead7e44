//! Rows as `COPY … (FORMAT binary)` takes them. Our columns are numbers of eight bytes, texts, bytes and ids, which
//! all stand there as they are.

use crate::digest::Cell;

/// What the stream of a table begins with.
pub(super) const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// What it ends with.
pub(super) const TRAILER: &[u8] = &(-1_i16).to_be_bytes();

/// Rows on their way.
#[derive(Default)]
pub(super) struct Rows(Vec<u8>);

impl Rows {
    /// Begins a row of so many columns.
    pub(super) fn row(&mut self, columns: usize) {
        self.0.extend_from_slice(&i16::try_from(columns).unwrap_or(i16::MAX).to_be_bytes());
    }

    /// The next value of the row.
    pub(super) fn put(&mut self, cell: Cell<'_>) {
        match cell {
            Cell::Null => self.0.extend_from_slice(&(-1_i32).to_be_bytes()),
            Cell::Int(number) => self.sized(&number.to_be_bytes()),
            Cell::Text(bytes) | Cell::Bytes(bytes) => self.sized(bytes),
        }
    }

    fn sized(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(&i32::try_from(bytes.len()).unwrap_or(i32::MAX).to_be_bytes());
        self.0.extend_from_slice(bytes);
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Takes what there is.
    pub(super) fn take(&mut self) -> Vec<u8> {
        let capacity = self.0.capacity();
        std::mem::replace(&mut self.0, Vec::with_capacity(capacity))
    }
}
