//! An account's recovery codes.

use domain::{ids::AccountId, time::Timestamp};
use serde::Serialize;

use crate::{error::ViewError, live::Views, row::Value};

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

// One statement, so that set and uses are of one state; a set without uses is one row without a code.
const SET: &str = "SELECT s.set_number, s.generated_at, s.code_count, s.remaining, u.code_index, u.used_at
    FROM recovery_code_sets s
    LEFT JOIN recovery_code_uses u ON u.account_id = s.account_id
    WHERE s.account_id = $1
    ORDER BY u.used_at, u.code_index";

impl Views {
    /// The current set of an account.
    pub async fn recovery_codes(&self, account: AccountId) -> Result<Option<RecoveryCodesRow>, ViewError> {
        let rows = self.rows(SET, [Value::Uuid(account.0)], |row| {
            let set = RecoveryCodesRow {
                set: row.get(0)?,
                generated_at: row.get(1)?,
                count: row.get(2)?,
                remaining: row.get(3)?,
                used: Vec::new(),
            };
            let used = match (row.get(4)?, row.get(5)?) {
                (Some(index), Some(used_at)) => Some(UsedCode { index, used_at }),
                _ => None,
            };
            Ok((set, used))
        });
        let (sets, used): (Vec<_>, Vec<_>) = rows.await?.into_iter().unzip();
        Ok(sets.into_iter().next().map(|set| RecoveryCodesRow { used: used.into_iter().flatten().collect(), ..set }))
    }
}
