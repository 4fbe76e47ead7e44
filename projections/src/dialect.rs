//! One text for both engines: what they spell differently stands in braces and is filled in here.

use crate::change::Table;

/// An engine's way to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    Sqlite,
}

/// The SQL of a statement: `suffix` behind every table's name, `generation` in every index's.
pub(crate) fn render(dialect: Dialect, sql: &str, suffix: &str, generation: i64) -> String {
    let sql = sql.replace("{shadow}", suffix).replace("{generation}", &generation.to_string());
    match dialect {
        Dialect::Sqlite => {
            sql.replace("{uuid}", "BLOB").replace("{bytes}", "BLOB").replace("{clustered}", "WITHOUT ROWID")
        }
    }
}

/// The SQL that creates a table.
pub(crate) fn create(dialect: Dialect, table: &Table, suffix: &str, generation: i64) -> String {
    render(dialect, table.create, suffix, generation)
}
