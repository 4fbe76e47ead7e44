//! An account's methods.

use domain::{
    ids::{AccountId, MethodId, StreamId},
    time::Timestamp,
    values::MethodKind,
};
use serde::Serialize;

use crate::{error::ViewError, feed, live::Views, row::Value, views::account_methods::LABEL};

/// A method.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MethodRow {
    /// Its number.
    pub id: MethodId,
    /// Its kind.
    pub kind: MethodKind,
    /// Its name.
    pub label: Option<String>,
    /// For SMS the masked number.
    pub phone_number: Option<String>,
    /// Country of the number.
    pub country: Option<String>,
    /// Whether it is the primary one.
    pub is_primary: bool,
    /// Wrong codes of its kind in a row.
    pub fail_count: u32,
    /// Until when its kind is locked.
    pub locked_until: Option<Timestamp>,
    /// Since when it is there.
    pub created_at: Timestamp,
    /// When it last proved something.
    pub last_used: Option<Timestamp>,
}

const METHODS: &str = "SELECT m.method_id, m.kind, m.label_box, m.phone_masked, m.country, m.is_primary,
        COALESCE(l.failures, 0), l.locked_until, m.enabled_at, m.last_used_at
    FROM account_methods m
    LEFT JOIN account_method_locks l ON l.account_id = m.account_id AND l.kind = m.kind
    WHERE m.account_id = $1 AND m.enabled_at IS NOT NULL
    ORDER BY m.method_id";

impl Views {
    /// The methods of an account, by number.
    pub async fn methods(&self, account: AccountId) -> Result<Vec<MethodRow>, ViewError> {
        let now = self.parts.runtime.now();
        let rows = self.rows(METHODS, [Value::Uuid(account.0)], |row| {
            let until: Option<Timestamp> = row.get(7)?;
            // When a lock has ended, the count restarts.
            let has_ended = until.is_some_and(|until| now >= until);
            let method = MethodRow {
                id: MethodId(row.get(0)?),
                kind: row.named(1)?,
                label: None,
                phone_number: row.get(3)?,
                country: row.get(4)?,
                is_primary: row.get(5)?,
                fail_count: if has_ended { 0 } else { row.get(6)? },
                locked_until: until.filter(|_| !has_ended),
                created_at: row.get(8)?,
                last_used: row.get(9)?,
            };
            Ok((method, row.get::<Option<Vec<u8>>>(2)?))
        });
        let rows = rows.await?;
        let stream = StreamId::Account(account);
        let key = self.parts.keys.key(&stream).await?;
        Ok(rows
            .into_iter()
            .map(|(method, sealed)| MethodRow {
                label: feed::open(key.as_ref(), &stream, LABEL, sealed.as_deref()),
                ..method
            })
            .collect())
    }
}
