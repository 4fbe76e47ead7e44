//! `accounts`: where each account stands, for security teams: 2FA on or off and since when, methods by kind,
//! the last sign-in, failures and locks, and what open alerts are made of.

use domain::{
    events::{Event, ImportedMethod},
    ids::{AccountId, StreamId},
    personal::Personal,
    time::Timestamp,
    values::{EmailAddress, FactorKind, MethodKind},
};
use schemas::envelope::RecordedEvent;

use super::{account_of, counts, sessions::aal_name};
use crate::change::{Change, Param, Table, View, change};

/// The view.
pub static VIEW: View = View {
    name: "accounts",
    version: 1,
    tables: &[Table {
        name: "accounts",
        create: "CREATE TABLE accounts{shadow} (
            account_id {uuid} NOT NULL,
            email_masked TEXT,
            email_hash {bytes},
            email_verified BIGINT NOT NULL DEFAULT 0,
            registered_at BIGINT NOT NULL,
            registered_by {uuid},
            expires_at BIGINT,
            two_factor_since BIGINT,
            totp_methods BIGINT NOT NULL DEFAULT 0,
            sms_methods BIGINT NOT NULL DEFAULT 0,
            recovery_codes BIGINT NOT NULL DEFAULT 0,
            last_sign_in_at BIGINT,
            last_sign_in_aal TEXT,
            passwords_rejected BIGINT NOT NULL DEFAULT 0,
            password_rejected_at BIGINT,
            failures BIGINT NOT NULL DEFAULT 0,
            account_locked_at BIGINT,
            totp_locked_until BIGINT,
            sms_locked_until BIGINT,
            email_locked_until BIGINT,
            clock_drift_steps BIGINT,
            reset_at BIGINT,
            last_order_id {uuid},
            delivery_failed_at BIGINT,
            {key}
        ) {clustered}",
        indexes: &[
            "CREATE INDEX accounts_by_time_{generation} ON accounts{shadow} (registered_at, account_id)",
            "CREATE INDEX accounts_by_email_{generation} ON accounts{shadow} (email_hash)",
            "CREATE INDEX accounts_by_order_{generation} ON accounts{shadow} (last_order_id)
                WHERE last_order_id IS NOT NULL",
            "CREATE INDEX accounts_locked_{generation} ON accounts{shadow} (registered_at, account_id)
                WHERE account_locked_at IS NOT NULL OR totp_locked_until IS NOT NULL
                    OR sms_locked_until IS NOT NULL OR email_locked_until IS NOT NULL",
        ],
        digest: "account_id, email_masked, email_hash, email_verified, registered_at, registered_by, expires_at, \
                 two_factor_since, totp_methods, sms_methods, recovery_codes, last_sign_in_at, last_sign_in_aal, \
                 passwords_rejected, password_rejected_at, failures, account_locked_at, totp_locked_until, \
                 sms_locked_until, email_locked_until, clock_drift_steps, reset_at, last_order_id, delivery_failed_at",
        key: "account_id",
        apart: "account_id",
        appended: &[],
    }],
    changes,
};

/// The label of the keyed hash by which an exact address is found.
pub const SEARCH_EMAIL: &str = "search email";

const REGISTERED: &str = "INSERT INTO accounts{shadow}
    (account_id, email_masked, email_hash, email_verified, registered_at, registered_by, expires_at,
     two_factor_since, totp_methods, sms_methods, recovery_codes)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
    ON CONFLICT (account_id) DO NOTHING";
const CONFIRMED: &str = "UPDATE accounts{shadow} SET email_verified = 1, expires_at = NULL WHERE account_id = $1";
const ADDRESS: &str = "UPDATE accounts{shadow} SET email_masked = $1, email_hash = $2 WHERE account_id = $3";
const SIGNED_IN: &str =
    "UPDATE accounts{shadow} SET last_sign_in_at = $1, last_sign_in_aal = $2, passwords_rejected = 0
    WHERE account_id = $3";
const PASSWORD_REJECTED: &str = "UPDATE accounts{shadow} SET passwords_rejected = $1, password_rejected_at = $2
    WHERE account_id = $3";
const TWO_FACTOR_ON: &str = "UPDATE accounts{shadow} SET two_factor_since = $1 WHERE account_id = $2";
const TWO_FACTOR_OFF: &str = "UPDATE accounts{shadow} SET two_factor_since = NULL WHERE account_id = $1";
const TOTP_ADDED: &str =
    "UPDATE accounts{shadow} SET totp_methods = totp_methods + 1, reset_at = NULL WHERE account_id = $1";
const SMS_ADDED: &str =
    "UPDATE accounts{shadow} SET sms_methods = sms_methods + 1, reset_at = NULL WHERE account_id = $1";
const TOTP_REMOVED: &str =
    "UPDATE accounts{shadow} SET totp_methods = totp_methods - 1 WHERE account_id = $1 AND totp_methods > 0";
const SMS_REMOVED: &str =
    "UPDATE accounts{shadow} SET sms_methods = sms_methods - 1 WHERE account_id = $1 AND sms_methods > 0";
const RECOVERY_CODES: &str = "UPDATE accounts{shadow} SET recovery_codes = $1 WHERE account_id = $2";
const FAILED: &str = "UPDATE accounts{shadow} SET failures = $1 WHERE account_id = $2";
const CAPPED: &str =
    "UPDATE accounts{shadow} SET account_locked_at = COALESCE(account_locked_at, $1) WHERE account_id = $2";
const DRIFTED: &str = "UPDATE accounts{shadow} SET clock_drift_steps = $1 WHERE account_id = $2";
const TOTP_LOCKED: &str = "UPDATE accounts{shadow} SET totp_locked_until = $1 WHERE account_id = $2";
const SMS_LOCKED: &str = "UPDATE accounts{shadow} SET sms_locked_until = $1 WHERE account_id = $2";
const EMAIL_LOCKED: &str = "UPDATE accounts{shadow} SET email_locked_until = $1 WHERE account_id = $2";
const CAP_LIFTED: &str = "UPDATE accounts{shadow} SET failures = 0, account_locked_at = NULL WHERE account_id = $1";
// The condition spares the row of an account without failures a write at each of its checks.
const SUCCEEDED: &str = "UPDATE accounts{shadow} SET failures = 0, account_locked_at = NULL
    WHERE account_id = $1 AND (failures <> 0 OR account_locked_at IS NOT NULL)";
const TOTP_SUCCEEDED: &str = "UPDATE accounts{shadow} SET clock_drift_steps = NULL, totp_locked_until = NULL
    WHERE account_id = $1 AND (clock_drift_steps IS NOT NULL OR totp_locked_until IS NOT NULL)";
const SMS_SUCCEEDED: &str = "UPDATE accounts{shadow} SET delivery_failed_at = NULL, sms_locked_until = NULL
    WHERE account_id = $1 AND (delivery_failed_at IS NOT NULL OR sms_locked_until IS NOT NULL)";
const EMAIL_SUCCEEDED: &str = "UPDATE accounts{shadow} SET delivery_failed_at = NULL, email_locked_until = NULL
    WHERE account_id = $1 AND (delivery_failed_at IS NOT NULL OR email_locked_until IS NOT NULL)";
const RESET: &str = "UPDATE accounts{shadow} SET reset_at = $1, two_factor_since = NULL, totp_methods = 0,
        sms_methods = 0, recovery_codes = 0, failures = 0, account_locked_at = NULL, totp_locked_until = NULL,
        sms_locked_until = NULL, email_locked_until = NULL, clock_drift_steps = NULL
    WHERE account_id = $2";
const RESTORED: &str = "UPDATE accounts{shadow} SET two_factor_since = $1, totp_methods = $2, sms_methods = $3,
        recovery_codes = $4, reset_at = NULL
    WHERE account_id = $5";
const ORDERED: &str = "UPDATE accounts{shadow} SET last_order_id = $1 WHERE account_id = $2";
const SENT: &str = "UPDATE accounts{shadow} SET delivery_failed_at = NULL
    WHERE last_order_id = $1 AND delivery_failed_at IS NOT NULL";
const NOT_SENT: &str = "UPDATE accounts{shadow} SET delivery_failed_at = $1 WHERE last_order_id = $2";
const ERASED: &str = "DELETE FROM accounts{shadow} WHERE account_id = $1";

fn masked(email: &Personal<EmailAddress>) -> Param {
    email.known().map(EmailAddress::masked).into()
}

fn searched(email: &Personal<EmailAddress>) -> Param {
    email.known().map_or(Param::Null, |email| Param::Lookup { label: SEARCH_EMAIL, text: email.canonical() })
}

/// What an event changes.
pub fn changes(recorded: &RecordedEvent) -> Vec<Change> {
    let at = recorded.metadata.at;
    if let StreamId::Delivery(order) = recorded.stream {
        return match &recorded.event {
            Event::SendStarted(e) => vec![change(ORDERED, [order.into(), e.account_id.into()])],
            Event::CodeDispatched(_) | Event::CodeDelivered(_) => vec![change(SENT, [order.into()])],
            Event::CodeDeliveryFailed(_) => vec![change(NOT_SENT, [at.into(), order.into()])],
            _ => Vec::new(),
        };
    }
    let Some(account) = account_of(recorded) else { return Vec::new() };
    let id = || Param::from(account);
    match &recorded.event {
        Event::AccountRegistered(_) | Event::AccountImported(_) => vec![registered(account, &recorded.event, at)],
        Event::EmailVerified(_) => vec![change(CONFIRMED, [id()])],
        Event::EmailChanged(e) => vec![change(ADDRESS, [masked(&e.email), searched(&e.email), id()])],
        Event::EmailChangeUndone(e) => {
            let totp = e.methods.iter().filter(|method| method.kind == MethodKind::Totp).count() as u64;
            let sms = e.methods.len() as u64 - totp;
            let codes = e.recovery_codes.map_or(0, |codes| codes.remaining);
            let restored = [e.two_factor_since.into(), totp.into(), sms.into(), codes.into(), id()];
            vec![change(ADDRESS, [masked(&e.email), searched(&e.email), id()]), change(RESTORED, restored)]
        }
        Event::SignedIn(e) => vec![change(SIGNED_IN, [at.into(), aal_name(e.aal).into(), id()])],
        Event::PasswordRejected(e) => vec![change(PASSWORD_REJECTED, [e.count.into(), at.into(), id()])],
        Event::TwoFactorEnabled(_) => vec![change(TWO_FACTOR_ON, [at.into(), id()])],
        Event::TwoFactorDisabled(_) => vec![change(TWO_FACTOR_OFF, [id()])],
        Event::MethodEnabled(e) => vec![change(by_kind(e.kind, TOTP_ADDED, SMS_ADDED), [id()])],
        Event::MethodDisabled(e) => vec![change(by_kind(e.kind, TOTP_REMOVED, SMS_REMOVED), [id()])],
        Event::RecoveryCodesGenerated(e) => vec![change(RECOVERY_CODES, [e.count.into(), id()])],
        Event::RecoveryCodeUsed(e) => vec![change(RECOVERY_CODES, [e.remaining.into(), id()])],
        Event::RecoveryCodesRevoked(_) => vec![change(RECOVERY_CODES, [0_i64.into(), id()])],
        Event::CodeRejected(e) => {
            let mut all = Vec::new();
            if e.kind_failures > 0 {
                all.push(change(FAILED, [e.account_failures.into(), id()]));
                if e.account_locked {
                    all.push(change(CAPPED, [at.into(), id()]));
                }
            }
            if let Some(steps) = e.clock_drift_steps {
                all.push(change(DRIFTED, [steps.into(), id()]));
            }
            all
        }
        Event::MethodLocked(e) => lock(e.kind, Some(e.locked_until), account).into_iter().collect(),
        Event::MethodUnlocked(e) => {
            let lifted = e.cap_lifted.then(|| change(CAP_LIFTED, [id()]));
            e.kinds.iter().filter_map(|kind| lock(*kind, None, account)).chain(lifted).collect()
        }
        Event::VerificationSucceeded(e) if counts(e) => {
            let mut all = vec![change(SUCCEEDED, [id()])];
            match e.kind {
                FactorKind::Totp => all.push(change(TOTP_SUCCEEDED, [id()])),
                FactorKind::Sms => all.push(change(SMS_SUCCEEDED, [id()])),
                FactorKind::Email => all.push(change(EMAIL_SUCCEEDED, [id()])),
                FactorKind::RecoveryCode => {}
            }
            all
        }
        Event::TwoFactorReset(_) => vec![change(RESET, [at.into(), id()])],
        Event::AccountErased(_) => vec![change(ERASED, [id()])],
        _ => Vec::new(),
    }
}

fn by_kind(kind: MethodKind, totp: &'static str, sms: &'static str) -> &'static str {
    match kind {
        MethodKind::Totp => totp,
        MethodKind::Sms => sms,
    }
}

fn lock(kind: FactorKind, until: Option<Timestamp>, account: AccountId) -> Option<Change> {
    let sql = match kind {
        FactorKind::Totp => TOTP_LOCKED,
        FactorKind::Sms => SMS_LOCKED,
        FactorKind::Email => EMAIL_LOCKED,
        FactorKind::RecoveryCode => return None,
    };
    Some(change(sql, [until.into(), account.into()]))
}

/// The first row of an account, however it came to be.
fn registered(account: AccountId, event: &Event, at: Timestamp) -> Change {
    let (email, verified, by, expires_at, methods, codes) = match event {
        Event::AccountRegistered(e) => (&e.email, false, e.registered_by, Some(e.expires_at), &[][..], 0),
        Event::AccountImported(e) => (&e.email, e.email_verified, None, None, &e.methods[..], e.recovery_code_count),
        _ => (&Personal::Erased, false, None, None, &[][..], 0),
    };
    let totp = methods.iter().filter(|method| matches!(method, ImportedMethod::Totp { .. })).count() as u64;
    let sms = methods.len() as u64 - totp;
    change(
        REGISTERED,
        [
            account.into(),
            masked(email),
            searched(email),
            verified.into(),
            at.into(),
            by.into(),
            expires_at.into(),
            (!methods.is_empty()).then_some(at).into(),
            totp.into(),
            sms.into(),
            codes.into(),
        ],
    )
}
