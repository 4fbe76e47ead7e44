//! Applying a batch: one transaction, sent whole before anything of it is answered. A batch costs one round trip,
//! and each statement of it works on many rows.

use std::{collections::HashMap, future::Future, pin::Pin, task::Poll};

use event_store::postgres::{Database, Dedicated};
use schemas::envelope::Position;
use tokio_postgres::{
    Client, Statement,
    types::{ToSql, Type},
};

use super::{
    coalesce::{Group, Shapes, coalesce},
    statement::for_many,
    timed, unavailable,
    values::{Parameter, arrays, name},
};
use crate::{
    dialect::{Dialect, render},
    engine::Target,
    error::ViewError,
    feed::{Batch, ViewSet},
    views::VIEWS,
};

/// Where moves of checkpoints are told.
pub(super) const CHANNEL: &str = "countersign_views";

/// What the connection that applies is told first. Each statement goes to its rows by an index: a plan that was
/// made while a table was small must not read the whole of it later. A commit does not wait for the disk: what a
/// crash of the server loses is at the end, together with the checkpoints, and is applied again.
const SETTINGS: &str = "SET synchronous_commit = off; SET enable_seqscan = off; SET enable_hashjoin = off;
    SET enable_mergejoin = off; SET jit = off; SET idle_in_transaction_session_timeout = '5s'";

/// A connection that applies, with its prepared statements.
pub(super) struct Applying {
    pub(super) connection: Dedicated,
    shapes: Shapes,
    prepared: HashMap<(usize, &'static str), Prepared>,
    frame: Frame,
}

/// The statements around the changes.
struct Frame {
    guard: Statement,
    advance: Statement,
    tell: Statement,
}

#[derive(Clone)]
struct Prepared {
    statement: Statement,
    types: Vec<Type>,
}

/// A statement on its way.
pub(super) type Sent<'a> = Pin<Box<dyn Future<Output = Result<(), tokio_postgres::Error>> + Send + 'a>>;

impl Applying {
    pub(super) async fn connect(database: &Database) -> Result<Self, ViewError> {
        let connection = database.dedicated().await.map_err(unavailable)?;
        let prepare = async {
            connection.batch_execute(SETTINGS).await?;
            Ok(Frame {
                guard: connection.prepare("SELECT view_guard($1, $2, $3)").await?,
                advance: connection
                    .prepare("UPDATE view_checkpoints SET position = $1, event_at = $2 WHERE view = ANY ($3)")
                    .await?,
                tell: connection.prepare("SELECT pg_notify($1, $2)").await?,
            })
        };
        let frame = timed(database, prepare).await?;
        Ok(Self { connection, shapes: Shapes::default(), prepared: HashMap::new(), frame })
    }

    /// Applies a batch in a transaction of its own. `epoch` is that of the process that applies to live tables.
    pub(super) async fn apply(
        &mut self,
        database: &Database,
        batch: Batch,
        target: Target,
        epoch: Option<i64>,
    ) -> Result<(), ViewError> {
        let (after, last, last_at) = (signed(batch.after), batch.last, batch.last_at);
        let changes = self.changes(database, batch, target).await?;
        let names: Vec<String> = target.views().iter().map(|view| target.checkpoint(view)).collect();
        let (position, at) = (signed(last), last_at.as_millis());
        let told = told(target.views(), last);
        let client = &*self.connection;
        let mut sent: Vec<Sent<'_>> = Vec::with_capacity(changes.len() + 5);
        sent.push(Box::pin(client.batch_execute("BEGIN")));
        sent.push(execute(client, &self.frame.guard, vec![&epoch, &names, &after]));
        for change in &changes {
            sent.push(change.send(client));
        }
        sent.push(execute(client, &self.frame.advance, vec![&position, &at, &names]));
        if matches!(target, Target::Live(_)) {
            sent.push(execute(client, &self.frame.tell, vec![&CHANNEL, &told]));
        }
        sent.push(Box::pin(client.batch_execute("COMMIT")));
        timed(database, in_order(sent)).await
    }

    /// Statements with their parameters, for the tables of `target`.
    pub(super) async fn changes(
        &mut self,
        database: &Database,
        batch: Batch,
        target: Target,
    ) -> Result<Vec<Filled>, ViewError> {
        let wanted = batch.changes.into_iter().filter(|change| target.views().contains(change.view));
        let groups = coalesce(&mut self.shapes, wanted);
        let mut all = Vec::with_capacity(groups.len());
        for Group { sql, rows } in groups {
            let prepared = self.prepared(database, sql, target.suffix()).await?;
            let parameters = arrays(&prepared.types, rows)?;
            all.push(Filled { statement: prepared.statement, parameters });
        }
        Ok(all)
    }

    /// A statement of a view, for many rows.
    async fn prepared(
        &mut self,
        database: &Database,
        sql: &'static str,
        suffix: &'static str,
    ) -> Result<Prepared, ViewError> {
        let key = (sql.as_ptr() as usize, suffix);
        if let Some(known) = self.prepared.get(&key) {
            return Ok(known.clone());
        }
        let one = render(Dialect::Postgres, sql, suffix, 0);
        let client = &*self.connection;
        let prepare = async {
            // The server knows which types the parameters have; the statement for one row is not kept.
            let types = client.prepare(&one).await?.params().to_vec();
            let names: Option<Vec<&str>> = types.iter().map(name).collect();
            let Some(many) = names.and_then(|names| for_many(&one, &names)) else { return Ok(None) };
            Ok(Some(Prepared { statement: client.prepare(&many).await?, types }))
        };
        let prepared = timed(database, prepare).await?;
        let prepared =
            prepared.ok_or_else(|| ViewError::Unavailable("a change that cannot be said for many rows".to_owned()))?;
        self.prepared.insert(key, prepared.clone());
        Ok(prepared)
    }
}

/// A statement with its parameters.
pub(super) struct Filled {
    statement: Statement,
    parameters: Vec<Parameter>,
}

impl Filled {
    pub(super) fn send<'a>(&'a self, client: &'a Client) -> Sent<'a> {
        let parameters = self.parameters.iter().map(|one| &**one as &(dyn ToSql + Sync)).collect();
        execute(client, &self.statement, parameters)
    }
}

fn execute<'a>(client: &'a Client, statement: &'a Statement, parameters: Vec<&'a (dyn ToSql + Sync)>) -> Sent<'a> {
    Box::pin(async move { client.execute(statement, &parameters).await.map(drop) })
}

/// Sends all statements at once, in order, and then waits for their answers. The first failure is returned: those
/// behind it fail because of it, and the end of the transaction takes everything back.
async fn in_order(mut statements: Vec<Sent<'_>>) -> Result<(), tokio_postgres::Error> {
    // A statement is sent when it is first polled.
    let mut answers: Vec<Poll<Result<(), tokio_postgres::Error>>> = Vec::with_capacity(statements.len());
    for statement in &mut statements {
        answers.push(futures::poll!(statement));
    }
    let mut first = Ok(());
    for (statement, answer) in statements.into_iter().zip(answers) {
        let answer = match answer {
            Poll::Ready(answer) => answer,
            Poll::Pending => statement.await,
        };
        first = first.and(answer);
    }
    first
}

/// A position as the database counts; ours stay far below the difference.
pub(super) fn signed(position: Position) -> i64 {
    i64::try_from(position.0).unwrap_or(i64::MAX)
}

/// What is told of a move: which views, and where they stand now.
pub(super) fn told(views: ViewSet, position: Position) -> String {
    let names: Vec<&str> = views.iter().map(|view| VIEWS[view].name).collect();
    format!("{} {}", position.0, names.join(" "))
}

/// Reads it again.
pub(super) fn heard(told: &str) -> Option<(ViewSet, Position)> {
    let mut words = told.split(' ');
    let position = Position(words.next()?.parse().ok()?);
    let views = words.filter_map(|name| VIEWS.iter().position(|view| view.name == name)).collect();
    Some((views, position))
}
