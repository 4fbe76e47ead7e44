//! The database: how it is reached, and what is refused.
#![cfg(feature = "postgres")]
#![expect(clippy::unwrap_used, reason = "tests")]

use event_store::{
    port::LogError,
    postgres::{Database, Migration},
    testing::postgres::TestDatabase,
};

const ONE: Migration = Migration { name: "things", sql: "CREATE TABLE things (id bigint PRIMARY KEY)" };
const TWO: Migration = Migration { name: "names", sql: "ALTER TABLE things ADD COLUMN name text" };

#[tokio::test]
async fn migrations_are_applied_once_and_in_order() {
    let test = TestDatabase::fresh().await;
    let database = Database::connect(&test.options()).await.unwrap();
    database.migrate("things", &[ONE]).await.unwrap();
    database.migrate("things", &[ONE, TWO]).await.unwrap();
    database.migrate("things", &[ONE, TWO]).await.unwrap();
    let client = database.client().await.unwrap();
    let applied = client.query("SELECT version FROM schema_migrations ORDER BY version", &[]).await.unwrap();
    assert_eq!(applied.iter().map(|row| row.get::<_, i32>(0)).collect::<Vec<_>>(), [1, 2]);
    client.execute("INSERT INTO things (id, name) VALUES (1, 'one')", &[]).await.unwrap();
}

#[tokio::test]
async fn what_a_newer_version_wrote_is_refused() {
    let test = TestDatabase::fresh().await;
    let database = Database::connect(&test.options()).await.unwrap();
    database.migrate("things", &[ONE, TWO]).await.unwrap();
    let error = database.migrate("things", &[ONE]).await.unwrap_err();
    assert!(matches!(error, LogError::Unreadable(_)));
    assert!(error.to_string().contains("written by a newer Countersign (version 2 of things, this one knows 1)"));
}
