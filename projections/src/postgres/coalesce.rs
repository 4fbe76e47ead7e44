//! The statements of a batch, put together: those of one text whose rows have nothing to do with each other become
//! one statement over many rows. What touches the same row, or might, keeps its order.

use std::{
    collections::{BTreeMap, HashMap},
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

use super::statement::{Touch, touches};
use crate::{feed::Ready, row::Value};

/// One statement over many rows.
pub(super) struct Group {
    pub(super) sql: &'static str,
    /// Its parameters, row by row.
    pub(super) rows: Vec<Vec<Value>>,
}

/// What each statement touches, read once.
#[derive(Default)]
pub(super) struct Shapes(HashMap<usize, Arc<[Touch]>>);

impl Shapes {
    fn of(&mut self, sql: &'static str) -> Arc<[Touch]> {
        Arc::clone(self.0.entry(sql.as_ptr() as usize).or_insert_with(|| touches(sql).into()))
    }
}

/// How far each table and each row has come. Rows stand under a hash: two that share one are taken for the same,
/// which costs a statement and nothing else.
#[derive(Default)]
struct Levels {
    rows: HashMap<(usize, u64), u32>,
    /// The last statement over any row of a table, and the last one of all.
    tables: HashMap<usize, (u32, u32)>,
}

impl Levels {
    fn next(&mut self, touched: &[Touch], values: &[Value]) -> u32 {
        let places: Vec<(usize, Option<u64>)> = touched
            .iter()
            .map(|touch| (touch.table, touch.apart.as_deref().map(|apart| hash(apart, values))))
            .collect();
        let mut level = 0;
        for (table, row) in &places {
            let (whole, last) = self.tables.get(table).copied().unwrap_or_default();
            let before = match row {
                Some(row) => self.rows.get(&(*table, *row)).copied().unwrap_or_default().max(whole),
                None => last,
            };
            level = level.max(before + 1);
        }
        for (table, row) in places {
            let known = self.tables.entry(table).or_default();
            known.1 = known.1.max(level);
            match row {
                Some(row) => drop(self.rows.insert((table, row), level)),
                None => known.0 = level,
            }
        }
        level
    }
}

fn hash(apart: &[usize], values: &[Value]) -> u64 {
    let mut hash = DefaultHasher::new();
    for index in apart {
        values.get(*index).hash(&mut hash);
    }
    hash.finish()
}

/// Puts statements together. The groups are in an order that leaves what the statements, one by one, would leave.
pub(super) fn coalesce(shapes: &mut Shapes, changes: impl IntoIterator<Item = Ready>) -> Vec<Group> {
    let mut levels = Levels::default();
    let mut groups: BTreeMap<(u32, usize), Group> = BTreeMap::new();
    for change in changes {
        let level = levels.next(&shapes.of(change.sql), &change.values);
        let group = groups.entry((level, change.sql.as_ptr() as usize));
        group.or_insert_with(|| Group { sql: change.sql, rows: Vec::new() }).rows.push(change.values);
    }
    groups.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SET: &str = "UPDATE accounts{shadow} SET failures = $1 WHERE account_id = $2";
    const CLEAR: &str = "UPDATE accounts{shadow} SET failures = 0 WHERE account_id = $1";
    const SENT: &str = "UPDATE accounts{shadow} SET delivery_failed_at = NULL WHERE last_order_id = $1";

    fn ready(sql: &'static str, values: &[i64]) -> Ready {
        Ready { view: 0, sql, values: values.iter().copied().map(Value::Int).collect() }
    }

    fn grouped(changes: Vec<Ready>) -> Vec<(&'static str, usize)> {
        let groups = coalesce(&mut Shapes::default(), changes);
        groups.into_iter().map(|group| (group.sql, group.rows.len())).collect()
    }

    #[test]
    fn rows_that_have_nothing_to_do_with_each_other_share_a_statement() {
        assert_eq!(
            grouped(vec![ready(SET, &[1, 7]), ready(CLEAR, &[8]), ready(SET, &[2, 9]), ready(CLEAR, &[7])])
                .iter()
                .filter(|(sql, _)| *sql == SET)
                .collect::<Vec<_>>(),
            [&(SET, 2)]
        );
    }

    #[test]
    fn what_touches_one_row_keeps_its_order() {
        let changes = vec![ready(SET, &[1, 7]), ready(CLEAR, &[7]), ready(SET, &[2, 7])];
        assert_eq!(grouped(changes), [(SET, 1), (CLEAR, 1), (SET, 1)]);
    }

    #[test]
    fn what_may_touch_any_row_keeps_its_place() {
        let changes = vec![ready(SET, &[1, 7]), ready(SENT, &[3]), ready(SET, &[2, 8]), ready(SENT, &[4])];
        assert_eq!(grouped(changes), [(SET, 1), (SENT, 1), (SET, 1), (SENT, 1)]);
    }
}
