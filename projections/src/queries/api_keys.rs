//! The keys of API clients.

use domain::{
    ids::{ApiKeyId, StreamId},
    time::Timestamp,
};
use serde::Serialize;

use super::page::{Conditions, Page, cursor_of, page, read_cursor};
use crate::{error::ViewError, feed, live::Views, row::Value, views::api_keys::NAME};

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

const KEYS: &str = "SELECT api_key_id, name_box, scopes, issued_at, expires_at, revoked_at FROM api_keys";

impl Views {
    /// All keys, newest first.
    pub async fn api_keys(&self, cursor: Option<&str>, limit: u32) -> Result<Page<ApiKeyRow>, ViewError> {
        let mut conditions = Conditions::default();
        if let Some(cursor) = cursor {
            let (at, id) = read_cursor(cursor)?;
            conditions.add("(issued_at, api_key_id) < (?, ?)", [at.into(), Value::Uuid(id)]);
        }
        let (sql, values) = conditions.page(KEYS, "issued_at DESC, api_key_id DESC", limit);
        let rows = self.rows(sql, values, |row| {
            let key = ApiKeyRow {
                id: ApiKeyId(row.get(0)?),
                name: None,
                scopes: row.get::<String>(2)?.split_whitespace().map(str::to_owned).collect(),
                issued_at: row.get(3)?,
                expires_at: row.get(4)?,
                revoked_at: row.get(5)?,
            };
            Ok((key, row.get::<Option<Vec<u8>>>(1)?))
        });
        let rows = rows.await?;
        let mut items = Vec::with_capacity(rows.len());
        for (row, sealed) in rows {
            let stream = StreamId::ApiKey(row.id);
            let key = self.parts.keys.key(&stream).await?;
            items.push(ApiKeyRow { name: feed::open(key.as_ref(), &stream, NAME, sealed.as_deref()), ..row });
        }
        Ok(page(items, limit, |key| cursor_of(key.issued_at, key.id.0)))
    }
}
