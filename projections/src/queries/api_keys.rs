//! The keys of API clients.

use domain::{
    ids::{ApiKeyId, StreamId},
    time::Timestamp,
};
use serde::Serialize;

use super::page::{Conditions, Page, cursor_of, one_more, page, read_cursor, time, time_option, uuid};
use crate::{
    error::ViewError,
    feed::{self, Value},
    sqlite::SqliteViews,
    views::api_keys::NAME,
};

/// A key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ApiKeyRow {
    /// Its id.
    pub id: ApiKeyId,
    /// What it is called.
    pub name: Option<String>,
    /// What it may do, by the scopes' stable names.
    pub scopes: Vec<String>,
    /// When it was issued.
    pub issued_at: Timestamp,
    /// Its end, if it has one.
    pub expires_at: Option<Timestamp>,
    /// When it was ended.
    pub revoked_at: Option<Timestamp>,
}

impl SqliteViews {
    /// All keys, newest first.
    pub async fn api_keys(&self, cursor: Option<&str>, limit: u32) -> Result<Page<ApiKeyRow>, ViewError> {
        let mut conditions = Conditions::default();
        if let Some(cursor) = cursor {
            let (at, id) = read_cursor(cursor)?;
            conditions.add("(issued_at, api_key_id) < (?, ?)", [at.into(), Value::Uuid(id)]);
        }
        let rows = self
            .read(move |connection| {
                let sql = format!(
                    "SELECT api_key_id, name_box, scopes, issued_at, expires_at, revoked_at FROM api_keys{}
                     ORDER BY issued_at DESC, api_key_id DESC LIMIT {}",
                    conditions.sql(),
                    one_more(limit)
                );
                connection
                    .prepare_cached(&sql)?
                    .query_map(rusqlite::params_from_iter(&conditions.values), |row| {
                        let key = ApiKeyRow {
                            id: ApiKeyId(uuid(row, 0)?),
                            name: None,
                            scopes: row.get::<_, String>(2)?.split_whitespace().map(str::to_owned).collect(),
                            issued_at: time(row, 3)?,
                            expires_at: time_option(row, 4)?,
                            revoked_at: time_option(row, 5)?,
                        };
                        Ok((key, row.get::<_, Option<Vec<u8>>>(1)?))
                    })?
                    .collect::<rusqlite::Result<Vec<_>>>()
            })
            .await?;
        let mut items = Vec::with_capacity(rows.len());
        for (row, sealed) in rows {
            let stream = StreamId::ApiKey(row.id);
            let key = self.parts.keys.key(&stream).await?;
            items.push(ApiKeyRow { name: feed::open(key.as_ref(), &stream, NAME, sealed.as_deref()), ..row });
        }
        Ok(page(items, limit, |key| cursor_of(key.issued_at, key.id.0)))
    }
}
