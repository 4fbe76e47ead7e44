//! The tables of a component, and how they came about.

use std::time::Duration;

use domain::secret::to_hex;
use sha2::{Digest, Sha256};
use tokio_postgres::Transaction;

use super::Database;
use crate::port::LogError;

/// Held while migrations are looked at or applied, by one process at a time (`CSgn` and 1).
const LOCK: i64 = 0x4353_676e_0000_0001;

/// How long to wait for another process that migrates.
const PATIENCE: Duration = Duration::from_mins(2);

/// A step to the next version of a component's tables. Its version is its place in the list, from 1; one that
/// was released is never changed.
#[derive(Debug, Clone, Copy)]
pub struct Migration {
    /// What it does, in a word or two.
    pub name: &'static str,
    /// Its statements.
    pub sql: &'static str,
}

impl Migration {
    fn checksum(&self) -> String {
        to_hex(&Sha256::digest(self.sql.as_bytes()))
    }
}

impl Database {
    /// Brings the tables of a component to the current version, all or nothing. Refuses, before anything is
    /// written, what a newer Countersign wrote and what was applied from another text.
    pub async fn migrate(&self, component: &'static str, migrations: &[Migration]) -> Result<(), LogError> {
        let mut client = self.client().await?;
        let failed = |error: tokio_postgres::Error| self.describe(&error);
        let transaction = self.timed(client.transaction()).await?;
        let settings = format!("SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = {}", PATIENCE.as_millis());
        transaction.batch_execute(&settings).await.map_err(failed)?;
        transaction.execute("SELECT pg_advisory_xact_lock($1)", &[&LOCK]).await.map_err(failed)?;
        let applied = applied(&transaction, component).await.map_err(failed)?;
        if applied.len() > migrations.len() {
            return Err(self.unreadable(&format!(
                "written by a newer Countersign (version {} of {component}, this one knows {})",
                applied.len(),
                migrations.len()
            )));
        }
        for (number, (known, migration)) in (1..).zip(applied.iter().zip(migrations)) {
            if *known != (number, migration.checksum()) {
                return Err(self.unreadable(&format!(
                    "version {number} of {component} ({}) was applied from another text than this Countersign knows: \
                     run the release that wrote it, or restore a backup",
                    migration.name
                )));
            }
        }
        for (number, migration) in (1_i32..).zip(migrations).skip(applied.len()) {
            transaction.batch_execute(migration.sql).await.map_err(failed)?;
            transaction
                .execute(
                    "INSERT INTO schema_migrations (component, version, checksum) VALUES ($1, $2, $3)",
                    &[&component, &number, &migration.checksum()],
                )
                .await
                .map_err(failed)?;
            tracing::info!(component, version = number, name = migration.name, "tables migrated");
        }
        transaction.commit().await.map_err(failed)
    }
}

/// Versions and checksums that were applied, in order.
async fn applied(transaction: &Transaction<'_>, component: &str) -> Result<Vec<(i32, String)>, tokio_postgres::Error> {
    // Asked first, for `IF NOT EXISTS` says something every time.
    let is_there = transaction.query_one("SELECT to_regclass('schema_migrations') IS NOT NULL", &[]).await?;
    if !is_there.try_get(0)? {
        transaction
            .batch_execute(
                "CREATE TABLE schema_migrations (component text NOT NULL, version integer NOT NULL, \
                 checksum text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (component, version))",
            )
            .await?;
    }
    let rows = transaction
        .query("SELECT version, checksum FROM schema_migrations WHERE component = $1 ORDER BY version", &[&component])
        .await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
}
