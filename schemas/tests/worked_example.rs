//! A shape that changed twice: the worked example of `docs/how-to/add-an-event-version.md`.
//!
//! No event of Countersign has an old version yet, and inventing one would put a lie into the registry. So
//! this is an event of nobody's, `ParcelSent`, taken through the real mechanism:
//!
//! | version | shape |
//! | --- | --- |
//! | 1 | `to` (personal), `express: bool` |
//! | 2 | `recipient: { name (personal) }`, `speed: "express" \| "normal"` |
//! | 3 | as 2, and `weight_grams`, which nobody wrote down before |
#![expect(clippy::unwrap_used, reason = "tests")]

use domain::personal::Personal;
use schemas::upcast::{Chain, UpcastError, Upcaster};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The current shape. Only this one exists as Rust types; the old ones live on as the two functions below.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ParcelSent {
    recipient: Recipient,
    speed: Speed,
    /// Unknown for parcels sent before it was weighed.
    weight_grams: Option<u32>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Recipient {
    name: Personal<String>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Speed {
    Express,
    Normal,
}

/// `to` moves under `recipient`, in its box; `express` becomes one of two words.
fn parcel_sent_v1(data: Value) -> Value {
    let Value::Object(mut fields) = data else { return data };
    if let Some(to) = fields.remove("to") {
        fields.insert("recipient".to_owned(), json!({"name": to}));
    }
    if let Some(Value::Bool(express)) = fields.remove("express") {
        fields.insert("speed".to_owned(), json!(if express { "express" } else { "normal" }));
    }
    Value::Object(fields)
}

/// What was not recorded is said to be unknown, never guessed.
fn parcel_sent_v2(data: Value) -> Value {
    let Value::Object(mut fields) = data else { return data };
    fields.insert("weight_grams".to_owned(), Value::Null);
    Value::Object(fields)
}

const UPCASTERS: &[Upcaster] = &[
    Upcaster { event_type: "ParcelSent", from: 1, upcast: parcel_sent_v1 },
    Upcaster { event_type: "ParcelSent", from: 2, upcast: parcel_sent_v2 },
];
const CURRENT: u16 = 3;

fn upcast(version: u16, data: Value) -> Result<Value, UpcastError> {
    Chain::new(UPCASTERS).upcast("ParcelSent", version, CURRENT, data)
}

fn v1() -> Value {
    json!({"to": {"$sealed": {"tag": "to", "box": "AbCd"}}, "express": true})
}

#[test]
fn the_first_version_is_read_through_both_steps() {
    assert_eq!(
        upcast(1, v1()).unwrap(),
        json!({
            // Still the tag under which it was sealed, though the field has another name now: the codec opens
            // it with that tag wherever it finds it.
            "recipient": {"name": {"$sealed": {"tag": "to", "box": "AbCd"}}},
            "speed": "express",
            "weight_grams": null,
        })
    );
}

#[test]
fn a_value_that_the_codec_opened_before_moves_in_the_same_way() {
    let opened = json!({"to": {"$personal": "Ada"}, "express": false});
    let event: ParcelSent = serde_json::from_value(upcast(1, opened).unwrap()).unwrap();
    let expected = ParcelSent {
        recipient: Recipient { name: Personal::Known("Ada".to_owned()) },
        speed: Speed::Normal,
        weight_grams: None,
    };
    assert_eq!(event, expected);
    let erased = json!({"to": {"$erased": true}, "express": false});
    let event: ParcelSent = serde_json::from_value(upcast(1, erased).unwrap()).unwrap();
    assert_eq!(event.recipient.name, Personal::Erased);
}

#[test]
fn every_version_is_read_as_the_current_one() {
    let v2 = json!({"recipient": {"name": {"$sealed": {"tag": "recipient.name", "box": "AbCd"}}}, "speed": "normal"});
    let mut v3 = v2.clone();
    v3["weight_grams"] = json!(250);
    for (version, data) in [(1, v1()), (2, v2), (3, v3.clone())] {
        serde_json::from_value::<ParcelSent>(upcast(version, data).unwrap()).unwrap();
    }
    assert_eq!(upcast(3, v3.clone()).unwrap(), v3, "the current version is left alone");
}

#[test]
fn upcasters_are_total_and_leave_the_refusal_to_strict_decoding() {
    for nonsense in [json!(null), json!([1]), json!("text"), json!({"to": 1, "express": "yes"}), json!({"else": 1})] {
        let read = serde_json::from_value::<ParcelSent>(upcast(1, nonsense).unwrap());
        assert!(read.is_err());
    }
}

#[test]
fn versions_that_never_were_and_steps_that_are_missing_are_named() {
    let unknown = |version| upcast(version, v1()).unwrap_err().to_string();
    assert_eq!(unknown(4), "ParcelSent v4 is unknown: this program knows v1 to v3");
    assert_eq!(unknown(0), "ParcelSent v0 is unknown: this program knows v1 to v3");
    let gap = Chain::new(&UPCASTERS[1..]).upcast("ParcelSent", 1, CURRENT, v1()).unwrap_err();
    assert_eq!(gap.to_string(), "ParcelSent v1 has no upcaster");
    let other = Chain::new(UPCASTERS).upcast("ParcelLost", 1, 2, json!({})).unwrap_err();
    assert_eq!(other.to_string(), "ParcelLost v1 has no upcaster");
}
