//! `timeline`: the security history, one readable line per event.
//!
//! A row keeps the event's own bytes, personal values sealed as in the log: what a reader may see of them is
//! opened when it is asked for, and an erased account's stay closed without a write to any row.

pub mod summary;

use domain::{
    events::Event,
    ids::{AccountId, StreamId},
    values::Actor,
};
use schemas::envelope::RecordedEvent;
use uuid::Uuid;

use crate::change::{Change, Param, StoredPart, Table, View, change};

/// The view.
pub static VIEW: View = View {
    name: "timeline",
    version: 1,
    tables: &[
        Table {
            name: "timeline",
            create: "CREATE TABLE timeline{shadow} (
                position BIGINT NOT NULL,
                event_id {uuid} NOT NULL,
                stream TEXT NOT NULL,
                version BIGINT NOT NULL,
                account_id {uuid},
                type TEXT NOT NULL,
                at BIGINT NOT NULL,
                actor_kind TEXT NOT NULL,
                actor_id {uuid},
                summary TEXT NOT NULL,
                event_type TEXT NOT NULL,
                schema_version BIGINT NOT NULL,
                metadata {bytes},
                data {bytes} NOT NULL,
                {key}
            )",
            indexes: &[
                "CREATE INDEX timeline_by_account_{generation} ON timeline{shadow} (account_id, position)
                    WHERE account_id IS NOT NULL",
                "CREATE INDEX timeline_by_type_{generation} ON timeline{shadow} (type, position)",
                "CREATE INDEX timeline_by_actor_{generation} ON timeline{shadow} (actor_id, position)
                    WHERE actor_id IS NOT NULL",
                "CREATE INDEX timeline_by_time_{generation} ON timeline{shadow} (at)",
            ],
            digest: "position, event_id, stream, version, account_id, type, at, actor_kind, actor_id, summary, \
                     event_type, schema_version, metadata, data",
            key: "position",
            apart: "position",
            appended: &[HAPPENED, HAPPENED_TO_ORDER],
        },
        Table {
            name: "timeline_orders",
            // Which account a send belongs to: the events of its stream do not repeat it.
            create: "CREATE TABLE timeline_orders{shadow} (
                order_id {uuid} NOT NULL,
                account_id {uuid} NOT NULL,
                {key}
            ) {clustered}",
            indexes: &[],
            digest: "order_id, account_id",
            key: "order_id",
            apart: "order_id",
            appended: &[],
        },
    ],
    changes,
};

const HAPPENED: &str = "INSERT INTO timeline{shadow}
    (position, event_id, stream, version, account_id, type, at, actor_kind, actor_id, summary, event_type,
     schema_version, metadata, data)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
    ON CONFLICT (position) DO NOTHING";
const HAPPENED_TO_ORDER: &str = "INSERT INTO timeline{shadow}
    (position, event_id, stream, version, account_id, type, at, actor_kind, actor_id, summary, event_type,
     schema_version, metadata, data)
    VALUES ($1, $2, $3, $4, (SELECT account_id FROM timeline_orders{shadow} WHERE order_id = $5),
        $6, $7, $8, $9, $10, $11, $12, $13, $14)
    ON CONFLICT (position) DO NOTHING";
const ORDER: &str = "INSERT INTO timeline_orders{shadow} (order_id, account_id) VALUES ($1, $2)
    ON CONFLICT (order_id) DO NOTHING";
const RETENTION: &str = "UPDATE timeline{shadow} SET metadata = NULL WHERE at < $1 AND metadata IS NOT NULL";

/// The stable name of an actor's kind, and the id it acts under.
pub fn actor_parts(actor: &Actor) -> (&'static str, Option<Uuid>) {
    match actor {
        Actor::Anonymous => ("anonymous", None),
        Actor::Session { session_id } => ("session", Some(session_id.0)),
        Actor::AccessToken { access_token_id } => ("access_token", Some(access_token_id.0)),
        Actor::Verification { verification_id } => ("verification", Some(verification_id.0)),
        Actor::ApiClient { api_key_id } => ("api_client", Some(api_key_id.0)),
        Actor::Worker => ("worker", None),
        Actor::Operator => ("operator", None),
    }
}

fn account(recorded: &RecordedEvent) -> Option<AccountId> {
    match (&recorded.stream, &recorded.event) {
        (StreamId::Account(id), _) => Some(*id),
        (_, Event::SendStarted(e)) => Some(e.account_id),
        (_, Event::FarewellOrdered(e)) => Some(e.account_id),
        (_, Event::HistoryAccessed(e)) => e.account_id,
        _ => None,
    }
}

/// What an event changes.
pub fn changes(recorded: &RecordedEvent) -> Vec<Change> {
    let account = account(recorded);
    let (sql, whose): (_, Param) = match (&recorded.stream, account) {
        (StreamId::Delivery(order), None) => (HAPPENED_TO_ORDER, (*order).into()),
        _ => (HAPPENED, account.into()),
    };
    let (actor_kind, actor_id) = actor_parts(&recorded.metadata.actor);
    let happened = change(
        sql,
        [
            recorded.position.into(),
            recorded.id.into(),
            recorded.stream.to_string().into(),
            recorded.version.into(),
            whose,
            recorded.event.name().into(),
            recorded.metadata.at.into(),
            actor_kind.into(),
            actor_id.into(),
            Param::Text(summary::of(&recorded.event)),
            StoredPart::EventType.into(),
            StoredPart::SchemaVersion.into(),
            StoredPart::Metadata.into(),
            StoredPart::Data.into(),
        ],
    );
    match (&recorded.event, &recorded.stream) {
        (Event::SendStarted(e), StreamId::Delivery(order)) => {
            vec![happened, change(ORDER, [(*order).into(), e.account_id.into()])]
        }
        (Event::RetentionApplied(e), _) => vec![happened, change(RETENTION, [e.before.into()])],
        _ => vec![happened],
    }
}
