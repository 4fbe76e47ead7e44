//! The database: how it is reached, and what is refused with one clear line.
#![cfg(feature = "postgres")]
#![expect(clippy::unwrap_used, reason = "tests")]

use std::{path::Path, sync::Arc, time::Duration};

use domain::secret::SecretText;
use event_store::{
    port::{EventLog, KeyStore, LogError, WrappedKey},
    postgres::{Database, DatabaseOptions, Migration, PostgresOptions, PostgresStore},
};
use schemas::envelope::Position;
use servers::postgres::{PostgresServer, TestDatabase};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

const ONE: Migration = Migration { name: "things", sql: "CREATE TABLE things (id bigint PRIMARY KEY)" };
const TWO: Migration = Migration { name: "names", sql: "ALTER TABLE things ADD COLUMN name text" };

async fn connect(test: &TestDatabase) -> Arc<Database> {
    Database::connect(&test.options()).await.unwrap()
}

fn at(url: &str) -> DatabaseOptions {
    DatabaseOptions::at(SecretText::new(url.to_owned()))
}

async fn refusal(options: &DatabaseOptions) -> String {
    let error = Database::connect(options).await.unwrap_err().to_string();
    assert!(!error.contains('\n'), "{error}");
    error
}

async fn tables(test: &TestDatabase) -> i64 {
    let client = test.client().await;
    let sql = "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace";
    client.query_one(sql, &[]).await.unwrap().get(0)
}

#[tokio::test]
async fn migrations_are_applied_once_and_in_order() {
    let test = TestDatabase::fresh().await;
    let database = connect(&test).await;
    database.migrate("things", &[ONE]).await.unwrap();
    database.migrate("things", &[ONE, TWO]).await.unwrap();
    database.migrate("things", &[ONE, TWO]).await.unwrap();
    let client = database.client().await.unwrap();
    let applied = client.query("SELECT version FROM schema_migrations ORDER BY version", &[]).await.unwrap();
    assert_eq!(applied.iter().map(|row| row.get::<_, i32>(0)).collect::<Vec<_>>(), [1, 2]);
    client.execute("INSERT INTO things (id, name) VALUES (1, 'one')", &[]).await.unwrap();
}

#[tokio::test]
async fn processes_that_migrate_at_once_do_it_once() {
    let test = TestDatabase::fresh().await;
    let mut tasks = Vec::new();
    for _ in 0..6 {
        let database = connect(&test).await;
        tasks.push(tokio::spawn(async move { database.migrate("things", &[ONE, TWO]).await }));
    }
    for task in tasks {
        task.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn what_a_newer_version_wrote_is_refused_and_nothing_is_written() {
    let test = TestDatabase::fresh().await;
    let database = connect(&test).await;
    database.migrate("things", &[ONE, TWO]).await.unwrap();
    let before = tables(&test).await;
    let error = database.migrate("things", &[ONE]).await.unwrap_err();
    assert!(matches!(error, LogError::Unreadable(_)));
    assert!(error.to_string().contains("written by a newer Countersign (version 2 of things, this one knows 1)"));
    assert_eq!(tables(&test).await, before);
}

#[tokio::test]
async fn the_log_of_a_newer_version_is_refused_and_nothing_is_written() {
    let test = TestDatabase::fresh().await;
    let database = connect(&test).await;
    database.migrate("event_log", &[]).await.unwrap();
    let client = test.client().await;
    client
        .batch_execute("INSERT INTO schema_migrations SELECT 'event_log', n, '' FROM generate_series(1, 99) AS n")
        .await
        .unwrap();
    let before = tables(&test).await;
    let error = PostgresStore::open(database, PostgresOptions::default()).await.unwrap_err();
    assert!(error.to_string().contains("written by a newer Countersign"), "{error}");
    assert_eq!(tables(&test).await, before);
}

#[tokio::test]
async fn an_altered_migration_is_refused() {
    let test = TestDatabase::fresh().await;
    let database = connect(&test).await;
    database.migrate("things", &[ONE]).await.unwrap();
    let altered = Migration { sql: "CREATE TABLE things (id integer PRIMARY KEY)", ..ONE };
    let error = database.migrate("things", &[altered, TWO]).await.unwrap_err();
    assert!(matches!(error, LogError::Unreadable(_)));
    assert!(error.to_string().contains("version 1 of things (things) was applied from another text"), "{error}");
    database.migrate("things", &[ONE]).await.unwrap();
}

#[tokio::test]
async fn a_migration_that_fails_leaves_nothing() {
    let test = TestDatabase::fresh().await;
    let database = connect(&test).await;
    let broken = Migration { name: "broken", sql: "CREATE TABLE more (id bigint); SELECT 1 / 0" };
    database.migrate("things", &[ONE, broken]).await.unwrap_err();
    assert_eq!(tables(&test).await, 0);
}

#[tokio::test]
async fn an_unreachable_server_is_one_clear_line() {
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let error = refusal(&at(&format!("postgres://someone:hidden@127.0.0.1:{port}/countersign"))).await;
    assert!(error.contains(&format!("PostgreSQL at 127.0.0.1:{port}: cannot be reached")), "{error}");
    assert!(error.contains("postgres.url") && !error.contains("hidden"), "{error}");
}

#[tokio::test]
async fn a_server_that_says_nothing_is_one_clear_line() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("postgres://someone:hidden@{}/countersign", silent.local_addr().unwrap());
    let options = DatabaseOptions { connect_timeout: Duration::from_millis(100), ..at(&url) };
    let error = refusal(&options).await;
    assert!(error.contains("no answer within 100ms"), "{error}");
}

#[tokio::test]
async fn a_wrong_password_is_one_clear_line() {
    let test = TestDatabase::fresh().await;
    let options = DatabaseOptions { password: Some(SecretText::new("guessed".to_owned())), ..test.options() };
    let error = refusal(&options).await;
    assert!(error.contains("refuses this user or password: check postgres.url and postgres.password"), "{error}");
    assert!(!error.contains("guessed"), "{error}");
}

#[tokio::test]
async fn a_missing_database_is_one_clear_line() {
    let test = TestDatabase::fresh().await;
    let error = refusal(&at(&test.url().replace("/test_", "/missing_"))).await;
    assert!(error.contains("has no such database: create it, or correct its name in postgres.url"), "{error}");
}

#[tokio::test]
async fn a_url_that_is_none_is_one_clear_line() {
    let error = refusal(&at("postgres://someone:hidden@127.0.0.1/countersign?sslmode=sometimes")).await;
    assert!(error.contains("postgres.url cannot be understood"), "{error}");
    assert!(!error.contains("hidden"), "{error}");
}

/// Speaks as much of the protocol as a connection needs, and says that it is of this version.
async fn serve_as(version: &'static str) -> String {
    fn message(kind: u8, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len() + 4).unwrap();
        [&[kind], length.to_be_bytes().as_slice(), body].concat()
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("postgres://someone:hidden@{}/countersign?sslmode=disable", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut buffer = [0; 1024];
        assert!(socket.read(&mut buffer).await.unwrap() > 0);
        let parameter = [b"server_version\0", version.as_bytes(), b"\0"].concat();
        let ready = message(b'Z', b"I");
        socket.write_all(&[message(b'R', &[0; 4]), message(b'S', &parameter), ready.clone()].concat()).await.unwrap();
        // It is asked whether it is read-only.
        assert!(socket.read(&mut buffer).await.unwrap() > 0);
        let column = [b"transaction_read_only\0".as_slice(), &[0; 6], &25_u32.to_be_bytes(), &[255; 6], &[0; 2]];
        let columns = message(b'T', &[[0, 1].as_slice(), &column.concat()].concat());
        let row = message(b'D', &[[0, 1, 0, 0, 0, 3].as_slice(), b"off"].concat());
        socket.write_all(&[columns, row, message(b'C', b"SHOW\0"), ready].concat()).await.unwrap();
        drop(socket.read(&mut buffer).await);
    });
    url
}

#[tokio::test]
async fn a_server_that_is_too_old_is_one_clear_line() {
    let error = refusal(&at(&serve_as("12.19 (Debian 12.19-1)").await)).await;
    assert!(error.contains("version 12.19 (Debian 12.19-1) is too old"), "{error}");
    assert!(error.contains("needs PostgreSQL 13 or newer"), "{error}");
}

#[tokio::test]
async fn a_pool_that_is_used_up_is_one_clear_line() {
    let test = TestDatabase::fresh().await;
    let options = DatabaseOptions { pool_size: 2, statement_timeout: Duration::from_millis(200), ..test.options() };
    let database = Database::connect(&options).await.unwrap();
    let _taken = [database.client().await.unwrap(), database.client().await.unwrap()];
    let error = database.client().await.unwrap_err().to_string();
    assert!(error.contains("every connection is taken: raise postgres.pool_size"), "{error}");
}

#[tokio::test]
async fn a_statement_that_takes_too_long_is_ended() {
    let test = TestDatabase::fresh().await;
    let options = DatabaseOptions { statement_timeout: Duration::from_millis(100), ..test.options() };
    let database = Database::connect(&options).await.unwrap();
    let client = database.client().await.unwrap();
    let error = database.timed(client.batch_execute("SELECT pg_sleep(60)")).await.unwrap_err().to_string();
    assert!(error.contains("it took longer than its time-out"), "{error}");
}

#[tokio::test]
async fn a_dedicated_connection_tells_what_it_hears_and_that_it_is_lost() {
    let test = TestDatabase::fresh().await;
    let database = connect(&test).await;
    let mut dedicated = database.dedicated().await.unwrap();
    dedicated.batch_execute("LISTEN something").await.unwrap();
    let pid: i32 = dedicated.query_one("SELECT pg_backend_pid()", &[]).await.unwrap().get(0);
    let other = test.client().await;
    other.batch_execute("NOTIFY something, 'told'").await.unwrap();
    assert_eq!(dedicated.notified().await.unwrap().payload(), "told");
    other.execute("SELECT pg_terminate_backend($1)", &[&pid]).await.unwrap();
    tokio::time::timeout(Duration::from_secs(10), dedicated.lost()).await.unwrap();
    assert!(dedicated.notified().await.is_none());
}

#[tokio::test]
async fn an_erased_keys_bytes_leave_the_table() {
    const OLD: [u8; 24] = *b"wrapped-key-to-be-erased";
    let test = TestDatabase::fresh().await;
    let store = PostgresStore::open(connect(&test).await, PostgresOptions::default()).await.unwrap();
    let stream = domain::ids::StreamId::AuditAccess("someone".to_owned());
    let key = WrappedKey::Wrapped { ring_key: 1, bytes: OLD.to_vec() };
    store.insert(&stream, key).await.unwrap();
    let client = test.client().await;
    client.batch_execute("CREATE EXTENSION pageinspect").await.unwrap();
    // Of the rows, not of the page: what lies between rows is the server's to reuse.
    let rows =
        "SELECT count(*) FROM heap_page_items(get_raw_page('data_keys', 0)) WHERE position($1::bytea IN t_data) > 0";
    let found = async || client.query_one(rows, &[&OLD.as_slice()]).await.unwrap().get::<_, i64>(0);
    assert_eq!(found().await, 1);
    store.erase(&stream).await.unwrap();
    assert_eq!(found().await, 0);
}

#[tokio::test]
async fn an_erasure_that_a_long_transaction_holds_up_says_so() {
    let test = TestDatabase::fresh().await;
    let store = PostgresStore::open(connect(&test).await, PostgresOptions::default()).await.unwrap();
    let stream = domain::ids::StreamId::AuditAccess("someone".to_owned());
    store.insert(&stream, WrappedKey::Wrapped { ring_key: 1, bytes: vec![1; 72] }).await.unwrap();
    let reader = test.client().await;
    reader.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM data_keys").await.unwrap();
    let error = store.erase(&stream).await.unwrap_err().to_string();
    assert!(error.contains("a long transaction keeps the old bytes"), "{error}");
    assert_eq!(store.get(&stream).await.unwrap(), Some(WrappedKey::Erased));
    reader.batch_execute("COMMIT").await.unwrap();
    store.erase(&stream).await.unwrap();
}

/// A server with the certificate of the fixtures.
async fn encrypted() -> Arc<PostgresServer> {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tls");
    let server = Arc::new(PostgresServer::quick().await);
    server.stop().await;
    for name in ["server.pem", "server.key"] {
        // Written by its user, as the server demands of its key.
        server.write(name, &std::fs::read(fixture.join(name)).unwrap());
    }
    server.write("postgresql.auto.conf", b"ssl = on\nssl_cert_file = 'server.pem'\nssl_key_file = 'server.key'\n");
    server.restart().await;
    server
}

#[tokio::test]
async fn an_encrypted_connection_is_verified() {
    let server = encrypted().await;
    let test = server.database().await;
    let ca_file = Some(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tls/ca.pem"));
    for mode in ["require", "verify-full", "prefer"] {
        let url = test.url().replace("sslmode=disable", &format!("sslmode={mode}"));
        let database = Database::connect(&DatabaseOptions { ca_file: ca_file.clone(), ..at(&url) }).await.unwrap();
        let client = database.client().await.unwrap();
        let is_encrypted = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
        assert!(client.query_one(is_encrypted, &[]).await.unwrap().get::<_, bool>(0), "{mode}");
        // The system's authorities do not know this one.
        let error = refusal(&at(&url)).await;
        assert!(error.contains("TLS failed") && error.contains("postgres.ca_file"), "{error}");
    }
    let missing =
        DatabaseOptions { ca_file: Some("/nowhere/ca.pem".into()), ..at(&test.url().replace("disable", "require")) };
    assert!(refusal(&missing).await.contains("postgres.ca_file /nowhere/ca.pem"));
}

#[tokio::test]
async fn a_server_without_tls_is_refused_where_it_is_required() {
    let test = TestDatabase::fresh().await;
    let error = refusal(&at(&test.url().replace("sslmode=disable", "sslmode=require"))).await;
    assert!(error.contains("server does not support TLS"), "{error}");
}

#[tokio::test]
async fn a_closed_log_says_so() {
    let test = TestDatabase::fresh().await;
    let store = PostgresStore::open(connect(&test).await, PostgresOptions::default()).await.unwrap();
    store.close().await;
    let stream = domain::ids::StreamId::AuditAccess("someone".to_owned());
    let event = schemas::envelope::NewEvent {
        id: domain::ids::EventId(uuid::Uuid::from_u128(1)),
        event_type: "Something".into(),
        schema_version: 1,
        metadata: Vec::new(),
        data: Vec::new(),
    };
    let append = event_store::port::Append {
        stream,
        expected: event_store::port::Expected::NoStream,
        events: vec![event],
        receipt: None,
    };
    let error = store.append(append).await.unwrap_err().to_string();
    assert!(error.contains("the event log is closed"), "{error}");
    assert_eq!(store.last_position().await.unwrap(), Position::START);
}
