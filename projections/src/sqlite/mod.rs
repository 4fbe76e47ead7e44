//! The views in SQLite: a file of their own, one thread that writes, a few connections that read.

mod apply;
mod digest;
pub(crate) mod file;
mod shadow;
mod threads;

use std::{
    borrow::Cow,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use rusqlite::types::ValueRef;
use schemas::envelope::Position;
use tokio::sync::{Notify, watch};

use self::{
    apply::{apply, transaction},
    threads::{Readers, Writer},
};
use crate::{
    engine::{Pinned, Positions, Swap, Target, ViewEngine},
    error::ViewError,
    feed::{Batch, ViewSet},
    row::{Row, Value},
};

/// Connections that read at a time.
const READERS: usize = 3;
/// How often the file is asked where it stands, when another process runs the views.
const ASK_FILE: Duration = Duration::from_millis(20);

/// All views, in one file.
pub(crate) struct SqliteEngine {
    writer: Writer,
    readers: Readers,
    /// A query found the file damaged.
    damaged: Notify,
    /// What the file was marked with by this process.
    marker: Arc<Mutex<Option<String>>>,
}

impl SqliteEngine {
    /// Opens the file, or makes it. A damaged or foreign file is deleted; the runner fills the new one.
    pub(crate) async fn open(path: &Path) -> Result<Self, ViewError> {
        let owned = path.to_owned();
        let opened = tokio::task::spawn_blocking(move || file::open(&owned)).await;
        let (connection, reason) = opened.map_err(|_| ViewError::Closed)??;
        if let Some(reason) = reason {
            tracing::warn!(reason, "the views' file was damaged: it is rebuilt from the log");
        }
        Ok(Self {
            writer: Writer::start(connection, path)?,
            readers: Readers::new(path, READERS),
            damaged: Notify::new(),
            marker: Arc::default(),
        })
    }
}

fn value(value: ValueRef<'_>) -> rusqlite::Result<Value> {
    Ok(match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => Value::Int(number),
        ValueRef::Text(_) => Value::Text(value.as_str()?.to_owned().into()),
        ValueRef::Blob(bytes) => Value::Bytes(bytes.to_owned()),
        ValueRef::Real(_) => return Err(rusqlite::Error::InvalidQuery),
    })
}

#[async_trait]
impl ViewEngine for SqliteEngine {
    async fn read(&self, sql: Cow<'static, str>, values: Vec<Value>) -> Result<Vec<Row>, ViewError> {
        let found = self
            .readers
            .read(move |connection| {
                let mut statement = connection.prepare_cached(&sql)?;
                let columns = statement.column_count();
                statement
                    .query_map(rusqlite::params_from_iter(&values), |row| {
                        (0..columns).map(|column| value(row.get_ref(column)?)).collect::<Result<_, _>>().map(Row)
                    })?
                    .collect()
            })
            .await;
        if matches!(found, Err(ViewError::Damaged(_))) {
            self.damaged.notify_one();
        }
        found
    }

    fn ask_every(&self) -> Duration {
        ASK_FILE
    }

    fn fills_faster(&self) -> bool {
        false
    }

    /// A file tells nobody.
    async fn listen(&self, _heard: &watch::Sender<Positions>) {
        std::future::pending::<()>().await;
    }

    /// Says in the file that it is being written (once).
    async fn begin_writing(&self) -> Result<(), ViewError> {
        let marker = Arc::clone(&self.marker);
        self.writer
            .run(move |state| {
                let mut marker = marker.lock().unwrap_or_else(PoisonError::into_inner);
                if marker.is_none() {
                    *marker = Some(file::mark_open(&state.connection)?);
                }
                Ok(())
            })
            .await
    }

    /// Whoever runs the views of a file may: a batch goes through only where they stand at its beginning.
    async fn lead(&self) -> Result<(), ViewError> {
        Ok(())
    }

    async fn resign(&self) {}

    async fn apply(&self, batch: Batch, target: Target) -> Result<(), ViewError> {
        self.writer.run(move |state| apply(state, &batch, target)).await
    }

    async fn interrupted(&self) -> ViewError {
        self.damaged.notified().await;
        ViewError::Damaged("a query could not read it".to_owned())
    }

    /// Deletes the file and makes it anew.
    async fn recreate(&self) -> Result<(), ViewError> {
        let marker = Arc::clone(&self.marker);
        let made = self
            .writer
            .run(move |state| {
                // The old connection must be gone before its file is.
                state.connection = rusqlite::Connection::open_in_memory()?;
                file::delete(&state.path).map_err(|error| ViewError::Unavailable(error.to_string()))?;
                state.connection = file::open(&state.path)?.0;
                *marker.lock().unwrap_or_else(PoisonError::into_inner) = Some(file::mark_open(&state.connection)?);
                Ok(())
            })
            .await;
        self.readers.renew();
        made
    }

    async fn begin_shadow(&self, set: ViewSet) -> Result<(), ViewError> {
        self.writer.run(move |state| transaction(state, |state| shadow::begin(state, set))).await
    }

    async fn fill_shadow(&self, set: ViewSet, batch: Batch) -> Result<(), ViewError> {
        self.apply(batch, Target::Shadow(set)).await
    }

    async fn complete_shadow(&self, set: ViewSet, _at: Position) -> Result<(), ViewError> {
        shadow::index(&self.writer, set).await
    }

    /// SQLite lets one write at a time, over all processes: it is us, until they go on.
    async fn hold(&self, still: bool) -> Result<(), ViewError> {
        self.writer.run(move |state| if still { state.hold() } else { state.go_on() }).await
    }

    async fn pin(&self, set: ViewSet, compared: ViewSet, at: Position) -> Result<Option<Box<dyn Pinned>>, ViewError> {
        self.writer.run(move |state| shadow::pin(state, set, compared, at)).await
    }

    async fn swap(&self, swap: Swap) -> Result<(), ViewError> {
        self.writer.run(move |state| shadow::swap(state, &swap)).await
    }

    async fn tidy(&self, set: ViewSet) -> Result<(), ViewError> {
        self.writer.run(move |state| shadow::drop_old(state, set)).await
    }

    fn discard_shadow(&self, set: ViewSet) {
        drop(self.writer.hand_in(Box::new(move |state| drop(shadow::drop_shadow(state, set)))));
    }

    async fn close(&self) {
        self.readers.close();
        let marker = self.marker.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(own) = marker {
            let closed = self.writer.run(move |state| Ok(file::mark_clean(&state.connection, &own)?)).await;
            if let Err(error) = closed {
                tracing::warn!(%error, "the views' file could not be closed in order; it is rebuilt when the machine restarts");
            }
        }
        self.writer.close().await;
    }
}
