//! `sessions`: live sessions and access tokens. When each was last used is kept beside the log, by
//! `operations`.

use domain::{
    events::Event,
    values::{Aal, Amr},
};
use schemas::envelope::RecordedEvent;

use super::account_of;
use crate::change::{Change, Param, Table, View, change};

/// The view.
pub static VIEW: View = View {
    name: "sessions",
    version: 3,
    tables: &[
        Table {
            name: "sessions",
            create: "CREATE TABLE sessions{shadow} (
                session_id {uuid} NOT NULL,
                account_id {uuid} NOT NULL,
                aal TEXT NOT NULL,
                amr TEXT NOT NULL,
                started_at BIGINT NOT NULL,
                expires_at BIGINT NOT NULL,
                idle_timeout BIGINT NOT NULL,
                api_key_id {uuid},
                access_token_id {uuid},
                {key}
            ) {clustered}",
            indexes: &["CREATE INDEX sessions_by_account_{generation} ON sessions{shadow} (account_id, started_at)"],
            digest: "session_id, account_id, aal, amr, started_at, expires_at, idle_timeout, api_key_id, \
                     access_token_id",
            key: "session_id",
            apart: "account_id",
            appended: &[],
        },
        Table {
            name: "access_tokens",
            create: "CREATE TABLE access_tokens{shadow} (
                access_token_id {uuid} NOT NULL,
                account_id {uuid} NOT NULL,
                name_box {bytes},
                issued_at BIGINT NOT NULL,
                expires_at BIGINT NOT NULL,
                {key}
            ) {clustered}",
            indexes: &[
                "CREATE INDEX access_tokens_by_account_{generation} ON access_tokens{shadow} (account_id, issued_at)",
            ],
            digest: "access_token_id, account_id, issued_at, expires_at",
            key: "access_token_id",
            apart: "account_id",
            appended: &[],
        },
    ],
    changes,
};

/// The column of an access token's sealed name; part of what the seal is bound to.
pub const NAME: &str = "access_tokens.name_box";

const PRUNE_SESSIONS: &str = "DELETE FROM sessions{shadow} WHERE account_id = $1 AND expires_at <= $2";
const SIGNED_IN: &str = "INSERT INTO sessions{shadow}
    (session_id, account_id, aal, amr, started_at, expires_at, idle_timeout, api_key_id, access_token_id)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (session_id) DO NOTHING";
const SESSION_ENDED: &str = "DELETE FROM sessions{shadow} WHERE session_id = $1 AND account_id = $2";
const ALL_SESSIONS_ENDED: &str = "DELETE FROM sessions{shadow} WHERE account_id = $1";
const RENEWED: &str = "UPDATE sessions{shadow} SET aal = $1, amr = $2 WHERE session_id = $3 AND account_id = $4";
const PRUNE_TOKENS: &str = "DELETE FROM access_tokens{shadow} WHERE account_id = $1 AND expires_at <= $2";
const TOKEN_ISSUED: &str =
    "INSERT INTO access_tokens{shadow} (access_token_id, account_id, name_box, issued_at, expires_at)
    VALUES ($1, $2, $3, $4, $5) ON CONFLICT (access_token_id) DO NOTHING";
const TOKEN_ENDED: &str = "DELETE FROM access_tokens{shadow} WHERE access_token_id = $1 AND account_id = $2";
const ALL_TOKENS_ENDED: &str = "DELETE FROM access_tokens{shadow} WHERE account_id = $1";
// The sessions first: those that an older access token began are known by its row.
const SESSIONS_CUT_OFF: &str = "DELETE FROM sessions{shadow} WHERE started_at < $1 OR access_token_id IN
    (SELECT access_token_id FROM access_tokens{shadow} WHERE issued_at < $2)";
const TOKENS_CUT_OFF: &str = "DELETE FROM access_tokens{shadow} WHERE issued_at < $1";

/// The stable name of an assurance level.
pub(super) const fn aal_name(aal: Aal) -> &'static str {
    match aal {
        Aal::Aal1 => "aal1",
        Aal::Aal2 => "aal2",
    }
}

const fn amr_name(amr: Amr) -> &'static str {
    match amr {
        Amr::Pwd => "pwd",
        Amr::Otp => "otp",
        Amr::Sms => "sms",
        Amr::Mfa => "mfa",
        Amr::Email => "email",
        Amr::RecoveryCode => "recovery_code",
    }
}

/// What an event changes.
pub fn changes(recorded: &RecordedEvent) -> Vec<Change> {
    if let Event::SessionsCutOff(e) = &recorded.event {
        let before = || e.before.into();
        return vec![change(SESSIONS_CUT_OFF, [before(), before()]), change(TOKENS_CUT_OFF, [before()])];
    }
    let Some(account) = account_of(recorded) else { return Vec::new() };
    let at = recorded.metadata.at;
    match &recorded.event {
        Event::SignedIn(e) => {
            let amr: Vec<&str> = e.amr.iter().copied().map(amr_name).collect();
            let put = [
                e.session_id.into(),
                account.into(),
                aal_name(e.aal).into(),
                amr.join(" ").into(),
                at.into(),
                e.expires_at.into(),
                e.idle_timeout.into(),
                e.api_key_id.into(),
                e.access_token_id.into(),
            ];
            vec![change(PRUNE_SESSIONS, [account.into(), at.into()]), change(SIGNED_IN, put)]
        }
        Event::SignedOut(e) => vec![change(SESSION_ENDED, [e.session_id.into(), account.into()])],
        Event::SessionRevoked(e) => {
            e.session_ids.iter().map(|id| change(SESSION_ENDED, [(*id).into(), account.into()])).collect()
        }
        Event::SessionRenewed(e) => {
            let amr: Vec<&str> = e.amr.iter().copied().map(amr_name).collect();
            let put = [aal_name(e.aal).into(), amr.join(" ").into(), e.session_id.into(), account.into()];
            vec![change(RENEWED, put)]
        }
        Event::AccessTokenIssued(e) => {
            let name = e
                .name
                .known()
                .map_or(Param::Null, |name| Param::Sealed { column: NAME, text: name.as_str().to_owned() });
            vec![
                change(PRUNE_TOKENS, [account.into(), at.into()]),
                change(TOKEN_ISSUED, [e.access_token_id.into(), account.into(), name, at.into(), e.expires_at.into()]),
            ]
        }
        Event::AccessTokenRevoked(e) => {
            e.access_token_ids.iter().map(|id| change(TOKEN_ENDED, [(*id).into(), account.into()])).collect()
        }
        Event::TwoFactorReset(_) | Event::EmailChangeUndone(_) | Event::AccountErased(_) => {
            vec![change(ALL_SESSIONS_ENDED, [account.into()]), change(ALL_TOKENS_ENDED, [account.into()])]
        }
        _ => Vec::new(),
    }
}
