//! An account's state as an auditor sees it, and the difference that one event made.

use std::collections::BTreeMap;

use domain::{
    ids::{AccessTokenId, MethodId, SessionId, VerificationId},
    personal::Personal,
    state::{Account, Device, Lock, Phase, Progress, Tally},
    time::Timestamp,
    values::{Aal, Amr, MethodKind, Purpose},
};
use projections::queries::Reveal;
use serde::Serialize;
use serde_json::Value;

/// The state of an account. Every part of it comes from events alone, so that the same events give the same.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = AccountState)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts, shown as such")]
pub(crate) struct StateShape {
    /// `absent`, `unconfirmed`, `confirmed` or `erased`.
    phase: &'static str,
    /// Its address.
    email: Option<String>,
    /// When it was registered.
    #[schema(value_type = Option<String>, format = DateTime)]
    registered_at: Option<Timestamp>,
    /// Whether it has a password.
    has_password: bool,
    /// Whether two-factor authentication is on.
    two_factor_enabled: bool,
    /// Since when.
    #[schema(value_type = Option<String>, format = DateTime)]
    two_factor_since: Option<Timestamp>,
    /// Support reset it, and no method was enabled since.
    reset_by_support: bool,
    /// Its methods, by number.
    methods: BTreeMap<u32, MethodState>,
    /// The number of the primary one.
    #[schema(value_type = Option<u32>)]
    primary_method: Option<MethodId>,
    /// What is being enrolled, by number.
    enrollments: BTreeMap<u32, EnrollmentState>,
    /// The current recovery codes.
    recovery_codes: Option<RecoveryState>,
    /// Wrong codes in a row and locks, by kind.
    locks: BTreeMap<&'static str, LockState>,
    /// Wrong codes in a row over TOTP, SMS and email.
    account_failures: u32,
    /// Whether the cap stops those three.
    account_locked: bool,
    /// The same three for devices that the account knows; those above are everybody else's.
    known_devices: TallyState,
    /// Verifications of the last day, by id.
    #[schema(value_type = BTreeMap<String, VerificationState>)]
    verifications: BTreeMap<VerificationId, VerificationState>,
    /// Live sessions, by id.
    #[schema(value_type = BTreeMap<String, SessionState>)]
    sessions: BTreeMap<SessionId, SessionState>,
    /// Live access tokens, by id.
    #[schema(value_type = BTreeMap<String, AccessTokenState>)]
    access_tokens: BTreeMap<AccessTokenId, AccessTokenState>,
}

/// Wrong codes of one side, when the last of them came.
#[derive(Serialize, utoipa::ToSchema)]
struct TallyState {
    locks: BTreeMap<&'static str, LockState>,
    account_failures: u32,
    account_locked: bool,
}

fn locks(tally: &Tally) -> BTreeMap<&'static str, LockState> {
    [("totp", tally.locks.totp), ("sms", tally.locks.sms), ("email", tally.locks.email)]
        .into_iter()
        .map(|(kind, Lock { failures, locked_until })| (kind, LockState { failures, locked_until }))
        .collect()
}

#[derive(Serialize, utoipa::ToSchema)]
struct MethodState {
    #[schema(value_type = crate::words::MethodKindWord)]
    kind: MethodKind,
    label: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    last_used: Option<Timestamp>,
}

#[derive(Serialize, utoipa::ToSchema)]
struct EnrollmentState {
    #[schema(value_type = crate::words::MethodKindWord)]
    kind: MethodKind,
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
    failures: u32,
    ended: bool,
}

#[derive(Serialize, utoipa::ToSchema)]
struct RecoveryState {
    set: u32,
    count: u32,
    remaining: u32,
    #[schema(value_type = String, format = DateTime)]
    generated_at: Timestamp,
}

#[derive(Serialize, utoipa::ToSchema)]
struct LockState {
    failures: u32,
    #[schema(value_type = Option<String>, format = DateTime)]
    locked_until: Option<Timestamp>,
}

#[derive(Serialize, utoipa::ToSchema)]
struct VerificationState {
    #[schema(value_type = crate::words::PurposeWord)]
    purpose: Purpose,
    #[schema(value_type = Object)]
    progress: Progress,
    failures: u32,
    sends: u32,
}

#[derive(Serialize, utoipa::ToSchema)]
struct SessionState {
    #[schema(value_type = crate::words::AalWord)]
    aal: Aal,
    #[schema(value_type = Vec<crate::words::AmrWord>)]
    amr: Vec<Amr>,
    #[schema(value_type = String, format = DateTime)]
    started_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
}

#[derive(Serialize, utoipa::ToSchema)]
struct AccessTokenState {
    name: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    issued_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
}

impl StateShape {
    pub fn new(account: &Account, reveal: Reveal) -> Self {
        let text = |value: &Personal<domain::values::FreeText>| value.known().map(|text| text.as_str().to_owned());
        Self {
            phase: match account.phase {
                Phase::Absent => "absent",
                Phase::Unconfirmed { .. } => "unconfirmed",
                Phase::Confirmed => "confirmed",
                Phase::Erased => "erased",
            },
            email: account.email.as_ref().and_then(Personal::known).map(|email| match reveal {
                Reveal::Clear => email.as_str().to_owned(),
                Reveal::Masked => email.masked(),
            }),
            registered_at: account.registered_at,
            has_password: account.password.is_some(),
            two_factor_enabled: account.two_factor_since.is_some(),
            two_factor_since: account.two_factor_since,
            reset_by_support: account.reset.is_some(),
            methods: account
                .methods
                .iter()
                .map(|(id, method)| {
                    let label = method.label.known().map(|label| label.as_str().to_owned());
                    let (created_at, last_used) = (method.created_at, method.last_used);
                    (id.0, MethodState { kind: kind(&method.device), label, created_at, last_used })
                })
                .collect(),
            primary_method: account.primary,
            enrollments: account
                .enrollments
                .iter()
                .map(|(id, enrollment)| {
                    let (expires_at, failures) = (enrollment.expires_at, enrollment.failures);
                    let kind = kind(&enrollment.device);
                    (id.0, EnrollmentState { kind, expires_at, failures, ended: enrollment.ended })
                })
                .collect(),
            recovery_codes: account.recovery.as_ref().map(|set| RecoveryState {
                set: set.set,
                count: set.count,
                remaining: set.remaining(),
                generated_at: set.generated_at,
            }),
            locks: locks(&account.tallies.others),
            account_failures: account.tallies.others.failures,
            account_locked: account.tallies.others.reached_cap,
            known_devices: TallyState {
                locks: locks(&account.tallies.known_devices),
                account_failures: account.tallies.known_devices.failures,
                account_locked: account.tallies.known_devices.reached_cap,
            },
            verifications: account
                .verifications
                .iter()
                .map(|(id, verification)| {
                    let state = VerificationState {
                        purpose: verification.purpose,
                        progress: verification.progress,
                        failures: verification.failures + verification.recovery_failures,
                        sends: verification.sends,
                    };
                    (*id, state)
                })
                .collect(),
            sessions: account
                .sessions
                .iter()
                .map(|(id, session)| {
                    let (started_at, expires_at) = (session.started_at, session.expires_at);
                    (*id, SessionState { aal: session.aal, amr: session.amr.clone(), started_at, expires_at })
                })
                .collect(),
            access_tokens: account
                .access_tokens
                .iter()
                .map(|(id, token)| {
                    let (issued_at, expires_at) = (token.issued_at, token.expires_at);
                    (*id, AccessTokenState { name: text(&token.name), issued_at, expires_at })
                })
                .collect(),
        }
    }
}

fn kind(device: &Device) -> MethodKind {
    match device {
        Device::Totp { .. } => MethodKind::Totp,
        Device::Sms { .. } => MethodKind::Sms,
    }
}

/// One difference.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = StateChange)]
pub(crate) struct ChangeShape {
    /// Where: a JSON Pointer (RFC 6901) into the state.
    path: String,
    /// What stood there; null for nothing.
    #[schema(value_type = Object)]
    before: Value,
    /// What stands there; null for nothing.
    #[schema(value_type = Object)]
    after: Value,
}

/// The differences between two states.
pub(super) fn changes(before: &Value, after: &Value) -> Vec<ChangeShape> {
    let mut found = Vec::new();
    compare("", before, after, &mut found);
    found
}

fn compare(path: &str, before: &Value, after: &Value, found: &mut Vec<ChangeShape>) {
    match (before, after) {
        (Value::Object(old), Value::Object(new)) => {
            let names: std::collections::BTreeSet<&String> = old.keys().chain(new.keys()).collect();
            for name in names {
                let step = name.replace('~', "~0").replace('/', "~1");
                let nothing = &Value::Null;
                let (old, new) = (old.get(name).unwrap_or(nothing), new.get(name).unwrap_or(nothing));
                compare(&format!("{path}/{step}"), old, new, found);
            }
        }
        (old, new) if old == new => {}
        (old, new) => found.push(ChangeShape { path: path.to_owned(), before: old.clone(), after: new.clone() }),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn differences_are_named_by_where_they_are() {
        let before = json!({"a": 1, "locks": {"totp": {"failures": 0}}, "gone": {"x": 1}});
        let after = json!({"a": 1, "locks": {"totp": {"failures": 2}}, "new/one": true});
        let found = changes(&before, &after);
        let paths: Vec<_> = found.iter().map(|change| change.path.as_str()).collect();
        assert_eq!(paths, ["/gone", "/locks/totp/failures", "/new~1one"]);
        assert_eq!((&found[1].before, &found[1].after), (&json!(0), &json!(2)));
    }
}
