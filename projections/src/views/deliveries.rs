//! `deliveries`: each code and notice that was ordered, how far it got and how long that took. The share of
//! texts to a prefix that are never confirmed is the sign of toll fraud.

use domain::{
    delivery::AttemptState,
    events::{CodeIssued, Event},
    ids::{AccountId, StreamId, VerificationId},
    time::Timestamp,
    values::{Channel, FactorKind, Purpose},
};
use schemas::envelope::RecordedEvent;

use super::account_of;
use crate::change::{Change, Param, Table, View, change};

/// The view.
pub static VIEW: View = View {
    name: "deliveries",
    version: 1,
    tables: &[Table {
        name: "deliveries",
        create: "CREATE TABLE deliveries{shadow} (
            order_id {uuid} NOT NULL,
            account_id {uuid},
            verification_id {uuid},
            method_id BIGINT,
            subject TEXT NOT NULL,
            channel TEXT NOT NULL,
            country TEXT,
            prefix TEXT,
            provider TEXT,
            attempts BIGINT NOT NULL,
            state TEXT NOT NULL,
            reason TEXT,
            ordered_at BIGINT NOT NULL,
            deadline BIGINT NOT NULL,
            started_at BIGINT,
            dispatched_at BIGINT,
            delivered_at BIGINT,
            failed_at BIGINT,
            verified_at BIGINT,
            {key}
        ) {clustered}",
        indexes: &[
            "CREATE INDEX deliveries_by_time_{generation} ON deliveries{shadow} (ordered_at, order_id)",
            "CREATE INDEX deliveries_by_account_{generation} ON deliveries{shadow} (account_id, ordered_at)",
            "CREATE INDEX deliveries_by_verification_{generation} ON deliveries{shadow} (verification_id)
                WHERE verification_id IS NOT NULL",
        ],
        digest: "order_id, account_id, verification_id, method_id, subject, channel, country, prefix, provider, \
                 attempts, state, reason, ordered_at, deadline, started_at, dispatched_at, delivered_at, failed_at, \
                 verified_at",
        key: "order_id",
        apart: "order_id",
        appended: &[],
    }],
    changes,
};

const ORDERED: &str = "INSERT INTO deliveries{shadow}
    (order_id, account_id, verification_id, method_id, subject, channel, country, prefix, attempts, state,
     ordered_at, deadline)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0, 'ordered', $9, $10)
    ON CONFLICT (order_id) DO NOTHING";
const STARTED: &str = "INSERT INTO deliveries{shadow}
    (order_id, account_id, verification_id, subject, channel, country, prefix, provider, attempts, state,
     ordered_at, deadline, started_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
    ON CONFLICT (order_id) DO UPDATE SET provider = excluded.provider, attempts = excluded.attempts,
        state = excluded.state, reason = NULL, failed_at = NULL,
        started_at = COALESCE(deliveries{shadow}.started_at, excluded.started_at)";
const DISPATCHED: &str = "UPDATE deliveries{shadow} SET state = $1, provider = $2, dispatched_at = $3
    WHERE order_id = $4";
const DELIVERED: &str = "UPDATE deliveries{shadow} SET state = $1, provider = $2, delivered_at = $3,
    reason = NULL, failed_at = NULL
    WHERE order_id = $4";
const FAILED: &str = "UPDATE deliveries{shadow} SET state = $1, provider = $2, reason = $3, failed_at = $4
    WHERE order_id = $5";
const UNKNOWN: &str = "UPDATE deliveries{shadow} SET state = $1, provider = $2 WHERE order_id = $3";
const VERIFIED: &str = "UPDATE deliveries{shadow} SET verified_at = $1
    WHERE verification_id = $2 AND channel = $3 AND verified_at IS NULL";
const ENROLLED: &str = "UPDATE deliveries{shadow} SET verified_at = $1
    WHERE account_id = $2 AND method_id = $3 AND subject = 'enroll' AND verified_at IS NULL";
// What is left are facts about a route: country, prefix, times.
const DETACHED: &str = "UPDATE deliveries{shadow} SET account_id = NULL, verification_id = NULL, method_id = NULL
    WHERE account_id = $1";

/// The stable name of a channel.
pub(crate) const fn channel_name(channel: Channel) -> &'static str {
    channel.factor().name()
}

/// What an event changes.
pub fn changes(recorded: &RecordedEvent) -> Vec<Change> {
    let at = recorded.metadata.at;
    if let StreamId::Delivery(order) = recorded.stream {
        let Some((_, state)) = AttemptState::after(&recorded.event) else { return Vec::new() };
        let (order, state): (Param, Param) = (order.into(), state.name().into());
        return match &recorded.event {
            Event::SendStarted(e) => vec![change(
                STARTED,
                [
                    order,
                    e.account_id.into(),
                    e.verification_id.into(),
                    e.subject.clone().into(),
                    channel_name(e.channel).into(),
                    e.country.as_ref().map(|country| country.0.clone()).into(),
                    e.prefix.as_ref().map(|prefix| prefix.0.clone()).into(),
                    e.provider.clone().into(),
                    e.attempt.into(),
                    state,
                    e.ordered_at.into(),
                    e.deadline.into(),
                    at.into(),
                ],
            )],
            Event::CodeDispatched(e) => vec![change(DISPATCHED, [state, e.provider.clone().into(), at.into(), order])],
            Event::CodeDelivered(e) => vec![change(DELIVERED, [state, e.provider.clone().into(), at.into(), order])],
            Event::CodeDeliveryFailed(e) => {
                vec![change(FAILED, [state, e.provider.clone().into(), e.reason.clone().into(), at.into(), order])]
            }
            Event::SendOutcomeUnknown(e) => vec![change(UNKNOWN, [state, e.provider.clone().into(), order])],
            _ => Vec::new(),
        };
    }
    let Some(account) = account_of(recorded) else { return Vec::new() };
    match &recorded.event {
        Event::CodeIssued(e) => vec![ordered(recorded, account, e)],
        Event::CodeResent(e) => {
            let same = CodeIssued {
                verification_id: e.verification_id,
                purpose: e.purpose,
                channel: e.channel,
                method_id: e.method_id,
                issue: e.issue,
                to: domain::personal::Personal::Erased,
                country: e.country.clone(),
                prefix: e.prefix.clone(),
                expires_at: e.expires_at,
                resend_after: e.resend_after,
                automatic: false,
            };
            vec![ordered(recorded, account, &same)]
        }
        Event::VerificationSucceeded(e) => match e.kind {
            FactorKind::Sms | FactorKind::Email => vec![verified(e.verification_id, e.kind, at)],
            FactorKind::Totp | FactorKind::RecoveryCode => Vec::new(),
        },
        Event::EmailVerified(e) => {
            e.verification_id.map(|id| verified(id, FactorKind::Email, at)).into_iter().collect()
        }
        Event::EmailChanged(e) => vec![verified(e.verification_id, FactorKind::Email, at)],
        Event::PasswordSet(e) => e.verification_id.map(|id| verified(id, FactorKind::Email, at)).into_iter().collect(),
        Event::MethodEnabled(e) if e.kind.factor() == FactorKind::Sms => {
            vec![change(ENROLLED, [at.into(), account.into(), e.method_id.into()])]
        }
        Event::AccountErased(_) => vec![change(DETACHED, [account.into()])],
        _ => Vec::new(),
    }
}

fn verified(id: VerificationId, kind: FactorKind, at: Timestamp) -> Change {
    change(VERIFIED, [at.into(), id.into(), kind.name().into()])
}

fn ordered(recorded: &RecordedEvent, account: AccountId, e: &CodeIssued) -> Change {
    change(
        ORDERED,
        [
            recorded.id.into(),
            account.into(),
            e.verification_id.into(),
            e.method_id.into(),
            Purpose::name(e.purpose).into(),
            channel_name(e.channel).into(),
            e.country.as_ref().map(|country| country.0.clone()).into(),
            e.prefix.as_ref().map(|prefix| prefix.0.clone()).into(),
            recorded.metadata.at.into(),
            e.expires_at.into(),
        ],
    )
}
