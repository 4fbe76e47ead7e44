//! Where views and operations are kept: each engine, in the same words.
#![expect(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a test without its place cannot go on")]

use std::{path::Path, sync::Arc};

use crate::postgres::TestDatabase;
use event_store::postgres::Database;
use rusqlite::Connection;
use tempfile::TempDir;

/// Which engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum On {
    /// Files in a folder.
    Sqlite,
    /// A database.
    Postgres,
}

/// Runs tests over each engine.
#[macro_export]
macro_rules! over_each_engine {
    ($($(#[$like:meta])* $name:ident),+ $(,)?) => {
        mod over_sqlite {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    super::$name($crate::place::On::Sqlite).await;
                }
            )+
        }
        mod over_postgres {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    super::$name($crate::place::On::Postgres).await;
                }
            )+
        }
    };
}
/// A place of one test.
pub struct Place {
    /// Its folder.
    pub dir: TempDir,
    /// Its database, on PostgreSQL.
    pub database: Option<TestDatabase>,
}

impl Place {
    /// An empty one.
    pub async fn new(on: On) -> Self {
        let dir = tempfile::tempdir().unwrap();
        match on {
            On::Sqlite => Self { dir, database: None },
            On::Postgres => Self { dir, database: Some(TestDatabase::fresh().await) },
        }
    }

    /// In a database that is there.
    pub fn at(database: TestDatabase) -> Self {
        Self { dir: tempfile::tempdir().unwrap(), database: Some(database) }
    }

    /// Where views go on `SQLite`.
    pub fn views_file(&self) -> std::path::PathBuf {
        self.dir.path().join("views.db")
    }

    /// Where operations go on `SQLite`.
    pub fn operations_file(&self) -> std::path::PathBuf {
        self.dir.path().join("operations.db")
    }

    /// A way of its own to the database, as another process has one.
    pub async fn connect(&self) -> Arc<Database> {
        let mut options = self.database.as_ref().unwrap().options();
        options.pool_size = 4;
        Database::connect(&options).await.unwrap()
    }

    /// Changes what is kept, behind everybody's back.
    pub async fn alter(&self, file: &Path, sql: &str) {
        if let Some(database) = &self.database {
            return database.client().await.batch_execute(sql).await.unwrap();
        }
        Connection::open(file).unwrap().execute_batch(sql).unwrap();
    }

    /// Numbers that stand there.
    pub async fn numbers(&self, file: &Path, sql: &str) -> Vec<i64> {
        if let Some(database) = &self.database {
            return database.client().await.query(sql, &[]).await.unwrap().iter().map(|row| row.get(0)).collect();
        }
        let file = Connection::open(file).unwrap();
        let mut all = file.prepare(sql).unwrap();
        all.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }

    /// Names of tables and indexes that contain a text.
    pub async fn names(&self, file: &Path, part: &str) -> Vec<String> {
        if let Some(database) = &self.database {
            let sql = "SELECT relname::text FROM pg_class WHERE strpos(relname, $1) > 0";
            return database.client().await.query(sql, &[&part]).await.unwrap().iter().map(|row| row.get(0)).collect();
        }
        let file = Connection::open(file).unwrap();
        let mut all = file.prepare("SELECT name FROM sqlite_master WHERE instr(name, ?1) > 0").unwrap();
        all.query_map([part], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }

    /// Whether a text stands anywhere in it.
    pub async fn holds(&self, text: &str) -> bool {
        if let Some(database) = &self.database {
            let client = database.client().await;
            let tables = client.query("SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'", &[]).await;
            for table in tables.unwrap() {
                for row in client.query(&format!("SELECT * FROM {}", table.get::<_, &str>(0)), &[]).await.unwrap() {
                    let holds = |column| {
                        let bytes: Option<Anything> = row.get(column);
                        bytes.is_some_and(|bytes| contains(&bytes.0, text))
                    };
                    if (0..row.len()).any(holds) {
                        return true;
                    }
                }
            }
            return false;
        }
        std::fs::read_dir(self.dir.path())
            .unwrap()
            .any(|file| contains(&std::fs::read(file.unwrap().path()).unwrap_or_default(), text))
    }
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

/// A value as it stands there.
struct Anything(Vec<u8>);

impl tokio_postgres::types::FromSql<'_> for Anything {
    fn from_sql(_: &tokio_postgres::types::Type, raw: &[u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self(raw.to_vec()))
    }

    fn accepts(_: &tokio_postgres::types::Type) -> bool {
        true
    }
}
