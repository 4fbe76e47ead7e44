//! The tables of views in PostgreSQL, and their bookkeeping.

use event_store::postgres::{Database, Migration};
use tokio_postgres::Transaction;

use super::{failed, unavailable};
use crate::{
    change::{Table, View},
    dialect::{self, Dialect, render},
    error::ViewError,
    views::VIEWS,
};

/// Held while the tables of views are looked at or made, by one process at a time (`CSvw` and 1).
const PREPARE: i64 = 0x4353_7677_0000_0001;

/// The bookkeeping. The tables of views are none of its business: each view has a version of its own, and one of
/// another version is made anew and filled from the log.
///
/// `view_runner` has one row: who applies now, and until when unless it says so again. Each new holder counts the
/// epoch up. `view_guard` begins each transaction that applies: it fails for a holder whose epoch is over, and
/// where the views do not stand where the batch begins. The row it shares is locked, so that whoever wants to
/// take over waits for the end of that transaction.
const MIGRATIONS: &[Migration] = &[Migration {
    name: "checkpoints and the runner",
    sql: r#"
CREATE TABLE view_checkpoints (
    view TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    version BIGINT NOT NULL,
    position BIGINT NOT NULL,
    event_at BIGINT,
    rebuilt_at BIGINT,
    generation BIGINT NOT NULL
) WITH (fillfactor = 50);
CREATE TABLE view_runner (
    one BOOLEAN NOT NULL PRIMARY KEY DEFAULT TRUE CHECK (one),
    epoch BIGINT NOT NULL,
    backend INTEGER NOT NULL,
    expires_at TIMESTAMPTZ NOT NULL
) WITH (fillfactor = 50);
INSERT INTO view_runner (epoch, backend, expires_at) VALUES (0, 0, '-infinity');
CREATE FUNCTION view_guard(own_epoch BIGINT, views TEXT[], begins_at BIGINT) RETURNS VOID LANGUAGE plpgsql AS $$
DECLARE
    standing BIGINT;
BEGIN
    IF own_epoch IS NOT NULL THEN
        -- A rebuild lets whoever applies stand still by this lock, before a row is held.
        PERFORM pg_advisory_xact_lock_shared(4851351477081341955);
        PERFORM 1 FROM view_runner WHERE epoch = own_epoch FOR SHARE;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'another process applies' USING ERRCODE = 'CS001';
        END IF;
    END IF;
    PERFORM 1 FROM view_checkpoints WHERE view = ANY (views) ORDER BY view FOR UPDATE;
    SELECT count(*) INTO standing FROM view_checkpoints WHERE view = ANY (views) AND position = begins_at;
    IF standing <> cardinality(views) THEN
        RAISE EXCEPTION 'the views stand elsewhere' USING ERRCODE = 'CS002';
    END IF;
END
$$;
"#,
}];

/// Makes the tables that are missing. A view of another version begins anew; the runner fills it beside the others.
pub(super) async fn prepare(database: &Database) -> Result<(), ViewError> {
    database.migrate("views", MIGRATIONS).await.map_err(unavailable)?;
    let mut client = database.client().await.map_err(unavailable)?;
    let transaction = client.transaction().await.map_err(|error| failed(database, &error))?;
    let prepared = async {
        transaction.batch_execute("SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = '30s'").await?;
        transaction.execute("SELECT pg_advisory_xact_lock($1)", &[&PREPARE]).await?;
        for view in VIEWS {
            prepare_view(&transaction, view).await?;
        }
        Ok(())
    };
    prepared.await.map_err(|error| failed(database, &error))?;
    transaction.commit().await.map_err(|error| failed(database, &error))
}

async fn prepare_view(transaction: &Transaction<'_>, view: &View) -> Result<(), tokio_postgres::Error> {
    let known = transaction
        .query_opt("SELECT version, generation FROM view_checkpoints WHERE view = $1 FOR UPDATE", &[&view.name])
        .await?;
    let known: Option<(i64, i64)> =
        known.map(|row| Ok::<_, tokio_postgres::Error>((row.try_get(0)?, row.try_get(1)?))).transpose()?;
    if known.is_some_and(|(version, _)| version == i64::from(view.version)) && are_there(transaction, view).await? {
        return Ok(());
    }
    let generation = known.map_or(0, |(_, generation)| generation + 1);
    for table in view.tables {
        transaction.batch_execute(&format!("DROP TABLE IF EXISTS {}", table.name)).await?;
        transaction.batch_execute(&dialect::create(Dialect::Postgres, table, "", generation)).await?;
        for index in table.indexes {
            transaction.batch_execute(&render(Dialect::Postgres, index, "", generation)).await?;
        }
    }
    transaction
        .execute(
            "INSERT INTO view_checkpoints (view, version, position, generation) VALUES ($1, $2, 0, $3)
             ON CONFLICT (view) DO UPDATE SET version = excluded.version, position = 0, event_at = NULL,
                rebuilt_at = NULL, generation = excluded.generation",
            &[&view.name, &i64::from(view.version), &generation],
        )
        .await?;
    Ok(())
}

async fn are_there(transaction: &Transaction<'_>, view: &View) -> Result<bool, tokio_postgres::Error> {
    for table in view.tables {
        let found = transaction.query_one("SELECT to_regclass($1) IS NOT NULL", &[&table.name]).await?;
        if !found.try_get::<_, bool>(0)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// What gives a filled table its primary key.
pub(super) fn add_key(table: &Table, suffix: &str, generation: i64) -> String {
    let (name, key) = (table.name, table.key);
    format!("ALTER TABLE {name}{suffix} ADD CONSTRAINT {} PRIMARY KEY ({key})", dialect::key_name(table, generation))
}

/// What takes it away until the table is filled.
pub(super) fn drop_key(table: &Table, suffix: &str, generation: i64) -> String {
    format!("ALTER TABLE {}{suffix} DROP CONSTRAINT {}", table.name, dialect::key_name(table, generation))
}
