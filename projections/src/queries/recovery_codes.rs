//! An account's recovery codes.

use domain::{ids::AccountId, time::Timestamp};
use rusqlite::{OptionalExtension, params};
use serde::Serialize;

use super::page::time;
use crate::{error::ViewError, sqlite::SqliteViews};

/// The current set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RecoveryCodesRow {
    /// Counts the sets of the account.
    pub set: u32,
    /// Since when.
    pub generated_at: Timestamp,
    /// How many there were.
    pub count: u32,
    /// How many are left.
    pub remaining: u32,
    /// Those that were used.
    pub used: Vec<UsedCode>,
}

/// A code that was used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UsedCode {
    /// Its place in the set, from 0.
    pub index: u32,
    /// When.
    pub used_at: Timestamp,
}

const SET: &str =
    "SELECT set_number, generated_at, code_count, remaining FROM recovery_code_sets WHERE account_id = $1";
const USES: &str =
    "SELECT code_index, used_at FROM recovery_code_uses WHERE account_id = $1 ORDER BY used_at, code_index";

impl SqliteViews {
    /// The current set of an account.
    pub async fn recovery_codes(&self, account: AccountId) -> Result<Option<RecoveryCodesRow>, ViewError> {
        self.read(move |connection| {
            // Both statements see one state.
            let snapshot = connection.unchecked_transaction()?;
            let set = snapshot
                .prepare_cached(SET)?
                .query_row(params![account.0.as_bytes()], |row| {
                    Ok(RecoveryCodesRow {
                        set: row.get(0)?,
                        generated_at: time(row, 1)?,
                        count: row.get(2)?,
                        remaining: row.get(3)?,
                        used: Vec::new(),
                    })
                })
                .optional()?;
            let Some(mut set) = set else { return Ok(None) };
            set.used = snapshot
                .prepare_cached(USES)?
                .query_map(params![account.0.as_bytes()], |row| {
                    Ok(UsedCode { index: row.get(0)?, used_at: time(row, 1)? })
                })?
                .collect::<rusqlite::Result<_>>()?;
            Ok(Some(set))
        })
        .await
    }
}
