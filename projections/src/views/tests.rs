//! What holds for every view and every event.
#![expect(clippy::unwrap_used, reason = "tests")]

use domain::{
    ids::{ApiKeyId, EventId, StreamId},
    personal::{ERASED_MARK, PERSONAL_MARK},
};
use rusqlite::Connection;
use schemas::{envelope::RecordedEvent, registry, samples};
use uuid::Uuid;

use super::{VIEWS, keeps_personal, timeline::summary};
use crate::{
    change::{Param, StoredPart},
    dialect::{Dialect, render},
    sqlite::file,
};

/// Every event, in every kind of stream that a view looks at.
fn everything() -> Vec<RecordedEvent> {
    let streams = [
        samples::recorded(samples::events().unwrap().remove(0)).stream,
        StreamId::Delivery(EventId(Uuid::from_u128(1))),
        StreamId::ApiKey(ApiKeyId(Uuid::from_u128(2))),
    ];
    let mut all = Vec::new();
    for event in samples::events().unwrap() {
        for stream in &streams {
            let mut recorded = samples::recorded(event.clone());
            recorded.stream = stream.clone();
            all.push(recorded);
        }
    }
    all
}

/// The same with everything personal erased.
fn erased(recorded: &RecordedEvent) -> RecordedEvent {
    fn erase(value: &mut serde_json::Value) {
        match value {
            serde_json::Value::Object(map) if map.contains_key(PERSONAL_MARK) => {
                *value = serde_json::json!({ ERASED_MARK: true });
            }
            serde_json::Value::Object(map) => map.values_mut().for_each(erase),
            serde_json::Value::Array(items) => items.iter_mut().for_each(erase),
            _ => {}
        }
    }
    let mut encoded = registry::encode(&recorded.event).unwrap();
    erase(&mut encoded.data);
    let event = registry::decode(encoded.event_type, encoded.schema_version, encoded.data).unwrap();
    RecordedEvent { event, ..recorded.clone() }
}

#[test]
fn every_statement_runs_over_live_and_shadow_tables_with_its_parameters_in_order() {
    let connection = Connection::open_in_memory().unwrap();
    for suffix in ["", "__rebuild"] {
        for table in VIEWS.iter().flat_map(|view| view.tables) {
            file::create(&connection, table, suffix, 1).unwrap();
        }
    }
    for recorded in everything() {
        for view in VIEWS {
            for change in (view.changes)(&recorded) {
                // SQLite numbers `$n` by first appearance, PostgreSQL by n: both must agree.
                let mut most = 0;
                for part in change.sql.split('$').skip(1) {
                    let digits = part.len() - part.trim_start_matches(|c: char| c.is_ascii_digit()).len();
                    let number: usize = part[..digits].parse().unwrap();
                    assert!(number <= most + 1, "{}", change.sql);
                    most = most.max(number);
                }
                assert_eq!(most, change.params.len(), "{}", change.sql);
                for suffix in ["", "__rebuild"] {
                    let sql = render(Dialect::Sqlite, change.sql, suffix, 1);
                    assert_eq!(connection.prepare(&sql).unwrap().parameter_count(), most, "{sql}");
                }
                assert!(!change.adds || matches!(change.params.last(), Some(Param::Int(_))), "{}", change.sql);
            }
        }
    }
}

#[test]
fn what_a_view_keeps_of_a_person_is_opened_first() {
    for recorded in everything() {
        let bare = erased(&recorded);
        for view in VIEWS {
            if !keeps_personal(&recorded.event) {
                let changes = (view.changes)(&recorded);
                assert_eq!(
                    changes,
                    (view.changes)(&bare),
                    "{} keeps something of {}",
                    view.name,
                    recorded.event.name()
                );
            }
        }
    }
}

#[test]
fn every_event_has_a_line_that_names_nobody() {
    let mut lines = std::collections::BTreeSet::new();
    for event in samples::events().unwrap() {
        let line = summary::of(&event);
        assert!(line.len() > 5 && !line.contains('@') && !line.contains("+4"), "{line}");
        lines.insert(line.clone());
        assert_eq!(line, summary::of(&erased(&samples::recorded(event)).event), "only what is public shows");
    }
    assert_eq!(lines.len(), registry::event_types().count(), "no two events read alike");
}

#[test]
fn only_the_timeline_takes_the_stored_bytes_and_takes_each_once() {
    for recorded in everything() {
        for view in VIEWS {
            let parts: Vec<StoredPart> = (view.changes)(&recorded)
                .into_iter()
                .flat_map(|change| change.params)
                .filter_map(|param| if let Param::Stored(part) = param { Some(part) } else { None })
                .collect();
            let expected: &[StoredPart] = match view.name {
                "timeline" => {
                    &[StoredPart::EventType, StoredPart::SchemaVersion, StoredPart::Metadata, StoredPart::Data]
                }
                _ => &[],
            };
            assert_eq!(parts, expected);
        }
    }
}

#[test]
fn every_table_is_digested_by_its_key_first() {
    for table in VIEWS.iter().flat_map(|view| view.tables) {
        assert!(table.digest.starts_with(table.key), "{}", table.name);
    }
}

#[test]
fn parameters_show_nothing_personal() {
    let changes: Vec<_> =
        everything().iter().flat_map(|recorded| VIEWS.iter().flat_map(move |view| (view.changes)(recorded))).collect();
    let shown = format!("{changes:?}");
    let data: Vec<serde_json::Value> =
        samples::events().unwrap().iter().map(|event| registry::encode(event).unwrap().data).collect();
    for value in data {
        for field in ["email", "phone_number", "label", "name"] {
            if let Some(text) = value[field][PERSONAL_MARK].as_str() {
                assert!(!shown.contains(text), "{field}");
            }
        }
    }
}
