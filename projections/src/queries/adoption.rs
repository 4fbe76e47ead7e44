//! 2FA adoption, per day and as it stands.

use std::collections::BTreeMap;

use domain::time::Timestamp;
use serde::Serialize;

use crate::{error::ViewError, live::Views, row::Value, views::adoption::DAY};

/// One day (UTC).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AdoptionDay {
    /// `2026-11-24`.
    pub day: String,
    /// What happened on it.
    pub counts: Vec<AdoptionCount>,
}

/// How often something happened on a day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AdoptionCount {
    /// What: `two_factor_enabled`, `method_enabled`, `code_rejected`, `method_locked`, `signed_in` …
    pub measure: String,
    /// Of which kind of method or factor, or assurance level, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// How often.
    pub count: u64,
}

/// How many accounts there are now, and with what.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct AdoptionTotals {
    /// Confirmed accounts.
    pub accounts: u64,
    /// Those with 2FA on.
    pub two_factor: u64,
    /// Those with an authenticator app.
    pub totp: u64,
    /// Those with a phone number.
    pub sms: u64,
    /// Those that the cap stops.
    pub account_locked: u64,
}

const DAYS: &str = "SELECT day, measure, kind, n FROM adoption WHERE day BETWEEN $1 AND $2 ORDER BY day, measure, kind";
const TOTALS: &str = "SELECT count(*), count(two_factor_since), count(CASE WHEN totp_methods > 0 THEN 1 END),
        count(CASE WHEN sms_methods > 0 THEN 1 END), count(account_locked_at)
    FROM accounts WHERE expires_at IS NULL";

fn date(day: i64) -> String {
    let at = Timestamp::from_millis(day.saturating_mul(DAY)).to_string();
    at.split('T').next().unwrap_or_default().to_owned()
}

impl Views {
    /// The days from the one of `from` to the one of `to`, those without events left out.
    pub async fn adoption(&self, from: Timestamp, to: Timestamp) -> Result<Vec<AdoptionDay>, ViewError> {
        let days = [from, to].map(|at| Value::Int(at.as_millis() / DAY));
        let rows = self
            .rows(DAYS, days, |row| {
                let kind: String = row.get(2)?;
                let kind = (!kind.is_empty()).then_some(kind);
                Ok((row.get::<i64>(0)?, AdoptionCount { measure: row.get(1)?, kind, count: row.get(3)? }))
            })
            .await?;
        let mut days: BTreeMap<i64, Vec<AdoptionCount>> = BTreeMap::new();
        for (day, count) in rows {
            days.entry(day).or_default().push(count);
        }
        Ok(days.into_iter().map(|(day, counts)| AdoptionDay { day: date(day), counts }).collect())
    }

    /// How it stands now.
    pub async fn adoption_totals(&self) -> Result<AdoptionTotals, ViewError> {
        let totals = self.rows(TOTALS, [], |row| {
            Ok(AdoptionTotals {
                accounts: row.get(0)?,
                two_factor: row.get(1)?,
                totp: row.get(2)?,
                sms: row.get(3)?,
                account_locked: row.get(4)?,
            })
        });
        Ok(totals.await?.pop().unwrap_or_default())
    }
}
