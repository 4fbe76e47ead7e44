//! `account_methods`: an account's current methods, and the locks of their kinds.

use domain::{
    events::{Event, ImportedMethod, RestoredMethod},
    ids::{AccountId, MethodId},
    personal::Personal,
    time::Timestamp,
    values::{Label, MethodKind},
};
use schemas::envelope::RecordedEvent;

use super::{account_of, counts};
use crate::change::{Change, Param, Table, View, change};

/// The view.
pub static VIEW: View = View {
    name: "account_methods",
    version: 1,
    tables: &[
        Table {
            name: "account_methods",
            // A method that is being enrolled stands here without `enabled_at`: its number comes with the
            // enrollment's event, its label with the one that enables it.
            create: "CREATE TABLE account_methods{shadow} (
                account_id {uuid} NOT NULL,
                method_id BIGINT NOT NULL,
                kind TEXT NOT NULL,
                label_box {bytes},
                phone_masked TEXT,
                country TEXT,
                is_primary BIGINT NOT NULL DEFAULT 0,
                enabled_at BIGINT,
                last_used_at BIGINT,
                expires_at BIGINT,
                {key}
            ) {clustered}",
            indexes: &[],
            digest: "account_id, method_id, kind, phone_masked, country, is_primary, enabled_at, last_used_at, expires_at",
            key: "account_id, method_id",
            apart: "account_id",
            appended: &[],
        },
        Table {
            name: "account_method_locks",
            create: "CREATE TABLE account_method_locks{shadow} (
                account_id {uuid} NOT NULL,
                kind TEXT NOT NULL,
                failures BIGINT NOT NULL,
                locked_until BIGINT,
                {key}
            ) {clustered}",
            indexes: &[],
            digest: "account_id, kind, failures, locked_until",
            key: "account_id, kind",
            apart: "account_id",
            appended: &[],
        },
    ],
    changes,
};

/// The column of the sealed label; part of what the seal is bound to.
pub const LABEL: &str = "account_methods.label_box";

const PRUNE: &str = "DELETE FROM account_methods{shadow}
    WHERE account_id = $1 AND enabled_at IS NULL AND expires_at <= $2";
const PUT: &str = "INSERT INTO account_methods{shadow}
    (account_id, method_id, kind, label_box, phone_masked, country, is_primary, enabled_at, expires_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
    ON CONFLICT (account_id, method_id) DO NOTHING";
const RESTORE: &str = "INSERT INTO account_methods{shadow}
    (account_id, method_id, kind, label_box, phone_masked, country, is_primary, enabled_at, last_used_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
    ON CONFLICT (account_id, method_id) DO NOTHING";
const ENABLE: &str = "UPDATE account_methods{shadow}
    SET enabled_at = $1, label_box = $2, is_primary = $3, expires_at = NULL
    WHERE account_id = $4 AND method_id = $5";
const RELABEL: &str = "UPDATE account_methods{shadow} SET label_box = $1 WHERE account_id = $2 AND method_id = $3";
const SET_PRIMARY: &str = "UPDATE account_methods{shadow}
    SET is_primary = CASE WHEN method_id = $1 THEN 1 ELSE 0 END
    WHERE account_id = $2 AND enabled_at IS NOT NULL";
const REMOVE: &str = "DELETE FROM account_methods{shadow} WHERE account_id = $1 AND method_id = $2";
const REMOVE_ALL: &str = "DELETE FROM account_methods{shadow} WHERE account_id = $1";
const USED: &str = "UPDATE account_methods{shadow} SET last_used_at = $1 WHERE account_id = $2 AND method_id = $3";
// A lock that has ended is over: the count restarted with this code.
const LOCK_ENDED: &str = "UPDATE account_method_locks{shadow} SET locked_until = NULL
    WHERE account_id = $1 AND kind = $2 AND locked_until <= $3";
const FAILED: &str = "INSERT INTO account_method_locks{shadow} (account_id, kind, failures, locked_until)
    VALUES ($1, $2, $3, NULL)
    ON CONFLICT (account_id, kind) DO UPDATE SET failures = excluded.failures";
const LOCKED: &str = "INSERT INTO account_method_locks{shadow} (account_id, kind, failures, locked_until)
    VALUES ($1, $2, 0, $3)
    ON CONFLICT (account_id, kind) DO UPDATE SET locked_until = excluded.locked_until";
const UNLOCKED: &str = "DELETE FROM account_method_locks{shadow} WHERE account_id = $1 AND kind = $2";
const UNLOCKED_ALL: &str = "DELETE FROM account_method_locks{shadow} WHERE account_id = $1";

/// The stable name of a method's kind.
pub(super) const fn kind_name(kind: MethodKind) -> &'static str {
    kind.factor().name()
}

fn sealed_label(label: &Personal<Label>) -> Param {
    label.known().map_or(Param::Null, |label| Param::Sealed { column: LABEL, text: label.as_str().to_owned() })
}

/// What an event changes.
pub fn changes(recorded: &RecordedEvent) -> Vec<Change> {
    let Some(account) = account_of(recorded) else { return Vec::new() };
    let at = recorded.metadata.at;
    match &recorded.event {
        Event::TotpEnrollmentStarted(e) => {
            let pending = Pending { kind: MethodKind::Totp, phone: Param::Null, country: Param::Null };
            vec![prune(account, at), pending.put(account, e.method_id, e.expires_at)]
        }
        Event::SmsEnrollmentStarted(e) => {
            let phone = e.phone_number.known().map(domain::values::PhoneNumber::masked).into();
            let pending = Pending { kind: MethodKind::Sms, phone, country: e.country.0.clone().into() };
            vec![prune(account, at), pending.put(account, e.method_id, e.expires_at)]
        }
        Event::MethodEnabled(e) => {
            let enable = change(
                ENABLE,
                [at.into(), sealed_label(&e.label), e.is_primary.into(), account.into(), e.method_id.into()],
            );
            if e.is_primary { vec![enable, primary(account, e.method_id)] } else { vec![enable] }
        }
        Event::MethodRelabelled(e) => {
            vec![change(RELABEL, [sealed_label(&e.label), account.into(), e.method_id.into()])]
        }
        Event::PrimaryMethodChanged(e) => vec![primary(account, e.method_id)],
        Event::MethodDisabled(e) => vec![change(REMOVE, [account.into(), e.method_id.into()])],
        Event::TwoFactorReset(_) | Event::AccountErased(_) => {
            vec![change(REMOVE_ALL, [account.into()]), change(UNLOCKED_ALL, [account.into()])]
        }
        Event::AccountImported(e) => {
            e.methods.iter().enumerate().map(|(i, m)| imported(account, m, i == 0, at)).collect()
        }
        Event::EmailChangeUndone(e) => std::iter::once(change(REMOVE_ALL, [account.into()]))
            .chain(e.methods.iter().map(|method| restored(account, method)))
            .collect(),
        // Failures of enrollments and of address checks count toward no lock.
        Event::CodeRejected(e) if e.kind_failures > 0 => {
            vec![
                change(LOCK_ENDED, [account.into(), e.kind.name().into(), at.into()]),
                change(FAILED, [account.into(), e.kind.name().into(), e.kind_failures.into()]),
            ]
        }
        Event::MethodLocked(e) => vec![change(LOCKED, [account.into(), e.kind.name().into(), e.locked_until.into()])],
        Event::MethodUnlocked(e) => {
            e.kinds.iter().map(|kind| change(UNLOCKED, [account.into(), kind.name().into()])).collect()
        }
        Event::VerificationSucceeded(e) => {
            let mut all = Vec::new();
            if counts(e) {
                all.push(change(UNLOCKED, [account.into(), e.kind.name().into()]));
            }
            if let Some(method) = e.method_id {
                all.push(change(USED, [at.into(), account.into(), method.into()]));
            }
            all
        }
        _ => Vec::new(),
    }
}

struct Pending {
    kind: MethodKind,
    phone: Param,
    country: Param,
}

impl Pending {
    fn put(self, account: AccountId, method: MethodId, expires_at: Timestamp) -> Change {
        change(
            PUT,
            [
                account.into(),
                method.into(),
                kind_name(self.kind).into(),
                Param::Null,
                self.phone,
                self.country,
                false.into(),
                Param::Null,
                expires_at.into(),
            ],
        )
    }
}

fn prune(account: AccountId, at: Timestamp) -> Change {
    change(PRUNE, [account.into(), at.into()])
}

fn primary(account: AccountId, method: MethodId) -> Change {
    change(SET_PRIMARY, [method.into(), account.into()])
}

fn restored(account: AccountId, method: &RestoredMethod) -> Change {
    let phone = method.phone_number.as_ref().and_then(|number| number.known());
    change(
        RESTORE,
        [
            account.into(),
            method.method_id.into(),
            kind_name(method.kind).into(),
            sealed_label(&method.label),
            phone.map(domain::values::PhoneNumber::masked).into(),
            method.country.as_ref().map(|country| country.0.clone()).into(),
            method.is_primary.into(),
            method.created_at.into(),
            method.last_used.into(),
        ],
    )
}

fn imported(account: AccountId, method: &ImportedMethod, is_primary: bool, at: Timestamp) -> Change {
    let (method_id, kind, label, phone, country) = match method {
        ImportedMethod::Totp { method_id, label, .. } => (method_id, MethodKind::Totp, label, None, None),
        ImportedMethod::Sms { method_id, label, phone_number, country, .. } => {
            (method_id, MethodKind::Sms, label, phone_number.known(), Some(country.0.clone()))
        }
    };
    change(
        PUT,
        [
            account.into(),
            (*method_id).into(),
            kind_name(kind).into(),
            sealed_label(label),
            phone.map(domain::values::PhoneNumber::masked).into(),
            country.into(),
            is_primary.into(),
            at.into(),
            Param::Null,
        ],
    )
}
