//! `adoption`: what happened per day (UTC), as counts: registrations, 2FA on and off, methods by kind, wrong
//! codes, locks, sign-ins. Long rather than wide, so that a new measure is a new name and not a new shape.

use domain::{
    events::{Event, ImportedMethod},
    time::Timestamp,
    values::{Aal, FactorKind, MethodKind},
};
use schemas::envelope::RecordedEvent;

use super::deliveries::channel_name;
use crate::change::{Change, Table, View};

/// The view.
pub static VIEW: View = View {
    name: "adoption",
    version: 1,
    tables: &[Table {
        name: "adoption",
        create: "CREATE TABLE adoption{shadow} (
            day BIGINT NOT NULL,
            measure TEXT NOT NULL,
            kind TEXT NOT NULL,
            n BIGINT NOT NULL,
            {key}
        ) {clustered}",
        indexes: &[],
        digest: "day, measure, kind, n",
        key: "day, measure, kind",
        apart: "day, measure, kind",
        appended: &[],
    }],
    changes,
};

const ADD: &str = "INSERT INTO adoption{shadow} (day, measure, kind, n) VALUES ($1, $2, $3, $4)
    ON CONFLICT (day, measure, kind) DO UPDATE SET n = adoption{shadow}.n + excluded.n";

/// Milliseconds of a day.
pub(crate) const DAY: i64 = 86_400_000;

fn one(at: Timestamp, measure: &'static str, kind: &'static str) -> Change {
    let day = at.as_millis() / DAY;
    Change { sql: ADD, params: vec![day.into(), measure.into(), kind.into(), 1_i64.into()], adds: true }
}

/// What an event changes.
pub fn changes(recorded: &RecordedEvent) -> Vec<Change> {
    let at = recorded.metadata.at;
    let count = |measure, kind| vec![one(at, measure, kind)];
    match &recorded.event {
        Event::AccountRegistered(_) => count("registered", ""),
        Event::EmailVerified(_) => count("confirmed", ""),
        Event::AccountImported(e) => {
            let methods = e.methods.iter().map(|method| match method {
                ImportedMethod::Totp { .. } => MethodKind::Totp,
                ImportedMethod::Sms { .. } => MethodKind::Sms,
            });
            std::iter::once(one(at, "imported", ""))
                .chain(methods.map(|kind| one(at, "method_enabled", kind.factor().name())))
                .collect()
        }
        Event::AccountErased(_) => count("erased", ""),
        Event::SignedIn(e) => count(
            "signed_in",
            match e.aal {
                Aal::Aal1 => "aal1",
                Aal::Aal2 => "aal2",
            },
        ),
        Event::TwoFactorEnabled(_) => count("two_factor_enabled", ""),
        Event::TwoFactorDisabled(_) => count("two_factor_disabled", ""),
        Event::TwoFactorReset(_) => count("two_factor_reset", ""),
        Event::MethodEnabled(e) => count("method_enabled", e.kind.factor().name()),
        Event::MethodDisabled(e) => count("method_disabled", e.kind.factor().name()),
        Event::VerificationSucceeded(e) => count("verified", e.kind.name()),
        Event::CodeRejected(e) => {
            let mut all = count("code_rejected", e.kind.name());
            if e.account_locked && e.kind != FactorKind::RecoveryCode && e.kind_failures > 0 {
                all.push(one(at, "account_locked", ""));
            }
            all
        }
        Event::MethodLocked(e) => count("method_locked", e.kind.name()),
        Event::MethodUnlocked(_) => count("unlocked", ""),
        Event::PasswordRejected(_) => count("password_rejected", ""),
        Event::CodeIssued(e) => count("code_issued", channel_name(e.channel)),
        Event::CodeResent(e) => count("code_resent", channel_name(e.channel)),
        Event::CodeDeliveryFailed(e) if e.is_final => count("delivery_failed", ""),
        Event::RecoveryCodesGenerated(_) => count("recovery_codes_generated", ""),
        Event::RecoveryCodeUsed(_) => count("recovery_code_used", ""),
        _ => Vec::new(),
    }
}
