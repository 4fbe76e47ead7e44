//! What a view's statement does, read from its text: which tables it touches and by which of its parameters rows
//! are kept apart, what it puts into which column, and how the same is said for many rows at once.

use crate::{change::Table, views::VIEWS};

/// A table that a statement touches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Touch {
    /// Its place among the tables of all views.
    pub(super) table: usize,
    /// The parameters (from 0) by which the statement's rows are kept apart from others; none when it may touch
    /// any row.
    pub(super) apart: Option<Vec<usize>>,
}

/// What a statement puts into a column of an added row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Put {
    /// A parameter, from 0.
    Param(usize),
    /// What this asks, with these parameters in order of appearance.
    Asked(String, Vec<usize>),
}

/// All tables of all views.
pub(super) fn tables() -> impl Iterator<Item = (usize, usize, &'static Table)> {
    let all = VIEWS.iter().enumerate().flat_map(|(view, of)| of.tables.iter().map(move |table| (view, table)));
    all.enumerate().map(|(index, (view, table))| (index, view, table))
}

fn one_line(sql: &str) -> String {
    sql.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// Where a word stands as a whole word.
fn find_word(text: &str, word: &str) -> Option<usize> {
    text.match_indices(word)
        .find(|(at, _)| !text[..*at].ends_with(is_word) && !text[at + word.len()..].starts_with(is_word))
        .map(|(at, _)| at)
}

/// The number of a parameter, from 0, when the text begins with one.
fn param(text: &str) -> Option<usize> {
    let digits: String = text.strip_prefix('$')?.chars().take_while(char::is_ascii_digit).collect();
    digits.parse::<usize>().ok()?.checked_sub(1)
}

/// The text within the parentheses that open at the beginning, and the text behind them.
fn within(text: &str) -> Option<(&str, &str)> {
    let text = text.strip_prefix('(')?;
    let mut depth = 1_u32;
    for (at, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some((&text[..at], &text[at + 1..]));
        }
    }
    None
}

/// Splits at commas outside of parentheses.
fn items(text: &str) -> Vec<&str> {
    let (mut depth, mut from, mut all) = (0_i32, 0, Vec::new());
    for (at, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                all.push(text[from..at].trim());
                from = at + 1;
            }
            _ => {}
        }
    }
    all.push(text[from..].trim());
    all
}

/// Columns, what is put into them, and the text behind, of `INSERT INTO … (…) VALUES (…) …`.
struct Insert<'a> {
    into: &'a str,
    columns: Vec<&'a str>,
    values: &'a str,
    rest: &'a str,
}

impl<'a> Insert<'a> {
    fn of(sql: &'a str) -> Option<Self> {
        let (into, rest) = sql.strip_prefix("INSERT INTO ")?.split_once(' ')?;
        let (columns, rest) = within(rest)?;
        let (values, rest) = within(rest.strip_prefix(" VALUES ")?)?;
        Some(Self { into, columns: items(columns), values, rest })
    }
}

/// The tables that a statement touches.
pub(super) fn touches(sql: &str) -> Vec<Touch> {
    let sql = one_line(sql);
    let insert = Insert::of(&sql);
    // What stands before the conditions names no row: `SET last_order_id = $1 WHERE account_id = $2`.
    let conditions = sql.split_once(" WHERE ").map_or("", |(_, conditions)| conditions);
    let mut all = Vec::new();
    for (index, _, table) in tables() {
        let name = format!("{}{{shadow}}", table.name);
        let Some(_) = sql.match_indices(&name).find(|(at, _)| !sql[..*at].ends_with(is_word)) else { continue };
        let of_column = |column: &str| match &insert {
            Some(insert) if insert.into == name => {
                let at = insert.columns.iter().position(|known| *known == column)?;
                param(items(insert.values).get(at)?)
            }
            _ => {
                let at = find_word(conditions, column)?;
                param(conditions[at + column.len()..].strip_prefix(" = ")?)
            }
        };
        all.push(Touch { table: index, apart: items(table.apart).into_iter().map(of_column).collect() });
    }
    all
}

/// For a statement that adds a row: its columns, and what is put into each.
pub(super) fn puts(sql: &str) -> Option<Vec<(String, Put)>> {
    let sql = one_line(sql);
    let insert = Insert::of(&sql)?;
    let puts = insert.columns.iter().zip(items(insert.values)).map(|(column, value)| {
        let asked = || {
            let with = value.match_indices('$').filter_map(|(at, _)| param(&value[at..])).collect();
            Put::Asked(format!("SELECT {value}"), with)
        };
        ((*column).to_owned(), param(value).map_or_else(asked, Put::Param))
    });
    Some(puts.collect())
}

/// The same statement for many rows: each parameter is an array with an item per row. `types` are what the server
/// says of the parameters of the statement for one row.
pub(super) fn for_many(sql: &str, types: &[&str]) -> Option<String> {
    let sql = one_line(sql);
    let arrays = (1..).zip(types).map(|(number, name)| format!("${number}::{name}[]")).collect::<Vec<_>>().join(", ");
    let names = (1..=types.len()).map(|number| format!("p{number}")).collect::<Vec<_>>().join(", ");
    let rows = format!("unnest({arrays}) AS given ({names})");
    let given = |text: &str| text.replace('$', "given.p");
    if let Some(insert) = Insert::of(&sql) {
        let Insert { into, columns, values, rest } = insert;
        return Some(format!("INSERT INTO {into} ({}) SELECT {} FROM {rows}{rest}", columns.join(", "), given(values)));
    }
    let (before, conditions) = sql.split_once(" WHERE ")?;
    let (table, word) = match before.strip_prefix("DELETE FROM ") {
        Some(table) => (table, "USING"),
        None => (before.strip_prefix("UPDATE ")?.split_once(' ')?.0, "FROM"),
    };
    // The rows are found first, each by its own look-up: were the table itself joined with what is given, a plan
    // made while it was small, or while a column held nothing, would read the whole of an index for each batch.
    Some(format!(
        "{} {word} {rows} CROSS JOIN LATERAL (SELECT ctid AS place FROM {table} WHERE {} OFFSET 0) AS found \
         WHERE {table}.ctid = found.place",
        given(before),
        given(conditions)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(name: &str) -> usize {
        tables().find(|(_, _, table)| table.name == name).map_or(usize::MAX, |(index, ..)| index)
    }

    #[test]
    fn a_statement_says_which_rows_it_touches() {
        let touch = |name, apart| Touch { table: table(name), apart };
        let ordered = "UPDATE accounts{shadow} SET last_order_id = $1 WHERE account_id = $2";
        assert_eq!(touches(ordered), [touch("accounts", Some(vec![1]))]);
        let sent = "UPDATE accounts{shadow} SET delivery_failed_at = NULL\n WHERE last_order_id = $1 AND x IS NOT NULL";
        assert_eq!(touches(sent), [touch("accounts", None)]);
        let add = "INSERT INTO adoption{shadow} (day, measure, kind, n) VALUES ($1, $2, $3, $4)
            ON CONFLICT (day, measure, kind) DO UPDATE SET n = adoption{shadow}.n + excluded.n";
        assert_eq!(touches(add), [touch("adoption", Some(vec![0, 1, 2]))]);
        let detached = "UPDATE deliveries{shadow} SET account_id = NULL WHERE account_id = $1";
        assert_eq!(touches(detached), [touch("deliveries", None)]);
        let happened = "INSERT INTO timeline{shadow} (position, account_id) VALUES ($1,
            (SELECT account_id FROM timeline_orders{shadow} WHERE order_id = $2))";
        assert_eq!(touches(happened), [touch("timeline", Some(vec![0])), touch("timeline_orders", Some(vec![1]))]);
        let asked = "SELECT (SELECT account_id FROM timeline_orders{shadow} WHERE order_id = $2)".to_owned();
        let puts = puts(happened);
        let expected =
            vec![("position".to_owned(), Put::Param(0)), ("account_id".to_owned(), Put::Asked(asked, vec![1]))];
        assert_eq!(puts, Some(expected));
    }

    #[test]
    fn a_statement_for_many_rows_says_the_same() {
        assert_eq!(
            for_many("UPDATE a SET b = $1, c = NULL\n   WHERE d = $2 AND e <> 0", &["bigint", "uuid"]).as_deref(),
            Some(
                "UPDATE a SET b = given.p1, c = NULL FROM unnest($1::bigint[], $2::uuid[]) AS given (p1, p2) \
                 CROSS JOIN LATERAL (SELECT ctid AS place FROM a WHERE d = given.p2 AND e <> 0 OFFSET 0) AS found \
                 WHERE a.ctid = found.place"
            )
        );
        assert_eq!(
            for_many("DELETE FROM a WHERE b = $1", &["uuid"]).as_deref(),
            Some(
                "DELETE FROM a USING unnest($1::uuid[]) AS given (p1) \
                 CROSS JOIN LATERAL (SELECT ctid AS place FROM a WHERE b = given.p1 OFFSET 0) AS found \
                 WHERE a.ctid = found.place"
            )
        );
        assert_eq!(
            for_many("INSERT INTO a (b, c) VALUES ($1, (SELECT max(x) FROM y)) ON CONFLICT (b) DO NOTHING", &["text"])
                .as_deref(),
            Some(
                "INSERT INTO a (b, c) SELECT given.p1, (SELECT max(x) FROM y) FROM unnest($1::text[]) AS given (p1) \
                 ON CONFLICT (b) DO NOTHING"
            )
        );
    }
}
