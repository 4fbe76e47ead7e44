//! `recovery_codes`: the current set of an account, and when each code was used.

use domain::{events::Event, ids::AccountId, time::Timestamp};
use schemas::envelope::RecordedEvent;

use super::account_of;
use crate::change::{Change, Table, View, change};

/// The view.
pub static VIEW: View = View {
    name: "recovery_codes",
    version: 1,
    tables: &[
        Table {
            name: "recovery_code_sets",
            create: "CREATE TABLE recovery_code_sets{shadow} (
                account_id {uuid} NOT NULL,
                set_number BIGINT NOT NULL,
                generated_at BIGINT NOT NULL,
                code_count BIGINT NOT NULL,
                remaining BIGINT NOT NULL,
                {key}
            ) {clustered}",
            indexes: &[],
            digest: "account_id, set_number, generated_at, code_count, remaining",
            key: "account_id",
            apart: "account_id",
            appended: &[],
        },
        Table {
            name: "recovery_code_uses",
            create: "CREATE TABLE recovery_code_uses{shadow} (
                account_id {uuid} NOT NULL,
                code_index BIGINT NOT NULL,
                used_at BIGINT NOT NULL,
                {key}
            ) {clustered}",
            indexes: &[],
            digest: "account_id, code_index, used_at",
            key: "account_id, code_index",
            apart: "account_id",
            appended: &[],
        },
    ],
    changes,
};

const FORGET_USES: &str = "DELETE FROM recovery_code_uses{shadow} WHERE account_id = $1";
const FORGET_SET: &str = "DELETE FROM recovery_code_sets{shadow} WHERE account_id = $1";
const NEW_SET: &str =
    "INSERT INTO recovery_code_sets{shadow} (account_id, set_number, generated_at, code_count, remaining)
    VALUES ($1, $2, $3, $4, $4)
    ON CONFLICT (account_id) DO UPDATE SET set_number = excluded.set_number, generated_at = excluded.generated_at,
        code_count = excluded.code_count, remaining = excluded.remaining";
const FORGET_OTHER_USES: &str = "DELETE FROM recovery_code_uses{shadow} WHERE account_id = $1 AND NOT EXISTS
    (SELECT 1 FROM recovery_code_sets{shadow} WHERE account_id = $1 AND set_number = $2)";
const RESTORED_SET: &str =
    "INSERT INTO recovery_code_sets{shadow} (account_id, set_number, generated_at, code_count, remaining)
    VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (account_id) DO UPDATE SET set_number = excluded.set_number, generated_at = excluded.generated_at,
        code_count = excluded.code_count, remaining = excluded.remaining";
const REMAINING: &str =
    "UPDATE recovery_code_sets{shadow} SET remaining = $1 WHERE account_id = $2 AND set_number = $3";
const USED: &str = "INSERT INTO recovery_code_uses{shadow} (account_id, code_index, used_at) VALUES ($1, $2, $3)
    ON CONFLICT (account_id, code_index) DO NOTHING";

/// What an event changes.
pub fn changes(recorded: &RecordedEvent) -> Vec<Change> {
    let Some(account) = account_of(recorded) else { return Vec::new() };
    let at = recorded.metadata.at;
    match &recorded.event {
        Event::RecoveryCodesGenerated(e) => new_set(account, e.set, e.count, at),
        Event::AccountImported(e) if e.recovery_code_count > 0 => new_set(account, 1, e.recovery_code_count, at),
        Event::RecoveryCodeUsed(e) => vec![
            change(REMAINING, [e.remaining.into(), account.into(), e.set.into()]),
            change(USED, [account.into(), e.index.into(), at.into()]),
        ],
        Event::EmailChangeUndone(e) => match &e.recovery_codes {
            // When each code of an earlier set was used was forgotten with it.
            Some(codes) => vec![
                change(FORGET_OTHER_USES, [account.into(), codes.set.into()]),
                change(
                    RESTORED_SET,
                    [
                        account.into(),
                        codes.set.into(),
                        codes.generated_at.into(),
                        codes.count.into(),
                        codes.remaining.into(),
                    ],
                ),
            ],
            None => forget(account),
        },
        Event::RecoveryCodesRevoked(_) | Event::TwoFactorReset(_) | Event::AccountErased(_) => forget(account),
        _ => Vec::new(),
    }
}

fn new_set(account: AccountId, set: u32, count: u32, at: Timestamp) -> Vec<Change> {
    vec![change(FORGET_USES, [account.into()]), change(NEW_SET, [account.into(), set.into(), at.into(), count.into()])]
}

fn forget(account: AccountId) -> Vec<Change> {
    vec![change(FORGET_USES, [account.into()]), change(FORGET_SET, [account.into()])]
}
