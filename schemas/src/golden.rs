//! The checked-in schemas and samples, and the lock on those that must never change again.
//!
//! `UPDATE_GOLDEN=1 cargo test -p schemas` writes what is new and adds it to `frozen.lock`. A file that the
//! lock names is never written again: to change a shape that was released, add a version
//! (docs/how-to/add-an-event-version.md). Before a release, a line may be taken out of the lock by
//! hand; the change of the lock is then what a reviewer sees. Public messages are not locked, since they may
//! gain fields; they may not lose any.
#![expect(clippy::unwrap_used, reason = "tests")]

mod conforms;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    sync::Once,
};

use domain::{personal::PERSONAL_MARK, secret::to_hex};
use schemars::{Schema, schema_for};
use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::{
    envelope::Metadata,
    public::{self, CloudEvent, PUBLIC_VERSION},
    registry::{self, current_version, decode, encode, event_types},
    samples,
};

/// The metadata as it is now; a further optional field is a further pair of files.
const METADATA: &str = "envelope/metadata.v2";

/// Public messages may gain fields, so their files are checked but not locked.
const GROWING: &str = "public/";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

fn pretty(value: &impl Serialize) -> String {
    serde_json::to_string_pretty(value).unwrap() + "\n"
}

/// A schema without its words: those come from the comments in the code, which may be put better at any time.
fn shape(schema: Schema) -> String {
    fn strip(value: &mut Value) {
        match value {
            Value::Object(keywords) => {
                // A property called `description` would hold a schema, not text.
                if keywords.get("description").is_some_and(Value::is_string) {
                    keywords.remove("description");
                }
                keywords.values_mut().for_each(strip);
            }
            Value::Array(items) => items.iter_mut().for_each(strip),
            _ => {}
        }
    }
    let mut value = Value::from(schema);
    strip(&mut value);
    pretty(&value)
}

/// What the code says now, by path under `schemas/`.
fn current() -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    for event in samples::events().unwrap() {
        let encoded = encode(&event).unwrap();
        let stem = format!("events/{}.v{}", encoded.event_type, encoded.schema_version);
        files.insert(format!("{stem}.schema.json"), shape(registry::schema(encoded.event_type).unwrap()));
        files.insert(format!("{stem}.sample.json"), pretty(&encoded.data));
        if let Some(message) = public::message(&samples::recorded(event), "urn:example:countersign") {
            files.insert(format!("public/{}.v{PUBLIC_VERSION}.sample.json", encoded.event_type), pretty(&message));
        }
    }
    files.insert(format!("{METADATA}.schema.json"), shape(schema_for!(Metadata)));
    files.insert(format!("{METADATA}.sample.json"), pretty(&samples::metadata()));
    files.insert("public/cloudevent.v1.schema.json".to_owned(), shape(schema_for!(CloudEvent)));
    files
}

/// What is checked in, by path under `schemas/`; brought up to date before, when that was asked for.
fn checked_in() -> BTreeMap<String, String> {
    static UPDATED: Once = Once::new();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        UPDATED.call_once(update);
    }
    read()
}

fn read() -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    for sub in ["events", "envelope", "public"] {
        let Ok(entries) = fs::read_dir(folder().join(sub)) else { continue };
        for entry in entries {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            files.insert(format!("{sub}/{name}"), fs::read_to_string(path).unwrap());
        }
    }
    files
}

/// SHA-256 of every frozen file, by its path.
fn frozen() -> BTreeMap<String, String> {
    let text = fs::read_to_string(folder().join("frozen.lock")).unwrap_or_default();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.split_once("  ").unwrap()).map(|(hash, path)| (path.to_owned(), hash.to_owned())).collect()
}

fn hash(text: &str) -> String {
    to_hex(&Sha256::digest(text))
}

/// Whether every field, at any depth, is still there.
fn keeps_all(before: &str, now: &str) -> bool {
    fn within(before: &Value, now: &Value) -> bool {
        match before {
            Value::Object(fields) => {
                fields.iter().all(|(name, field)| now.get(name).is_some_and(|now| within(field, now)))
            }
            _ => true,
        }
    }
    let [before, now] = [before, now].map(|text| serde_json::from_str::<Value>(text).unwrap());
    within(&before, &now)
}

/// Writes every file that is not frozen, and freezes it.
fn update() {
    let frozen = frozen();
    for (path, text) in current().iter().filter(|(path, _)| !frozen.contains_key(*path)) {
        let file = folder().join(path);
        if let Ok(before) = fs::read_to_string(&file) {
            assert!(
                !path.starts_with(GROWING) || keeps_all(&before, text),
                "{path} loses a field: needs another version"
            );
        }
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }
    let mut lock = "# SHA-256 of what must never change again; see docs/how-to/add-an-event-version.md.\n".to_owned();
    for (path, text) in read().iter().filter(|(path, _)| !path.starts_with(GROWING)) {
        writeln!(lock, "{}  {path}", frozen.get(path).unwrap_or(&hash(text))).unwrap();
    }
    fs::write(folder().join("frozen.lock"), lock).unwrap();
}

#[test]
fn what_is_checked_in_is_what_the_code_says() {
    let checked_in = checked_in();
    let current = current();
    let public_files = current.keys().filter(|path| path.starts_with(GROWING)).count();
    for (path, text) in &current {
        let known = checked_in.get(path).unwrap_or_else(|| panic!("{path} is missing: UPDATE_GOLDEN=1 makes it"));
        assert!(known == text, "{path} is not what the code says now: add a version, or see the top of golden.rs");
    }
    let frozen = frozen();
    assert_eq!(
        checked_in.keys().filter(|path| path.starts_with(GROWING)).count(),
        public_files,
        "a message is of no event"
    );
    for (path, text) in checked_in.iter().filter(|(path, _)| !path.starts_with(GROWING)) {
        let locked = frozen.get(path).unwrap_or_else(|| panic!("{path} is not in frozen.lock"));
        assert!(*locked == hash(text), "{path} was frozen and is changed");
    }
    for path in frozen.keys() {
        assert!(checked_in.contains_key(path), "{path} was frozen and is gone");
    }
}

#[test]
fn every_version_of_every_event_has_a_schema_and_a_sample_that_is_read() {
    let checked_in = checked_in();
    let mut samples = 0;
    for name in event_types() {
        for version in 1..=current_version(name).unwrap() {
            let stem = format!("events/{name}.v{version}");
            assert!(checked_in.contains_key(&format!("{stem}.schema.json")), "{stem} has no schema");
            let sample = checked_in.get(&format!("{stem}.sample.json"));
            let data: Value = serde_json::from_str(sample.unwrap_or_else(|| panic!("{stem} has no sample"))).unwrap();
            let event = decode(name, version, data.clone()).unwrap_or_else(|error| panic!("{stem}: {error}"));
            let again = encode(&event).unwrap();
            assert_eq!(again.event_type, name);
            if version == again.schema_version {
                assert_eq!(again.data, data, "{stem} is written differently than it was read");
            }
            samples += 1;
        }
    }
    let files = checked_in.keys().filter(|path| path.starts_with("events/")).count();
    assert_eq!(files, 2 * samples, "a file belongs to no version of any event");
}

#[test]
fn metadata_of_every_release_is_read() {
    let checked_in = checked_in();
    let samples =
        checked_in.iter().filter(|(path, _)| path.starts_with("envelope/metadata.") && path.ends_with(".sample.json"));
    for (path, text) in samples {
        let metadata: Metadata = serde_json::from_str(text).unwrap_or_else(|error| panic!("{path}: {error}"));
        assert!(
            !path.starts_with(METADATA) || pretty(&metadata) == *text,
            "{path} is written differently than it was read"
        );
    }
}

#[test]
fn a_field_that_a_message_lost_is_seen() {
    let before = r#"{"data": {"kind": "totp", "count": 1}}"#;
    assert!(keeps_all(before, r#"{"data": {"kind": "sms", "count": 2, "more": 3}, "and": 4}"#));
    assert!(!keeps_all(before, r#"{"data": {"kind": "totp"}}"#));
    assert!(!keeps_all(before, r#"{"data": null}"#));
}

/// The sample as it is at rest: every value that is marked as personal in its box.
fn at_rest(value: &Value) -> Value {
    match value {
        Value::Object(fields) if fields.contains_key(PERSONAL_MARK) => {
            json!({"$sealed": {"tag": "field", "box": "AAAA"}})
        }
        Value::Object(fields) => fields.iter().map(|(name, value)| (name.clone(), at_rest(value))).collect(),
        Value::Array(items) => items.iter().map(at_rest).collect(),
        other => other.clone(),
    }
}

#[test]
fn every_sample_at_rest_conforms_to_its_schema_and_no_other_does() {
    let checked_in = checked_in();
    let read = |path: &str| serde_json::from_str::<Value>(&checked_in[path]).unwrap();
    let mut stems: BTreeSet<&str> = checked_in.keys().filter_map(|path| path.strip_suffix(".sample.json")).collect();
    stems.retain(|stem| !stem.starts_with("public/"));
    for stem in stems {
        let (schema, sample) = (read(&format!("{stem}.schema.json")), at_rest(&read(&format!("{stem}.sample.json"))));
        conforms::check(&schema, &sample).unwrap_or_else(|why| panic!("{stem}: {why}"));
        let mut more = sample.clone();
        more.as_object_mut().unwrap().insert("unknown".to_owned(), json!(1));
        assert!(conforms::check(&schema, &more).is_err(), "{stem} allows unknown fields");
        for field in sample.as_object().unwrap().keys() {
            let mut other = sample.clone();
            other[field] = json!([{"of": "no type"}]);
            assert!(conforms::check(&schema, &other).is_err(), "{stem} allows anything as {field}");
        }
    }
    let schema = read("public/cloudevent.v1.schema.json");
    for path in checked_in.keys().filter(|path| path.starts_with("public/") && path.ends_with(".sample.json")) {
        conforms::check(&schema, &read(path)).unwrap_or_else(|why| panic!("{path}: {why}"));
    }
}
