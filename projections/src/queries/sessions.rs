//! An account's live sessions and access tokens.

use domain::{
    ids::{AccessTokenId, AccountId, ApiKeyId, SessionId, StreamId},
    time::{Seconds, Timestamp},
    values::Aal,
};
use serde::Serialize;

use crate::{error::ViewError, feed, live::Views, row::Value, views::sessions::NAME};

/// A session that has not ended absolutely. Whether it was unused too long is known with its last use, which
/// The room `operations` keeps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SessionRow {
    /// Its id.
    pub id: SessionId,
    /// Its account.
    pub account_id: AccountId,
    /// Its assurance level.
    pub aal: Aal,
    /// How it was proved (RFC 8176 where it has a name).
    pub amr: Vec<String>,
    /// When it began.
    pub started_at: Timestamp,
    /// Its absolute end.
    pub expires_at: Timestamp,
    /// Unused this long, it ends.
    pub idle_timeout: Seconds,
    /// The API client that asked for it.
    pub api_key_id: Option<ApiKeyId>,
}

impl SessionRow {
    /// Whether it is live, seen last at `last_used`.
    pub fn is_live(&self, last_used: Option<Timestamp>, now: Timestamp) -> bool {
        let seen = last_used.map_or(self.started_at, |used| used.max(self.started_at));
        now < self.expires_at && now < seen.plus(self.idle_timeout)
    }
}

/// An access token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AccessTokenRow {
    /// Its id.
    pub id: AccessTokenId,
    /// What it is called.
    pub name: Option<String>,
    /// When it was issued.
    pub issued_at: Timestamp,
    /// Its end.
    pub expires_at: Timestamp,
}

const SESSIONS: &str = "SELECT session_id, account_id, aal, amr, started_at, expires_at, idle_timeout, api_key_id
    FROM sessions WHERE account_id = $1 AND expires_at > $2 ORDER BY started_at DESC, session_id";
const TOKENS: &str = "SELECT access_token_id, name_box, issued_at, expires_at
    FROM access_tokens WHERE account_id = $1 AND expires_at > $2 ORDER BY issued_at DESC, access_token_id";

impl Views {
    /// The sessions of an account that have not ended, newest first.
    pub async fn sessions(&self, account: AccountId) -> Result<Vec<SessionRow>, ViewError> {
        let values = [Value::Uuid(account.0), self.parts.runtime.now().into()];
        let rows = self.rows(SESSIONS, values, |row| {
            Ok(SessionRow {
                id: SessionId(row.get(0)?),
                account_id: AccountId(row.get(1)?),
                aal: row.named(2)?,
                amr: row.get::<String>(3)?.split_whitespace().map(str::to_owned).collect(),
                started_at: row.get(4)?,
                expires_at: row.get(5)?,
                idle_timeout: Seconds(row.get(6)?),
                api_key_id: row.get::<Option<_>>(7)?.map(ApiKeyId),
            })
        });
        rows.await
    }

    /// The access tokens of an account that have not ended, newest first.
    pub async fn access_tokens(&self, account: AccountId) -> Result<Vec<AccessTokenRow>, ViewError> {
        let values = [Value::Uuid(account.0), self.parts.runtime.now().into()];
        let rows = self.rows(TOKENS, values, |row| {
            let id = AccessTokenId(row.get(0)?);
            let token = AccessTokenRow { id, name: None, issued_at: row.get(2)?, expires_at: row.get(3)? };
            Ok((token, row.get::<Option<Vec<u8>>>(1)?))
        });
        let rows = rows.await?;
        let stream = StreamId::Account(account);
        let key = self.parts.keys.key(&stream).await?;
        Ok(rows
            .into_iter()
            .map(|(token, sealed)| AccessTokenRow {
                name: feed::open(key.as_ref(), &stream, NAME, sealed.as_deref()),
                ..token
            })
            .collect())
    }
}
