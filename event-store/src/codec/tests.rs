#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

use domain::{
    events::{AccountRegistered, ImportedMethod, RetentionApplied, TotpAlgorithm},
    ids::{AccountId, CommandId, MethodId},
    personal::Personal,
    time::Timestamp,
    values::{Actor, Country, EmailAddress, Label, NumberPrefix, PasswordHash, PhoneNumber, TotpSecret},
};
use proptest::prelude::*;
use schemas::envelope::{Position, Version};
use uuid::Uuid;

use super::*;

const EMAIL: &str = "ada@example.com";

fn data_key() -> DataKey {
    DataKey::generate(&runtime::Runtime::system().unwrap()).unwrap()
}

fn id(n: u128) -> Uuid {
    Uuid::from_u128(n)
}

fn stream() -> StreamId {
    StreamId::Account(AccountId(id(1)))
}

fn metadata() -> Metadata {
    Metadata {
        at: Timestamp::from_seconds(1_795_521_600),
        actor: Actor::Anonymous,
        command_id: CommandId(id(2)),
        correlation_id: id(3),
        causation_id: None,
        ip: Some(Personal::Known("192.0.2.7".parse().unwrap())),
        end_user_ip: None,
        user_agent: Some(Personal::Known("Mozilla/5.0 (a browser)".to_owned())),
        trace_parent: None,
    }
}

fn registered() -> Event {
    AccountRegistered {
        account_id: AccountId(id(1)),
        email: Personal::Known(EmailAddress::parse(EMAIL).unwrap()),
        password: Some(Personal::Known(PasswordHash("$argon2id$v=19$m=1,t=1,p=1$c2FsdA$aGFzaA".to_owned()))),
        registered_by: None,
        expires_at: Timestamp::from_seconds(1_795_608_000),
        number: None,
    }
    .into()
}

fn stored(new: NewEvent, stream: &StreamId) -> StoredEvent {
    StoredEvent {
        position: Position(1),
        stream: stream.to_string().into(),
        version: Version(1),
        id: new.id,
        event_type: new.event_type,
        schema_version: new.schema_version,
        metadata: new.metadata,
        data: new.data,
    }
}

fn written(event: &Event, key: &DataKey) -> StoredEvent {
    stored(encode(event, EventId(id(9)), &stream(), &metadata(), key).unwrap(), &stream())
}

#[test]
fn an_event_reads_as_it_was_written() {
    let key = data_key();
    let recorded = decode(&written(&registered(), &key), Some(&key)).unwrap();
    assert_eq!(recorded.event, registered());
    assert_eq!(recorded.metadata, metadata());
    assert_eq!(recorded.stream, stream());
}

#[test]
fn nothing_personal_is_in_the_bytes() {
    let key = data_key();
    let event = written(&registered(), &key);
    let bytes = [event.metadata, event.data].concat();
    for secret in [EMAIL, "ada", "argon2id", "192.0.2.7", "Mozilla"] {
        assert!(!bytes.windows(secret.len()).any(|part| part == secret.as_bytes()), "{secret}");
    }
}

#[test]
fn without_the_key_personal_values_read_as_erased_and_the_rest_as_written() {
    let key = data_key();
    let recorded = decode(&written(&registered(), &key), None).unwrap();
    let Event::AccountRegistered(event) = recorded.event else { panic!("another event") };
    assert_eq!(event.email, Personal::Erased);
    assert_eq!(event.account_id, AccountId(id(1)));
    assert_eq!(recorded.metadata.ip, Some(Personal::Erased));
    assert_eq!(recorded.metadata.at, metadata().at);
}

#[test]
fn what_is_written_without_a_key_is_erased_for_good() {
    let draft = Draft::new(&registered(), EventId(id(9)), &metadata()).unwrap();
    assert!(draft.is_personal());
    let event = stored(draft.seal(&stream().to_string(), None).unwrap(), &stream());
    let key = data_key();
    let Event::AccountRegistered(event) = decode(&event, Some(&key)).unwrap().event else { panic!("another event") };
    assert_eq!(event.email, Personal::Erased);
}

#[test]
fn a_box_opens_only_where_it_was_sealed() {
    let key = data_key();
    let event = written(&registered(), &key);
    let elsewhere = StoredEvent { stream: StreamId::Account(AccountId(id(4))).to_string().into(), ..event.clone() };
    assert!(matches!(decode(&elsewhere, Some(&key)), Err(CodecError::Sealed(..))));
    let other_event = StoredEvent { id: EventId(id(5)), ..event.clone() };
    assert!(matches!(decode(&other_event, Some(&key)), Err(CodecError::Sealed(..))));
    assert!(matches!(decode(&event, Some(&data_key())), Err(CodecError::Sealed(..))));
    let swapped = String::from_utf8(event.data.clone()).unwrap().replace("\"tag\":\"email\"", "\"tag\":\"password\"");
    let swapped = StoredEvent { data: swapped.into_bytes(), ..event };
    assert!(matches!(decode(&swapped, Some(&key)), Err(CodecError::Sealed(..))));
}

#[test]
fn a_tag_is_the_place_of_the_value() {
    let key = data_key();
    let event: Event = domain::events::AccountImported {
        account_id: AccountId(id(1)),
        email: Personal::Known(EmailAddress::parse(EMAIL).unwrap()),
        email_verified: true,
        password: None,
        methods: vec![
            ImportedMethod::Totp {
                method_id: MethodId(1),
                secret: Personal::Known(TotpSecret::new(vec![7; 20])),
                algorithm: TotpAlgorithm::Sha1,
                digits: 6,
                period: 30,
                secret_bits: 160,
                label: Personal::Known(Label::parse("Phone").unwrap()),
            },
            ImportedMethod::Sms {
                method_id: MethodId(2),
                phone_number: Personal::Known(PhoneNumber::parse("+436601234567").unwrap()),
                country: Country("AT".to_owned()),
                prefix: NumberPrefix("+43".to_owned()),
                label: Personal::Known(Label::parse("Text").unwrap()),
            },
        ],
        recovery_codes: None,
        recovery_code_count: 0,
        number: None,
    }
    .into();
    let written = written(&event, &key);
    let text = String::from_utf8(written.data.clone()).unwrap();
    for tag in ["email", "methods.0.secret", "methods.0.label", "methods.1.phone_number", "methods.1.label"] {
        assert!(text.contains(&format!("\"tag\":\"{tag}\"")), "{tag}");
    }
    assert!(String::from_utf8(written.metadata.clone()).unwrap().contains("\"tag\":\"meta.user_agent\""));
    assert_eq!(decode(&written, Some(&key)).unwrap().event, event);
}

#[test]
fn an_event_without_personal_values_needs_no_key() {
    let event = RetentionApplied { before: Timestamp::EPOCH }.into();
    let metadata = Metadata { ip: None, user_agent: None, ..metadata() };
    assert!(!Draft::new(&event, EventId(id(9)), &metadata).unwrap().is_personal());
}

#[test]
fn an_error_repeats_nothing_of_what_it_could_not_read() {
    let key = data_key();
    let event = StoredEvent { metadata: b"{\"at\": \"ada@example.com\"}".to_vec(), ..written(&registered(), &key) };
    let error = decode(&event, Some(&key)).unwrap_err();
    assert!(!format!("{error} {error:?}").contains("ada"));
}

proptest! {
    #[test]
    fn no_bytes_make_reading_panic(metadata in proptest::collection::vec(any::<u8>(), 0..64), data in ".{0,64}") {
        let key = data_key();
        let event = StoredEvent { metadata, data: data.into_bytes(), ..written(&registered(), &key) };
        prop_assert!(decode(&event, Some(&key)).is_err());
        prop_assert!(decode(&event, None).is_err());
    }
}
