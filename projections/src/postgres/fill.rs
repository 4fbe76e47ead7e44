//! Filling the tables of a rebuild at the rate of `COPY`.
//!
//! Rows that are only ever added go straight into the stream of their table. Everything else is changed again and
//! again, so it is folded first, by the same statements as everywhere, in a temporary file of SQLite, which keeps
//! little in memory however long the log is; what is left at the end is copied.

use std::{collections::HashMap, io::Cursor, sync::Arc};

use event_store::postgres::{Database, Dedicated};
use futures::SinkExt;
use rusqlite::{Connection, params_from_iter, types::ValueRef};
use tokio::sync::mpsc;
use tokio_postgres::{CopyInSink, types::ToSql};

use super::{
    copy::{HEADER, Rows, TRAILER},
    failed,
    statement::{Put, puts, tables, touches},
    values::{Parameter, parameter},
};
use crate::{
    change::Table,
    dialect::{self, Dialect, render},
    digest::Cell,
    engine::SHADOW,
    error::ViewError,
    feed::{Batch, Ready, ViewSet},
    row::Value,
    sqlite,
};

/// Bytes of rows that go on their way together.
const PIECE: usize = 256 * 1_024;
/// Pieces that may wait.
pub(super) const WAITING: usize = 16;

/// What goes to the database, in order.
pub(super) enum Piece {
    /// Rows of a table with these columns.
    Rows { table: &'static str, columns: Arc<str>, rows: Vec<u8> },
    /// A statement over a whole table that was copied into before.
    Sweep { sql: String, parameters: Vec<Parameter> },
}

/// What becomes of a statement.
enum Way {
    /// A row is added to a table by what is put into its columns.
    Append { table: usize, puts: Arc<[Put]> },
    /// It goes to the temporary file.
    Fold(Arc<str>),
    /// It goes to rows that are copied already.
    Sweep,
}

/// A table that is copied into while the log is read.
struct Stream {
    table: &'static Table,
    columns: Arc<str>,
    rows: Rows,
}

/// Reads batches, and turns them into pieces.
pub(super) struct Filler {
    set: ViewSet,
    scratch: Connection,
    ways: HashMap<usize, Way>,
    streams: HashMap<usize, Stream>,
    out: mpsc::Sender<Piece>,
}

fn gone() -> ViewError {
    ViewError::Unavailable("the rebuild has ended early".to_owned())
}

impl Filler {
    pub(super) fn new(set: ViewSet, out: mpsc::Sender<Piece>) -> Result<Self, ViewError> {
        // No name: a temporary file that nobody else sees and that is gone with the connection.
        let scratch = Connection::open("")?;
        scratch.set_prepared_statement_cache_capacity(256);
        scratch.execute_batch(
            "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA locking_mode = EXCLUSIVE;
             PRAGMA temp_store = FILE; PRAGMA cache_size = -65536;",
        )?;
        for (_, view, table) in tables() {
            if set.contains(view) {
                scratch.execute_batch(&dialect::create(Dialect::Sqlite, table, "", 0))?;
                sqlite::file::create_indexes(&scratch, table, "", 0)?;
            }
        }
        Ok(Self { set, scratch, ways: HashMap::new(), streams: HashMap::new(), out })
    }

    /// Takes all batches, then hands over what was folded.
    pub(super) fn run(mut self, batches: &mut mpsc::Receiver<Batch>) -> Result<(), ViewError> {
        while let Some(batch) = batches.blocking_recv() {
            self.scratch.prepare_cached("BEGIN")?.execute([])?;
            for change in batch.changes {
                if self.set.contains(change.view) {
                    self.take(change)?;
                }
            }
            self.scratch.prepare_cached("COMMIT")?.execute([])?;
        }
        self.flush()?;
        for (_, view, table) in tables() {
            if self.set.contains(view) && table.appended.is_empty() {
                self.hand_over(table)?;
            }
        }
        Ok(())
    }

    fn take(&mut self, change: Ready) -> Result<(), ViewError> {
        let key = change.sql.as_ptr() as usize;
        if !self.ways.contains_key(&key) {
            let way = self.way(change.sql)?;
            self.ways.insert(key, way);
        }
        match self.ways.get(&key) {
            Some(Way::Append { table, puts }) => {
                let (table, puts) = (*table, Arc::clone(puts));
                self.append(table, &puts, &change.values)
            }
            Some(Way::Fold(sql)) => {
                let mut statement = self.scratch.prepare_cached(sql)?;
                for (index, value) in change.values.iter().enumerate() {
                    statement.raw_bind_parameter(index + 1, value)?;
                }
                statement.raw_execute()?;
                Ok(())
            }
            Some(Way::Sweep) | None => {
                self.flush()?;
                let sql = render(Dialect::Postgres, change.sql, SHADOW, 0);
                let parameters = change.values.into_iter().map(parameter).collect::<Result<_, _>>()?;
                self.out.blocking_send(Piece::Sweep { sql, parameters }).map_err(|_| gone())
            }
        }
    }

    fn way(&mut self, sql: &'static str) -> Result<Way, ViewError> {
        if let Some((index, _, table)) = tables().find(|(_, _, table)| table.appended.contains(&sql)) {
            let puts = puts(sql).ok_or_else(|| ViewError::Unavailable("no row is added".to_owned()))?;
            let (columns, puts): (Vec<String>, Vec<Put>) = puts.into_iter().unzip();
            let puts = puts.into_iter().map(|put| match put {
                Put::Asked(sql, with) => Put::Asked(render(Dialect::Sqlite, &sql, "", 0), with),
                Put::Param(number) => Put::Param(number),
            });
            let columns: Arc<str> = columns.join(", ").into();
            self.streams.entry(index).or_insert_with(|| Stream { table, columns, rows: Rows::default() });
            return Ok(Way::Append { table: index, puts: puts.collect() });
        }
        let touched = touches(sql);
        let is_copied = |index| tables().any(|(other, _, table)| other == index && !table.appended.is_empty());
        Ok(if touched.iter().any(|touch| is_copied(touch.table)) {
            Way::Sweep
        } else {
            Way::Fold(render(Dialect::Sqlite, sql, "", 0).into())
        })
    }

    fn append(&mut self, table: usize, puts: &[Put], values: &[Value]) -> Result<(), ViewError> {
        let Some(stream) = self.streams.get_mut(&table) else { return Ok(()) };
        stream.rows.row(puts.len());
        for put in puts {
            match put {
                Put::Param(number) => stream.rows.put(values.get(*number).map_or(Cell::Null, cell)),
                Put::Asked(sql, with) => {
                    let with = with.iter().filter_map(|number| values.get(*number));
                    let mut statement = self.scratch.prepare_cached(sql)?;
                    let mut found = statement.query(params_from_iter(with))?;
                    match found.next()? {
                        Some(row) => stream.rows.put(stored(row.get_ref(0)?)?),
                        None => stream.rows.put(Cell::Null),
                    }
                }
            }
        }
        if stream.rows.len() >= PIECE { self.send(table) } else { Ok(()) }
    }

    fn send(&mut self, table: usize) -> Result<(), ViewError> {
        let Some(stream) = self.streams.get_mut(&table) else { return Ok(()) };
        if stream.rows.len() == 0 {
            return Ok(());
        }
        let (columns, rows) = (Arc::clone(&stream.columns), stream.rows.take());
        self.out.blocking_send(Piece::Rows { table: stream.table.name, columns, rows }).map_err(|_| gone())
    }

    fn flush(&mut self) -> Result<(), ViewError> {
        let all: Vec<usize> = self.streams.keys().copied().collect();
        all.into_iter().try_for_each(|table| self.send(table))
    }

    /// Copies what was folded of a table, in the order of its key.
    fn hand_over(&self, table: &'static Table) -> Result<(), ViewError> {
        let mut statement = self.scratch.prepare(&format!("SELECT * FROM {}", table.name))?;
        let columns: Arc<str> = statement.column_names().collect::<Vec<_>>().join(", ").into();
        let count = statement.column_count();
        let send = |rows: Vec<u8>| {
            let piece = Piece::Rows { table: table.name, columns: Arc::clone(&columns), rows };
            self.out.blocking_send(piece).map_err(|_| gone())
        };
        let mut rows = Rows::default();
        let mut found = statement.query([])?;
        while let Some(row) = found.next()? {
            rows.row(count);
            for column in 0..count {
                rows.put(stored(row.get_ref(column)?)?);
            }
            if rows.len() >= PIECE {
                send(rows.take())?;
            }
        }
        if rows.len() > 0 { send(rows.take()) } else { Ok(()) }
    }
}

fn cell(value: &Value) -> Cell<'_> {
    match value {
        Value::Null => Cell::Null,
        Value::Int(number) => Cell::Int(*number),
        Value::Text(text) => Cell::Text(text.as_bytes()),
        Value::Uuid(id) => Cell::Bytes(id.as_bytes()),
        Value::Bytes(bytes) => Cell::Bytes(bytes),
    }
}

fn stored(value: ValueRef<'_>) -> Result<Cell<'_>, ViewError> {
    Ok(match value {
        ValueRef::Null => Cell::Null,
        ValueRef::Integer(number) => Cell::Int(number),
        ValueRef::Text(text) => Cell::Text(text),
        ValueRef::Blob(bytes) => Cell::Bytes(bytes),
        ValueRef::Real(_) => return Err(ViewError::Unavailable("a view holds a fraction".to_owned())),
    })
}

type Sink = std::pin::Pin<Box<CopyInSink<Cursor<Vec<u8>>>>>;

/// Brings pieces into the tables, in the transaction that made these: rows are frozen at once, and nobody sees them
/// before all is there.
pub(super) async fn copy(
    database: Arc<Database>,
    connection: Arc<Dedicated>,
    mut pieces: mpsc::Receiver<Piece>,
) -> Result<(), ViewError> {
    let describe = |error: tokio_postgres::Error| failed(&database, &error);
    let mut open: Option<(&'static str, Sink)> = None;
    while let Some(piece) = pieces.recv().await {
        match piece {
            Piece::Rows { table, columns, rows } => {
                if open.as_ref().is_none_or(|(other, _)| *other != table) {
                    close(&mut open).await.map_err(describe)?;
                    let sql = format!("COPY {table}{SHADOW} ({columns}) FROM STDIN (FORMAT binary, FREEZE)");
                    let mut sink: Sink = Box::pin(connection.copy_in(&sql).await.map_err(describe)?);
                    sink.send(Cursor::new(HEADER.to_vec())).await.map_err(describe)?;
                    open = Some((table, sink));
                }
                if let Some((_, sink)) = &mut open {
                    sink.send(Cursor::new(rows)).await.map_err(describe)?;
                }
            }
            Piece::Sweep { sql, parameters } => {
                close(&mut open).await.map_err(describe)?;
                let parameters: Vec<&(dyn ToSql + Sync)> =
                    parameters.iter().map(|one| &**one as &(dyn ToSql + Sync)).collect();
                connection.execute(&sql, &parameters).await.map_err(describe)?;
            }
        }
    }
    close(&mut open).await.map_err(describe)
}

async fn close(open: &mut Option<(&'static str, Sink)>) -> Result<(), tokio_postgres::Error> {
    let Some((_, mut sink)) = open.take() else { return Ok(()) };
    sink.send(Cursor::new(TRAILER.to_vec())).await?;
    sink.as_mut().finish().await.map(drop)
}
