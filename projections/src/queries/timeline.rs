//! The security history.

use std::{collections::BTreeMap, net::IpAddr};

use domain::{
    ids::{AccountId, CommandId, EventId, StreamId},
    personal::{ERASED_MARK, PERSONAL_MARK, Personal},
    time::Timestamp,
    values::{Actor, EmailAddress, Origin, PhoneNumber},
};
use event_store::codec;
use schemas::{
    envelope::{Position, RecordedEvent, StoredEvent, Version},
    registry,
};
use serde::Serialize;
use serde_json::Value as Json;
use uuid::Uuid;
use vault::DataKey;

use super::page::{Conditions, Order, Page, page};
use crate::{
    error::ViewError,
    live::Views,
    row::{Row, Value},
    views::timeline::summary,
};

/// How much of what is personal a reader sees. Secrets are never shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reveal {
    /// Addresses, numbers and source addresses masked.
    Masked,
    /// All in clear; to be recorded by whoever asks for it.
    Clear,
}

/// One event of the history.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TimelineEntry {
    /// Its place in the order of all events.
    pub position: u64,
    /// Its id.
    pub id: EventId,
    /// Its stream.
    pub stream: String,
    /// Its number in the stream.
    pub version: u64,
    /// The account it is about.
    pub account_id: Option<AccountId>,
    /// Its type.
    #[serde(rename = "type")]
    pub event_type: String,
    /// When it was decided.
    pub at: Timestamp,
    /// Who did it.
    pub actor: Actor,
    /// The readable line.
    pub summary: String,
    /// Its data, without secrets.
    pub data: Json,
    /// Where the request came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
    /// The command that led to it.
    pub command_id: Option<CommandId>,
    /// Ties together everything that one request led to.
    pub correlation_id: Option<Uuid>,
    /// The event that caused the command, when one did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub causation_id: Option<EventId>,
}

/// Where a request came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Source {
    /// Its address; masked, its network.
    pub ip: Option<String>,
    /// Whom the API client that sent it says that it asked for; masked like `ip`.
    pub end_user_ip: Option<String>,
    /// Its `User-Agent`.
    pub user_agent: Option<String>,
}

/// Which events. All of what is given must hold.
#[derive(Debug, Clone, Default)]
pub struct TimelineFilter {
    /// About this account.
    pub account: Option<AccountId>,
    /// Of one of these types; any when empty.
    pub types: Vec<String>,
    /// By an actor of this kind: `anonymous`, `session`, `access_token`, `verification`, `api_client`, `worker`
    /// or `operator`.
    pub actor_kind: Option<String>,
    /// By the actor with this id.
    pub actor_id: Option<Uuid>,
    /// Decided at or after.
    pub from: Option<Timestamp>,
    /// Decided before.
    pub before: Option<Timestamp>,
}

const COLUMNS: &str = "position, event_id, stream, version, account_id, type, at, actor_kind, actor_id, summary,
    event_type, schema_version, metadata, data";

/// A row as it is kept.
struct Kept {
    stored: StoredEvent,
    account: Option<AccountId>,
    event_type: String,
    at: Timestamp,
    summary: String,
    /// Metadata was dropped: retention.
    is_bare: bool,
}

fn kept(row: &mut Row) -> Result<Kept, ViewError> {
    let (kind, actor): (String, Option<Uuid>) = (row.get(7)?, row.get(8)?);
    let at = row.get(6)?;
    let metadata: Option<Vec<u8>> = row.get(12)?;
    Ok(Kept {
        is_bare: metadata.is_none(),
        stored: StoredEvent {
            position: Position(row.get(0)?),
            id: EventId(row.get(1)?),
            stream: row.get::<String>(2)?.into(),
            version: Version(row.get(3)?),
            event_type: row.get::<String>(10)?.into(),
            schema_version: row.get(11)?,
            metadata: metadata.unwrap_or_else(|| bare_metadata(at, &kind, actor)),
            data: row.get(13)?,
        },
        account: row.get::<Option<_>>(4)?.map(AccountId),
        event_type: row.get(5)?,
        at,
        summary: row.get(9)?,
    })
}

/// What is left of metadata after retention: when and who.
fn bare_metadata(at: Timestamp, kind: &str, actor: Option<Uuid>) -> Vec<u8> {
    let actor = match actor {
        Some(id) => {
            let field = match kind {
                "api_client" => "api_key_id".to_owned(),
                other => format!("{other}_id"),
            };
            serde_json::json!({"kind": kind, field: id})
        }
        None => serde_json::json!({"kind": kind}),
    };
    let nil = Uuid::nil();
    serde_json::json!({"at": at, "actor": actor, "command_id": nil, "correlation_id": nil}).to_string().into_bytes()
}

impl TimelineEntry {
    /// An event as a reader of the history sees it.
    pub fn of(recorded: &RecordedEvent, reveal: Reveal) -> Self {
        let data = registry::encode(&recorded.event).map_or(Json::Null, |encoded| encoded.data);
        let metadata = &recorded.metadata;
        let [ip, end_user_ip] =
            [&metadata.ip, &metadata.end_user_ip].map(|ip| ip.as_ref().map(|ip| shown_ip(ip, reveal)));
        let user_agent = metadata.user_agent.as_ref().map(|agent| known_or_erased(agent.known().cloned()));
        Self {
            position: recorded.position.0,
            id: recorded.id,
            stream: recorded.stream.to_string(),
            version: recorded.version.0,
            account_id: match recorded.stream {
                StreamId::Account(id) => Some(id),
                _ => None,
            },
            event_type: recorded.event.name().to_owned(),
            at: metadata.at,
            actor: metadata.actor,
            summary: summary::of(&recorded.event).into_owned(),
            data: shown(data, "", reveal),
            source: (ip.is_some() || end_user_ip.is_some() || user_agent.is_some()).then_some(Source {
                ip,
                end_user_ip,
                user_agent,
            }),
            command_id: Some(metadata.command_id),
            correlation_id: Some(metadata.correlation_id),
            causation_id: metadata.causation_id,
        }
    }
}

const ERASED: &str = "[erased]";

fn known_or_erased(value: Option<String>) -> String {
    value.unwrap_or_else(|| ERASED.to_owned())
}

fn shown_ip(ip: &Personal<IpAddr>, reveal: Reveal) -> String {
    known_or_erased(ip.known().map(|ip| match (reveal, ip.to_canonical()) {
        (Reveal::Clear, ip) => ip.to_string(),
        (Reveal::Masked, IpAddr::V4(v4)) => {
            let [a, b, c, _] = v4.octets();
            format!("{a}.{b}.{c}.0/24")
        }
        (Reveal::Masked, ip) => Origin { ip: Some(ip), ..Origin::default() }.network(),
    }))
}

/// The data of an event without marks and secrets. `field` is the name that the value stands under.
fn shown(value: Json, field: &str, reveal: Reveal) -> Json {
    match value {
        Json::Object(mut map) => {
            if map.len() == 1 {
                if let Some(known) = map.remove(PERSONAL_MARK) {
                    return shown_personal(known, field, reveal);
                }
                if map.contains_key(ERASED_MARK) {
                    return Json::String(ERASED.to_owned());
                }
            }
            // Useless to a reader, and one thing less to guess at.
            map.remove("token_hash");
            map.into_iter()
                .map(|(name, value)| (name.clone(), shown(value, &name, reveal)))
                .collect::<serde_json::Map<_, _>>()
                .into()
        }
        Json::Array(items) => items.into_iter().map(|item| shown(item, field, reveal)).collect(),
        other => other,
    }
}

fn shown_personal(value: Json, field: &str, reveal: Reveal) -> Json {
    let masked = |masked: Option<String>| Json::String(masked.unwrap_or_else(|| "•••".to_owned()));
    match (field, reveal) {
        ("password" | "secret" | "codes" | "recovery_codes", _) => Json::String("[secret]".to_owned()),
        // Of an account that is erased: they are there for the last mail alone, and gone with it.
        ("addresses", _) => Json::String(ERASED.to_owned()),
        ("email" | "new_email", Reveal::Masked) => masked(read::<EmailAddress>(value).map(|email| email.masked())),
        ("phone_number", Reveal::Masked) => masked(read::<PhoneNumber>(value).map(|number| number.masked())),
        ("to", Reveal::Masked) => masked(match value.as_str() {
            Some(to) if to.contains('@') => read::<EmailAddress>(value).map(|email| email.masked()),
            Some(_) => read::<PhoneNumber>(value).map(|number| number.masked()),
            None => None,
        }),
        // In clear, or nothing that a mask would help: labels, names and reasons.
        _ => value,
    }
}

fn read<T: serde::de::DeserializeOwned>(value: Json) -> Option<T> {
    serde_json::from_value(value).ok()
}

fn read_position(cursor: &str) -> Result<i64, ViewError> {
    i64::from_str_radix(cursor, 16).ok().filter(|position| *position >= 0).ok_or(ViewError::InvalidCursor)
}

impl Views {
    /// The history, filtered, in either order.
    pub async fn timeline(
        &self,
        filter: TimelineFilter,
        order: Order,
        reveal: Reveal,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Page<TimelineEntry>, ViewError> {
        let mut conditions = Conditions::default();
        if let Some(account) = filter.account {
            conditions.add("account_id = ?", [Value::Uuid(account.0)]);
        }
        if !filter.types.is_empty() {
            let places = vec!["?"; filter.types.len()].join(", ");
            conditions
                .add(&format!("type IN ({places})"), filter.types.into_iter().map(|name| Value::Text(name.into())));
        }
        if let Some(kind) = filter.actor_kind {
            conditions.add("actor_kind = ?", [Value::Text(kind.into())]);
        }
        if let Some(id) = filter.actor_id {
            conditions.add("actor_id = ?", [Value::Uuid(id)]);
        }
        if let Some(from) = filter.from {
            conditions.add("at >= ?", [from.into()]);
        }
        if let Some(before) = filter.before {
            conditions.add("at < ?", [before.into()]);
        }
        if let Some(cursor) = cursor {
            conditions.add(&format!("position {} ?", order.comparison()), [Value::Int(read_position(cursor)?)]);
        }
        let select = format!("SELECT {COLUMNS} FROM timeline");
        let (sql, values) = conditions.page(&select, &format!("position {}", order.direction()), limit);
        let rows = self.rows(sql, values, kept).await?;
        let rows = page(rows, limit, |row| format!("{:x}", row.stored.position.0));
        let mut keys: BTreeMap<StreamId, Option<DataKey>> = BTreeMap::new();
        let mut items = Vec::with_capacity(rows.items.len());
        for row in rows.items {
            items.push(self.entry(row, reveal, &mut keys).await?);
        }
        Ok(Page { items, next_cursor: rows.next_cursor })
    }

    async fn entry(
        &self,
        row: Kept,
        reveal: Reveal,
        keys: &mut BTreeMap<StreamId, Option<DataKey>>,
    ) -> Result<TimelineEntry, ViewError> {
        let undecodable = |error: codec::CodecError| ViewError::Undecodable {
            event: row.stored.id,
            position: row.stored.position,
            reason: error.to_string(),
        };
        let stream: StreamId =
            row.stored.stream.parse().map_err(|_| undecodable(codec::CodecError::Stream(row.stored.id)))?;
        if !keys.contains_key(&stream) {
            keys.insert(stream.clone(), self.parts.keys.key(&stream).await?);
        }
        let key = keys.get(&stream).and_then(Option::as_ref);
        let recorded = codec::decode(&row.stored, key).map_err(undecodable)?;
        let mut entry = TimelineEntry::of(&recorded, reveal);
        entry.account_id = row.account;
        entry.event_type = row.event_type;
        entry.at = row.at;
        entry.summary = row.summary;
        if row.is_bare {
            (entry.command_id, entry.correlation_id) = (None, None);
        }
        Ok(entry)
    }
}
