#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;

use domain::personal::Personal;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::samples;

#[test]
fn every_event_of_the_domain_has_a_name_of_its_own() {
    macro_rules! names {
        ($($event:ident)+) => { [$(stringify!($event)),+] };
    }
    let domain: BTreeSet<&str> = domain::for_every_event!(names).into();
    let stored: BTreeSet<&str> = event_types().collect();
    assert_eq!(stored.len(), TYPES.len(), "no name twice");
    assert_eq!(stored.len(), domain.len());
}

#[test]
fn every_event_survives_the_way_to_rest_and_back() {
    for event in samples::events().unwrap() {
        let encoded = encode(&event).unwrap();
        assert_eq!(encoded.event_type, stored_name(&event));
        assert_eq!(decode(encoded.event_type, encoded.schema_version, encoded.data).unwrap(), event);
    }
}

#[test]
fn every_step_from_old_versions_has_an_upcaster() {
    for (name, current) in TYPES {
        for version in 1..*current {
            let lonely = CHAIN.upcast(name, version, version + 1, Value::Null);
            assert!(lonely.is_ok(), "{name} v{version}");
        }
    }
}

#[test]
fn an_unknown_type_or_version_is_named() {
    let error = |name, version| decode(name, version, json!({})).unwrap_err().to_string();
    assert_eq!(error("AccountRenamed", 1), "unknown event type \"AccountRenamed\"");
    assert_eq!(error("TwoFactorEnabled", 2), "TwoFactorEnabled v2 is unknown: this program knows v1 to v1");
    assert_eq!(error("TwoFactorEnabled", 0), "TwoFactorEnabled v0 is unknown: this program knows v1 to v1");
    assert_eq!(error("twofactorenabled", 1), "unknown event type \"twofactorenabled\"");
}

#[test]
fn decoding_is_strict_and_repeats_nothing_of_the_data() {
    for data in [
        json!({"method_id": 1}),
        json!({"method_id": 1, "label": {"$personal": "secret-name"}, "extra-secret-name": 1}),
        json!({"method_id": "secret-name", "label": {"$personal": "x"}}),
        json!({"method_id": 1, "label": "secret-name"}),
        json!({"method_id": 1, "label": {"$personal": ["secret-name"]}}),
        json!("secret-name"),
        json!(null),
    ] {
        let error = decode("MethodRelabelled", 1, data).unwrap_err();
        assert!(error.to_string().starts_with("MethodRelabelled v1 does not have its shape: "), "{error}");
        assert!(!format!("{error} {error:?}").contains("secret-name"), "{error}");
    }
}

#[test]
fn a_box_that_nobody_opened_reads_as_erased() {
    let data = json!({"method_id": 1, "label": {"$sealed": {"tag": "label", "box": "AAAA"}}});
    let Event::MethodRelabelled(event) = decode("MethodRelabelled", 1, data).unwrap() else { panic!("another event") };
    assert_eq!(event.label, Personal::Erased);
}

proptest! {
    #[test]
    fn no_data_makes_decoding_panic(name in 0..TYPES.len(), version: u16, text in "[\\[\\]{}\":,0-9a-z$ ]{0,40}") {
        let data = serde_json::from_str(&text).unwrap_or(Value::String(text));
        let _ = decode(TYPES[name].0, version, data);
    }
}
