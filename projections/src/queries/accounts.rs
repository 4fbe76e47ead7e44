//! Accounts, for security teams.

use domain::{
    ids::{AccountId, ApiKeyId},
    time::Timestamp,
    values::{Aal, EmailAddress, FactorKind, MethodKind},
};
use serde::Serialize;

use super::page::{Conditions, Page, cursor_of, page, read_cursor};
use crate::{
    error::ViewError,
    live::Views,
    row::{Row, Value},
    views::accounts::SEARCH_EMAIL,
};

/// So few recovery codes are few.
const FEW_CODES: u32 = 3;

/// An account at a glance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AccountRow {
    /// Its id.
    pub account_id: AccountId,
    /// Its masked address.
    pub email: Option<String>,
    /// Whether that is confirmed.
    pub email_verified: bool,
    /// When it was registered.
    pub registered_at: Timestamp,
    /// The API client that registered it.
    pub registered_by: Option<ApiKeyId>,
    /// Whether a sign-in asks for a second factor.
    pub two_factor_enabled: bool,
    /// Since when.
    pub two_factor_since: Option<Timestamp>,
    /// Authenticator apps.
    pub totp_methods: u32,
    /// Phone numbers.
    pub sms_methods: u32,
    /// Recovery codes that are left.
    pub recovery_codes_remaining: u32,
    /// The last sign-in.
    pub last_sign_in_at: Option<Timestamp>,
    /// Its assurance level.
    pub last_sign_in_aal: Option<Aal>,
    /// Wrong codes in a row over TOTP, SMS and email.
    pub fail_count: u32,
    /// Wrong passwords, as last recorded; 0 after a sign-in.
    pub passwords_rejected: u32,
    /// When a wrong password was last recorded.
    pub password_rejected_at: Option<Timestamp>,
    /// Whether the cap stops TOTP, SMS and email.
    pub account_locked: bool,
    /// What someone should look at.
    pub alerts: Vec<Alert>,
}

/// What someone should look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "alert", rename_all = "snake_case")]
pub enum Alert {
    /// The cap is reached: a recovery code or support helps.
    AccountLocked {
        /// Since when.
        since: Timestamp,
    },
    /// A kind is locked.
    KindLocked {
        /// Which.
        kind: FactorKind,
        /// Until then.
        locked_until: Timestamp,
    },
    /// The last message to it did not arrive.
    DeliveryFailing {
        /// Since when.
        since: Timestamp,
    },
    /// The clock of a device seems to be off.
    ClockDrift {
        /// By so many steps.
        steps: i32,
    },
    /// Few recovery codes are left.
    RecoveryCodesLow {
        /// So many.
        remaining: u32,
    },
    /// Support removed its factors, and none was added since.
    ResetPending {
        /// Since when.
        since: Timestamp,
    },
}

/// Which accounts. All of what is given must hold.
#[derive(Debug, Clone, Default)]
pub struct AccountFilter {
    /// With 2FA on, or off.
    pub two_factor: Option<bool>,
    /// With a lock of any kind now, or without.
    pub locked: Option<bool>,
    /// With a method of this kind.
    pub method: Option<MethodKind>,
    /// With exactly this address.
    pub email: Option<EmailAddress>,
    /// Registered at or after.
    pub registered_from: Option<Timestamp>,
    /// Registered before.
    pub registered_before: Option<Timestamp>,
}

const COLUMNS: &str = "account_id, email_masked, email_verified, registered_at, registered_by, two_factor_since,
    totp_methods, sms_methods, recovery_codes, last_sign_in_at, last_sign_in_aal, failures, passwords_rejected,
    password_rejected_at, account_locked_at, totp_locked_until, sms_locked_until, email_locked_until,
    clock_drift_steps, reset_at, delivery_failed_at";
/// As in the partial index: only accounts that were ever locked are looked at.
const EVER_LOCKED: &str = "(account_locked_at IS NOT NULL OR totp_locked_until IS NOT NULL
    OR sms_locked_until IS NOT NULL OR email_locked_until IS NOT NULL)";
const LOCKED: &str = "(account_locked_at IS NOT NULL OR totp_locked_until > ? OR sms_locked_until > ?
    OR email_locked_until > ?)";
const UNLOCKED: &str = "(account_locked_at IS NULL AND COALESCE(totp_locked_until, 0) <= ?
    AND COALESCE(sms_locked_until, 0) <= ? AND COALESCE(email_locked_until, 0) <= ?)";

fn account(row: &mut Row, now: Timestamp) -> Result<AccountRow, ViewError> {
    let two_factor_since: Option<Timestamp> = row.get(5)?;
    let remaining: u32 = row.get(8)?;
    let mut alerts = Vec::new();
    let locked_since: Option<Timestamp> = row.get(14)?;
    alerts.extend(locked_since.map(|since| Alert::AccountLocked { since }));
    for (column, kind) in [(15, FactorKind::Totp), (16, FactorKind::Sms), (17, FactorKind::Email)] {
        let until = row.get::<Option<Timestamp>>(column)?.filter(|until| now < *until);
        alerts.extend(until.map(|locked_until| Alert::KindLocked { kind, locked_until }));
    }
    alerts.extend(row.get::<Option<Timestamp>>(20)?.map(|since| Alert::DeliveryFailing { since }));
    alerts.extend(row.get::<Option<i32>>(18)?.map(|steps| Alert::ClockDrift { steps }));
    if two_factor_since.is_some() && remaining <= FEW_CODES {
        alerts.push(Alert::RecoveryCodesLow { remaining });
    }
    alerts.extend(row.get::<Option<Timestamp>>(19)?.map(|since| Alert::ResetPending { since }));
    Ok(AccountRow {
        account_id: AccountId(row.get(0)?),
        email: row.get(1)?,
        email_verified: row.get(2)?,
        registered_at: row.get(3)?,
        registered_by: row.get::<Option<_>>(4)?.map(ApiKeyId),
        two_factor_enabled: two_factor_since.is_some(),
        two_factor_since,
        totp_methods: row.get(6)?,
        sms_methods: row.get(7)?,
        recovery_codes_remaining: remaining,
        last_sign_in_at: row.get(9)?,
        last_sign_in_aal: row.get::<Option<String>>(10)?.map(|aal| if aal == "aal2" { Aal::Aal2 } else { Aal::Aal1 }),
        fail_count: row.get(11)?,
        passwords_rejected: row.get(12)?,
        password_rejected_at: row.get(13)?,
        account_locked: locked_since.is_some(),
        alerts,
    })
}

impl Views {
    /// Accounts, the last registered first; those that ended unconfirmed are left out.
    pub async fn accounts(
        &self,
        filter: AccountFilter,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Page<AccountRow>, ViewError> {
        let now = self.parts.runtime.now();
        let mut conditions = Conditions::default();
        conditions.add("(expires_at IS NULL OR expires_at > ?)", [now.into()]);
        match filter.two_factor {
            Some(true) => conditions.add("two_factor_since IS NOT NULL", []),
            Some(false) => conditions.add("two_factor_since IS NULL", []),
            None => {}
        }
        let at = || Value::from(now);
        match filter.locked {
            Some(true) => {
                conditions.add(EVER_LOCKED, []);
                conditions.add(LOCKED, [at(), at(), at()]);
            }
            Some(false) => conditions.add(UNLOCKED, [at(), at(), at()]),
            None => {}
        }
        match filter.method {
            Some(MethodKind::Totp) => conditions.add("totp_methods > 0", []),
            Some(MethodKind::Sms) => conditions.add("sms_methods > 0", []),
            None => {}
        }
        if let Some(email) = &filter.email {
            let hash = self.parts.keys.ring().lookup_hash(SEARCH_EMAIL, &email.canonical());
            conditions.add("email_hash = ?", [Value::Bytes(hash.to_vec())]);
        }
        if let Some(from) = filter.registered_from {
            conditions.add("registered_at >= ?", [from.into()]);
        }
        if let Some(before) = filter.registered_before {
            conditions.add("registered_at < ?", [before.into()]);
        }
        if let Some(cursor) = cursor {
            let (at, id) = read_cursor(cursor)?;
            conditions.add("(registered_at, account_id) < (?, ?)", [at.into(), Value::Uuid(id)]);
        }
        let select = format!("SELECT {COLUMNS} FROM accounts");
        let (sql, values) = conditions.page(&select, "registered_at DESC, account_id DESC", limit);
        let items = self.rows(sql, values, |row| account(row, now)).await?;
        Ok(page(items, limit, |account| cursor_of(account.registered_at, account.account_id.0)))
    }

    /// Accounts with a lock now.
    pub async fn lockouts(&self, cursor: Option<&str>, limit: u32) -> Result<Page<AccountRow>, ViewError> {
        self.accounts(AccountFilter { locked: Some(true), ..AccountFilter::default() }, cursor, limit).await
    }

    /// One account.
    pub async fn account(&self, id: AccountId) -> Result<Option<AccountRow>, ViewError> {
        let now = self.parts.runtime.now();
        let sql = format!("SELECT {COLUMNS} FROM accounts WHERE account_id = $1");
        Ok(self.rows(sql, [Value::Uuid(id.0)], |row| account(row, now)).await?.pop())
    }
}
