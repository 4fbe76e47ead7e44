//! The shadow of views that are rebuilt: filled, indexed and made known in one transaction, so that a rebuild which
//! ends early leaves nothing; then levelled, compared and put in place.

use std::sync::Arc;

use async_trait::async_trait;
use event_store::postgres::{Database, Dedicated};
use futures::TryStreamExt;
use schemas::envelope::Position;
use tokio::{sync::mpsc, task::JoinHandle};
use tokio_postgres::error::SqlState;
use tokio_util::sync::CancellationToken;

use super::{
    apply::{Applying, CHANNEL, signed, told},
    failed, fill,
    fill::Filler,
    schema::{add_key, drop_key},
    timed, unavailable,
};
use crate::{
    dialect::{self, Dialect, render},
    digest::{Cell, Hash, select},
    engine::{Digested, Pinned, Positions, SHADOW, Swap, Target, foremost},
    error::ViewError,
    feed::{Batch, ViewSet},
    views::VIEWS,
};

/// Held by a rebuild from its beginning to its end (`CSvw` and 2): one at a time, over all processes.
const REBUILD: i64 = 0x4353_7677_0000_0002;

/// Held by a rebuild while the live views must stand still (`CSvw` and 3); each transaction that applies shares it.
const STILL: i64 = 0x4353_7677_0000_0003;

/// What the connection of a rebuild is told first: its statements take as long as they take.
const SETTINGS: &str = "SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0;
    SET synchronous_commit = off; SET maintenance_work_mem = '128MB'; SET jit = off";

/// Batches that may wait for the one that fills.
const BATCHES: usize = 2;

/// A rebuild that is under way. When it is dropped its connection ends, and its lock with it.
pub(super) struct Rebuild {
    set: ViewSet,
    generations: Vec<(usize, i64)>,
    connection: Arc<Dedicated>,
    filling: Option<Filling>,
    /// Time of the last event.
    last_at: Option<i64>,
}

struct Filling {
    batches: mpsc::Sender<Batch>,
    folding: JoinHandle<Result<(), ViewError>>,
    copying: JoinHandle<Result<(), ViewError>>,
}

impl Drop for Rebuild {
    fn drop(&mut self) {
        if let Some(filling) = &self.filling {
            filling.copying.abort();
        }
    }
}

impl Rebuild {
    /// Waits for its turn, and makes the shadow's tables, without keys and indexes.
    pub(super) async fn begin(database: &Arc<Database>, set: ViewSet) -> Result<Self, ViewError> {
        let connection = Arc::new(database.dedicated().await.map_err(unavailable)?);
        let begin = async {
            connection.batch_execute(SETTINGS).await?;
            connection.execute("SELECT pg_advisory_lock($1)", &[&REBUILD]).await?;
            let mut generations = Vec::new();
            for row in connection.query("SELECT view, generation FROM view_checkpoints", &[]).await? {
                let (name, generation): (String, i64) = (row.try_get(0)?, row.try_get(1)?);
                generations
                    .extend(set.iter().find(|view| VIEWS[*view].name == name).map(|view| (view, generation + 1)));
            }
            connection.batch_execute("BEGIN").await?;
            for (view, generation) in &generations {
                for table in VIEWS[*view].tables {
                    connection.batch_execute(&format!("DROP TABLE IF EXISTS {}{SHADOW}", table.name)).await?;
                    connection.batch_execute(&dialect::create(Dialect::Postgres, table, SHADOW, *generation)).await?;
                    connection.batch_execute(&drop_key(table, SHADOW, *generation)).await?;
                }
            }
            Ok(generations)
        };
        let generations = begin.await.map_err(|error| failed(database, &error))?;
        let (batches, mut waiting) = mpsc::channel(BATCHES);
        let (pieces, copied) = mpsc::channel(fill::WAITING);
        let folding = tokio::task::spawn_blocking(move || Filler::new(set, pieces)?.run(&mut waiting));
        let copying = tokio::spawn(fill::copy(Arc::clone(database), Arc::clone(&connection), copied));
        Ok(Self { set, generations, connection, filling: Some(Filling { batches, folding, copying }), last_at: None })
    }

    pub(super) async fn fill(&mut self, batch: Batch) -> Result<(), ViewError> {
        let Some(filling) = &self.filling else { return Err(ViewError::Moved) };
        self.last_at = Some(batch.last_at.as_millis());
        match filling.batches.send(batch).await {
            Ok(()) => Ok(()),
            // It has ended, and says why.
            Err(_) => self.filled().await.and(Err(ViewError::Closed)),
        }
    }

    /// Waits for all that was handed in.
    async fn filled(&mut self) -> Result<(), ViewError> {
        let Some(Filling { batches, folding, copying }) = self.filling.take() else { return Ok(()) };
        drop(batches);
        let (folded, copied) = (folding.await, copying.await);
        // When the copying fails, the folding has nowhere to go: the first is the cause.
        copied.map_err(|_| ViewError::Closed)??;
        folded.map_err(|_| ViewError::Closed)?
    }

    /// Lets the live views stand still, or go on.
    pub(super) async fn hold(&self, database: &Database, still: bool) -> Result<(), ViewError> {
        let sql = if still { "SELECT pg_advisory_lock($1)" } else { "SELECT pg_advisory_unlock($1)" };
        timed(database, self.connection.execute(sql, &[&STILL])).await.map(drop)
    }

    /// Keys, indexes and statistics, then the checkpoints: from now on it can be seen.
    pub(super) async fn complete(&mut self, database: &Database, at: Position) -> Result<(), ViewError> {
        self.filled().await?;
        let connection = &self.connection;
        let complete = async {
            for (view, generation) in &self.generations {
                for table in VIEWS[*view].tables {
                    connection.batch_execute(&add_key(table, SHADOW, *generation)).await?;
                    for index in table.indexes {
                        connection.batch_execute(&render(Dialect::Postgres, index, SHADOW, *generation)).await?;
                    }
                    connection.batch_execute(&format!("ANALYZE {}{SHADOW}", table.name)).await?;
                }
                connection
                    .execute(
                        "INSERT INTO view_checkpoints (view, version, position, event_at, generation)
                         VALUES ($1, $2, $3, $4, $5)
                         ON CONFLICT (view) DO UPDATE SET version = excluded.version, position = excluded.position,
                            event_at = excluded.event_at, generation = excluded.generation",
                        &[
                            &Target::Shadow(self.set).checkpoint(*view),
                            &i64::from(VIEWS[*view].version),
                            &signed(at),
                            &self.last_at,
                            generation,
                        ],
                    )
                    .await?;
            }
            connection.batch_execute("COMMIT").await
        };
        complete.await.map_err(|error| failed(database, &error))
    }
}

/// A snapshot on a connection of its own.
struct Snapshot {
    connection: Dedicated,
}

fn described(error: &tokio_postgres::Error) -> ViewError {
    unavailable(event_store::postgres::describe(error))
}

#[async_trait]
impl Pinned for Snapshot {
    async fn digest(
        &mut self,
        view: usize,
        suffix: &'static str,
        cancel: &CancellationToken,
    ) -> Result<Digested, ViewError> {
        let mut hash = Hash::default();
        for table in VIEWS[view].tables {
            let columns = hash.begin(table);
            let none: [i64; 0] = [];
            let rows = self.connection.query_raw(&select(table, suffix), none).await;
            let mut rows = Box::pin(rows.map_err(|error| described(&error))?);
            while let Some(row) = rows.try_next().await.map_err(|error| described(&error))? {
                if hash.row().is_multiple_of(4_096) && cancel.is_cancelled() {
                    return Err(ViewError::Cancelled);
                }
                for column in 0..columns {
                    hash.add(row.try_get::<_, Cell<'_>>(column).map_err(|error| described(&error))?);
                }
            }
        }
        Ok(hash.finish())
    }
}

/// A snapshot in which live views and shadows stand at one position.
pub(super) async fn pin(
    database: &Database,
    set: ViewSet,
    compared: ViewSet,
    at: Position,
) -> Result<Option<Box<dyn Pinned>>, ViewError> {
    let connection = database.dedicated().await.map_err(unavailable)?;
    let standing = async {
        connection.batch_execute(SETTINGS).await?;
        connection.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
        let live: Vec<String> = compared.iter().map(|view| VIEWS[view].name.to_owned()).collect();
        let shadows = set.iter().map(|view| Target::Shadow(set).checkpoint(view));
        let names: Vec<String> = live.into_iter().chain(shadows).collect();
        let found = connection
            .query_one(
                "SELECT count(*) = cardinality($1::text[]) FROM view_checkpoints WHERE view = ANY ($1) AND position = $2",
                &[&names, &signed(at)],
            )
            .await?;
        found.try_get::<_, bool>(0)
    };
    let stands = timed(database, standing).await?;
    Ok(stands.then(|| Box::new(Snapshot { connection }) as Box<dyn Pinned>))
}

/// The last events, and the shadow's tables in place of the live ones, in one transaction. Whoever applies waits
/// for its end at the checkpoints, and whoever reads at the tables.
pub(super) async fn swap(database: &Database, applying: &mut Applying, swap: Swap) -> Result<(), ViewError> {
    let Swap { set, at, rest, target, now } = swap;
    let reached = rest.as_ref().map_or(at, |batch| batch.last);
    if reached < target {
        return Err(ViewError::Moved);
    }
    let event_at = rest.as_ref().map(|batch| batch.last_at.as_millis());
    let changes = match rest {
        Some(batch) => applying.changes(database, batch, Target::Shadow(set)).await?,
        None => Vec::new(),
    };
    let connection = &*applying.connection;
    let swap = async {
        // A reader that takes long is not waited for: those behind it would wait as well.
        connection.batch_execute("BEGIN; SET LOCAL lock_timeout = '500ms'").await?;
        let rows =
            connection.query("SELECT view, position FROM view_checkpoints ORDER BY view FOR UPDATE", &[]).await?;
        let mut live = Positions::default();
        let mut shadows = 0;
        for row in rows {
            let (name, position): (String, i64) = (row.try_get(0)?, row.try_get(1)?);
            let position = Position(position.unsigned_abs());
            if let Some(view) = VIEWS.iter().position(|view| view.name == name) {
                live[view] = position;
            } else if position == at && set.iter().any(|view| Target::Shadow(set).checkpoint(view) == name) {
                shadows += 1;
            }
        }
        if foremost(&live).1 != target || shadows != set.iter().count() {
            return Ok::<_, tokio_postgres::Error>(false);
        }
        for change in &changes {
            change.send(connection).await?;
        }
        let tables = || set.iter().flat_map(|view| VIEWS[view].tables);
        let names: Vec<&str> = tables().map(|table| table.name).collect();
        connection.batch_execute(&format!("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE", names.join(", "))).await?;
        for table in tables() {
            let name = table.name;
            connection
                .batch_execute(&format!("DROP TABLE {name}; ALTER TABLE {name}{SHADOW} RENAME TO {name}"))
                .await?;
        }
        for view in set.iter() {
            let (name, shadow) = (VIEWS[view].name, Target::Shadow(set).checkpoint(view));
            connection.execute("DELETE FROM view_checkpoints WHERE view = $1", &[&name]).await?;
            connection
                .execute(
                    "UPDATE view_checkpoints SET view = $1, position = $2, rebuilt_at = $3,
                        event_at = COALESCE($4, event_at) WHERE view = $5",
                    &[&name, &signed(reached), &now, &event_at, &shadow],
                )
                .await?;
        }
        connection.execute("SELECT pg_notify($1, $2)", &[&CHANNEL, &told(set, reached)]).await?;
        connection.batch_execute("COMMIT").await?;
        Ok(true)
    };
    let swapped = tokio::time::timeout(super::PATIENCE, swap).await;
    match swapped.map_err(|_| ViewError::Unavailable("the database does not answer".to_owned()))? {
        Ok(true) => Ok(()),
        Ok(false) => Err(ViewError::Moved),
        // Someone reads, or two waited for each other: again.
        Err(error) if matches!(error.code().map(SqlState::code), Some("55P03" | "40P01")) => Err(ViewError::Moved),
        Err(error) => Err(failed(database, &error)),
    }
}

/// Drops a shadow that can be seen already.
pub(super) async fn discard(database: &Database, set: ViewSet) -> Result<(), ViewError> {
    let connection = database.dedicated().await.map_err(unavailable)?;
    let discard = async {
        connection.batch_execute(SETTINGS).await?;
        connection.execute("SELECT pg_advisory_lock($1)", &[&REBUILD]).await?;
        connection.batch_execute("BEGIN").await?;
        for view in set.iter() {
            let name = Target::Shadow(set).checkpoint(view);
            connection.execute("DELETE FROM view_checkpoints WHERE view = $1", &[&name]).await?;
            for table in VIEWS[view].tables {
                connection.batch_execute(&format!("DROP TABLE IF EXISTS {}{SHADOW}", table.name)).await?;
            }
        }
        connection.batch_execute("COMMIT").await
    };
    discard.await.map_err(|error| failed(database, &error))
}
