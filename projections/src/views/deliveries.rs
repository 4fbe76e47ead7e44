//! `deliveries`: each code and notice that was ordered, how far it got and how long that took. The share of
//! texts to a prefix that are never confirmed is the sign of toll fraud.

use domain::{
    delivery::{AttemptState, CodeOrder},
    events::Event,
    ids::{AccountId, EventId, StreamId, VerificationId},
    time::Timestamp,
    values::{Channel, FactorKind},
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
    match &recorded.stream {
        StreamId::Delivery(order) => of_delivery(*order, recorded).into_iter().collect(),
        _ => account_of(recorded).and_then(|account| of_account(account, recorded)).into_iter().collect(),
    }
}

/// How far a send got.
fn of_delivery(order: EventId, recorded: &RecordedEvent) -> Option<Change> {
    let (_, state) = AttemptState::after(&recorded.event)?;
    let (order, state, at): (Param, Param, Param) = (order.into(), state.name().into(), recorded.metadata.at.into());
    Some(match &recorded.event {
        Event::SendStarted(e) => change(
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
                at,
            ],
        ),
        Event::CodeDispatched(e) => change(DISPATCHED, [state, e.provider.clone().into(), at, order]),
        Event::CodeDelivered(e) => change(DELIVERED, [state, e.provider.clone().into(), at, order]),
        Event::CodeDeliveryFailed(e) => {
            change(FAILED, [state, e.provider.clone().into(), e.reason.clone().into(), at, order])
        }
        Event::SendOutcomeUnknown(e) => change(UNKNOWN, [state, e.provider.clone().into(), order]),
        _ => return None,
    })
}

/// What was ordered for an account, and what of it was confirmed.
fn of_account(account: AccountId, recorded: &RecordedEvent) -> Option<Change> {
    let at = recorded.metadata.at;
    Some(match &recorded.event {
        Event::CodeIssued(_) | Event::CodeResent(_) => ordered(recorded, account, CodeOrder::of(&recorded.event)?),
        Event::VerificationSucceeded(e) => match e.kind {
            FactorKind::Sms | FactorKind::Email => verified(e.verification_id, e.kind, at),
            FactorKind::Totp | FactorKind::RecoveryCode => return None,
        },
        Event::EmailVerified(e) => verified(e.verification_id?, FactorKind::Email, at),
        Event::EmailChanged(e) => verified(e.verification_id, FactorKind::Email, at),
        Event::PasswordSet(e) => verified(e.verification_id?, FactorKind::Email, at),
        Event::MethodEnabled(e) if e.kind.factor() == FactorKind::Sms => {
            change(ENROLLED, [at.into(), account.into(), e.method_id.into()])
        }
        Event::AccountErased(_) => change(DETACHED, [account.into()]),
        _ => return None,
    })
}

fn verified(id: VerificationId, kind: FactorKind, at: Timestamp) -> Change {
    change(VERIFIED, [at.into(), id.into(), kind.name().into()])
}

fn ordered(recorded: &RecordedEvent, account: AccountId, order: CodeOrder) -> Change {
    let CodeOrder { challenge, country, prefix, expires_at, .. } = order;
    change(
        ORDERED,
        [
            recorded.id.into(),
            account.into(),
            challenge.verification_id.into(),
            challenge.method_id.into(),
            challenge.purpose.name().into(),
            channel_name(challenge.channel).into(),
            country.map(|country| country.0).into(),
            prefix.map(|prefix| prefix.0).into(),
            recorded.metadata.at.into(),
            expires_at.into(),
        ],
    )
}
