//! One text for both engines: what they spell differently stands in braces and is filled in here.

use crate::change::Table;

/// An engine's way to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    Sqlite,
    #[cfg(feature = "postgres")]
    Postgres,
}

/// The SQL of a statement: `suffix` behind every table's name, `generation` in every index's.
pub(crate) fn render(dialect: Dialect, sql: &str, suffix: &str, generation: i64) -> String {
    let sql = sql.replace("{shadow}", suffix).replace("{generation}", &generation.to_string());
    match dialect {
        Dialect::Sqlite => {
            sql.replace("{uuid}", "BLOB").replace("{bytes}", "BLOB").replace("{clustered}", "WITHOUT ROWID")
        }
        #[cfg(feature = "postgres")]
        Dialect::Postgres => sql.replace("{uuid}", "UUID").replace("{bytes}", "BYTEA").replace("{clustered}", ""),
    }
}

/// The SQL that creates a table.
pub(crate) fn create(dialect: Dialect, table: &Table, suffix: &str, generation: i64) -> String {
    let key = format!("CONSTRAINT {} PRIMARY KEY ({})", key_name(table, generation), table.key);
    let sql = render(dialect, table.create, suffix, generation).replace("{key}", &key);
    match dialect {
        Dialect::Sqlite => sql,
        // Texts in the order of their bytes, as SQLite has them: digests read rows in the order of their keys.
        #[cfg(feature = "postgres")]
        Dialect::Postgres => sql.replace(" TEXT", " TEXT COLLATE \"C\""),
    }
}

/// The name of a table's primary key: renaming a table renames no constraint, so each generation has its own.
pub(crate) fn key_name(table: &Table, generation: i64) -> String {
    format!("{}_key_{generation}", table.name)
}
