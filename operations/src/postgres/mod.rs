//! Operations in PostgreSQL, shared by all processes.
//!
//! No commit here waits for the disk: the death of a process loses nothing of what the server has taken, and a crash
//! of the server at most the last half second. Limits then forget some charges, sessions seem idle a little longer,
//! workers read a little again; the claims in the delivery streams keep them from sending anything twice.

mod charging;
mod schema;
mod uses;

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use async_trait::async_trait;
use deadpool_postgres::Object;
use domain::{
    ids::SessionId,
    time::{Seconds, Timestamp},
};
use event_store::{
    port::{KeptAnswer, LogError},
    postgres::Database,
};
use schemas::envelope::Position;
use tokio::sync::oneshot;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use self::{
    charging::{Charging, Wish},
    uses::Uses,
};
use super::{
    holdings::{Bucket, Holdings},
    keeper::{OperationsKeeper, SealedMessage},
};

/// Begins a transaction whose commit does not wait for the disk.
const QUICKLY: &str = "BEGIN; SET LOCAL synchronous_commit = off";

/// The tables, and what waits for them in this process.
pub(super) struct PostgresOperations {
    database: Arc<Database>,
    charging: Charging,
    uses: Uses,
    is_closed: AtomicBool,
}

fn closed() -> LogError {
    LogError::Unavailable("operations are closed".to_owned())
}

/// Ends a connection that is in the middle of something.
fn discarded(client: Object) {
    drop(Object::take(client));
}

type Parameters<'a> = &'a [&'a (dyn ToSql + Sync)];

/// Runs statements in one transaction that does not wait for the disk, in one round trip.
async fn write(database: &Database, statements: &[(&str, Parameters<'_>)]) -> Result<(), LogError> {
    let client = database.client().await?;
    let written = async {
        let mut prepared = Vec::with_capacity(statements.len());
        for (sql, parameters) in statements {
            prepared.push((client.prepare_cached(sql).await?, *parameters));
        }
        let all = futures::future::try_join_all(prepared.iter().map(|(one, with)| client.execute(one, with)));
        futures::try_join!(client.batch_execute(QUICKLY), all, client.batch_execute("COMMIT")).map(drop)
    };
    let written = database.timed(written).await;
    if written.is_err() {
        discarded(client);
    }
    written
}

impl PostgresOperations {
    pub(super) async fn open(database: Arc<Database>) -> Result<Self, LogError> {
        database.migrate("operations", schema::MIGRATIONS).await?;
        Ok(Self {
            charging: Charging::start(Arc::clone(&database)),
            uses: Uses::start(Arc::clone(&database)),
            database,
            is_closed: AtomicBool::new(false),
        })
    }

    /// The database, until this was closed: others of the process go on with it.
    fn database(&self) -> Result<&Database, LogError> {
        if self.is_closed.load(Ordering::Relaxed) { Err(closed()) } else { Ok(&self.database) }
    }

    async fn ask(&self, sql: &str, parameters: Parameters<'_>) -> Result<Vec<tokio_postgres::Row>, LogError> {
        let client = self.database()?.client().await?;
        let ask = async {
            let statement = client.prepare_cached(sql).await?;
            client.query(&statement, parameters).await
        };
        self.database.timed(ask).await
    }
}

#[async_trait]
impl OperationsKeeper for PostgresOperations {
    async fn charge(&self, buckets: Vec<Bucket>, now: Timestamp) -> Result<Result<(), Seconds>, LogError> {
        let (reply, answer) = oneshot::channel();
        self.charging.hand_in(buckets, now, Wish::Charge(reply))?;
        answer.await.unwrap_or_else(|_| Err(closed()))
    }

    async fn refund(&self, buckets: Vec<Bucket>, now: Timestamp) -> Result<(), LogError> {
        let (reply, answer) = oneshot::channel();
        self.charging.hand_in(buckets, now, Wish::Refund(reply))?;
        answer.await.unwrap_or_else(|_| Err(closed()))
    }

    async fn count(&self, bucket: Bucket, now: Timestamp) -> Result<u32, LogError> {
        const SQL: &str = "SELECT charges FROM limits WHERE bucket = $1 AND window_seconds = $2";
        let rows = self.ask(SQL, &[&bucket.hash.as_slice(), &i64::from(bucket.window.0)]).await?;
        let mut holdings = Holdings::default();
        if let Some(row) = rows.first() {
            let charges: &[u8] = row.try_get(0).map_err(|error| self.database.describe(&error))?;
            holdings.insert(bucket.key(), charges);
        }
        Ok(holdings.count(&bucket, now))
    }

    async fn is_known_network(&self, network: [u8; 32]) -> Result<bool, LogError> {
        const SQL: &str = "SELECT network FROM known_networks WHERE network = $1";
        Ok(!self.ask(SQL, &[&network.as_slice()]).await?.is_empty())
    }

    async fn remember_network(
        &self,
        network: [u8; 32],
        now: Timestamp,
        again: Timestamp,
        forget: Timestamp,
    ) -> Result<(), LogError> {
        const FORGET: &str = "DELETE FROM known_networks WHERE network IN
            (SELECT network FROM known_networks WHERE seen_at < $1 LIMIT 64 FOR UPDATE SKIP LOCKED)";
        const REMEMBER: &str = "INSERT INTO known_networks (network, seen_at) VALUES ($1, $2)
            ON CONFLICT (network) DO UPDATE SET seen_at = excluded.seen_at WHERE known_networks.seen_at < $3";
        let (now, again, forget) = (now.as_millis(), again.as_millis(), forget.as_millis());
        let network = network.as_slice();
        write(self.database()?, &[(FORGET, &[&forget]), (REMEMBER, &[&network, &now, &again])]).await
    }

    async fn keep_answer(&self, answer: KeptAnswer, now: Timestamp) -> Result<KeptAnswer, LogError> {
        const FORGET: &str = "DELETE FROM answers WHERE key IN
            (SELECT key FROM answers WHERE expires_at <= $1 LIMIT 64 FOR UPDATE SKIP LOCKED)";
        const KEEP: &str = "INSERT INTO answers (key, body, answer, expires_at) VALUES ($1, $2, $3, $4)
            ON CONFLICT (key) DO UPDATE SET body = excluded.body, answer = excluded.answer,
                expires_at = excluded.expires_at WHERE answers.expires_at <= $5";
        const READ: &str = "SELECT body, answer, expires_at FROM answers WHERE key = $1";
        let (key, body, now) = (answer.key.as_slice(), answer.body.as_slice(), now.as_millis());
        let end = answer.expires_at.as_millis();
        let keep: Parameters<'_> = &[&key, &body, &answer.answer, &end, &now];
        write(self.database()?, &[(FORGET, &[&now]), (KEEP, keep)]).await?;
        let rows = self.ask(READ, &[&key]).await?;
        let row = rows.first().ok_or_else(|| LogError::Unavailable("an answer was not kept".to_owned()))?;
        let read = || -> Result<(&[u8], Vec<u8>, i64), tokio_postgres::Error> {
            Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?))
        };
        let (body, kept, end) = read().map_err(|error| self.database.describe(&error))?;
        let body = body.try_into().map_err(|_| LogError::Unreadable("a kept answer".to_owned()))?;
        Ok(KeptAnswer { key: answer.key, body, answer: kept, expires_at: Timestamp::from_millis(end) })
    }

    async fn load(&self, worker: &str) -> Result<Option<Position>, LogError> {
        let rows = self.ask("SELECT position FROM worker_checkpoints WHERE worker = $1", &[&worker]).await?;
        let position = rows.first().map(|row| row.try_get::<_, i64>(0)).transpose();
        let position = position.map_err(|error| self.database.describe(&error))?;
        Ok(position.map(|position| Position(position.unsigned_abs())))
    }

    async fn save(&self, worker: &str, position: Position) -> Result<(), LogError> {
        const SQL: &str = "INSERT INTO worker_checkpoints (worker, position) VALUES ($1, $2)
            ON CONFLICT (worker) DO UPDATE SET position = excluded.position";
        let position = i64::try_from(position.0).unwrap_or(i64::MAX);
        write(self.database()?, &[(SQL, &[&worker, &position])]).await
    }

    async fn put_message(&self, message: SealedMessage, kept: u32, since: Timestamp) -> Result<(), LogError> {
        const PUT: &str = "INSERT INTO inbox (message_id, recipient, at, box) VALUES ($1, $2, $3, $4)
            ON CONFLICT (message_id) DO NOTHING";
        const FORGET: &str = "DELETE FROM inbox WHERE at < $1 OR number <= (SELECT max(number) FROM inbox) - $2";
        let (at, since, kept) = (message.at.as_millis(), since.as_millis(), i64::from(kept));
        let recipient = message.recipient.as_slice();
        write(self.database()?, &[(PUT, &[&message.id, &recipient, &at, &message.sealed]), (FORGET, &[&since, &kept])])
            .await
    }

    async fn messages(&self, recipient: Option<[u8; 32]>, limit: u32) -> Result<Vec<(Uuid, Vec<u8>)>, LogError> {
        const SQL: &str = "SELECT message_id, box FROM inbox WHERE $1::bytea IS NULL OR recipient = $1
            ORDER BY number DESC LIMIT $2";
        let recipient = recipient.as_ref().map(<[u8; 32]>::as_slice);
        let rows = self.ask(SQL, &[&recipient, &i64::from(limit)]).await?;
        let read = |row: &tokio_postgres::Row| Ok((row.try_get(0)?, row.try_get(1)?));
        rows.iter().map(read).collect::<Result<_, _>>().map_err(|error| self.database.describe(&error))
    }

    async fn uses(&self, sessions: &[SessionId]) -> Result<Vec<(SessionId, Timestamp)>, LogError> {
        const SQL: &str = "SELECT session_id, last_used_at FROM session_activity WHERE session_id = ANY ($1)";
        let ids: Vec<Uuid> = sessions.iter().map(|session| session.0).collect();
        let rows = self.ask(SQL, &[&ids]).await?;
        let read =
            |row: &tokio_postgres::Row| Ok((SessionId(row.try_get(0)?), Timestamp::from_millis(row.try_get(1)?)));
        rows.iter().map(read).collect::<Result<_, _>>().map_err(|error| self.database.describe(&error))
    }

    async fn write_uses(&self, uses: Vec<(SessionId, Timestamp)>, forget: Option<Timestamp>) -> Result<(), LogError> {
        uses::write_uses(self.database()?, uses, forget).await
    }

    fn write_uses_later(&self, uses: Vec<(SessionId, Timestamp)>, forget: Option<Timestamp>) {
        self.uses.hand_in(uses, forget);
    }

    async fn close(&self) {
        self.uses.close().await;
        self.charging.close().await;
        self.is_closed.store(true, Ordering::Relaxed);
    }
}
