#![expect(clippy::unwrap_used, reason = "tests")]

use domain::secret::{from_hex, to_hex};

use super::*;

fn bytes_from(first: u8) -> Key {
    Zeroizing::new(std::array::from_fn(|i| first + u8::try_from(i).unwrap()))
}

fn runtime() -> Runtime {
    Runtime::system().unwrap()
}

fn ring() -> KeyRing {
    let keys = BTreeMap::from([(3, bytes_from(64))]);
    KeyRing { current: 3, keys, lookup: bytes_from(32), runtime: runtime() }
}

#[test]
fn a_data_key_wrapped_by_another_implementation_opens() {
    // libsodium, with HKDF by Python's `hmac`.
    let wrapped = from_hex(concat!(
        "01",
        "6465666768696a6b6c6d6e6f707172737475767778797a7b",
        "18f656a4b18ed5e1d1bd2ebac853bd39b3eb233c60df5abb6a284b81d1ab905ce5fa3043ba8acddeac29a3e9fd177bd0"
    ))
    .unwrap();
    assert_eq!(ring().unwrap("account-1", 3, &wrapped).unwrap().bytes(), &*bytes_from(0));
}

#[test]
fn look_up_hashes_never_change_and_differ_by_label() {
    assert_eq!(
        to_hex(&ring().lookup_hash("email", "ada@example.com")),
        "7eccc94f4571eba43c4492c4b21c60d044381c8677a0b1f0c1081127b058f112"
    );
    assert_eq!(
        to_hex(&ring().lookup_hash("limit", "ada@example.com")),
        "4b816c6e5af2bf5a816379c81d7250d9461de760c0a459bc08445805c5de9eed"
    );
}

#[test]
fn service_keys_never_change() {
    assert_eq!(
        to_hex(ring().service_key("inbox").bytes()),
        "fb6081209eaf179a287fee92dfa0659fb02dc43edef977b964081900d21bf521"
    );
}

#[test]
fn a_wrapped_key_does_not_open_for_another_stream_or_number() {
    let mut ring = KeyRing::generate(&runtime()).unwrap();
    let key = DataKey::generate(&runtime()).unwrap();
    let (number, wrapped) = ring.wrap("account-1", &key).unwrap();
    assert_eq!(ring.unwrap("account-1", number, &wrapped).unwrap().bytes(), key.bytes());
    assert_eq!(ring.unwrap("account-2", number, &wrapped).unwrap_err(), VaultError::WrongKey);
    let next = ring.rotate().unwrap();
    assert_eq!(ring.unwrap("account-1", next, &wrapped).unwrap_err(), VaultError::WrongKey);
    assert_eq!(ring.unwrap("account-1", 99, &wrapped).unwrap_err(), VaultError::UnknownRingKey(99));
    assert!(matches!(ring.unwrap("account-1", number, &[]), Err(VaultError::Malformed(_))));
}

#[test]
fn after_a_rotation_old_keys_open_and_the_new_one_wraps() {
    let mut ring = KeyRing::generate(&runtime()).unwrap();
    let key = DataKey::generate(&runtime()).unwrap();
    let (old, wrapped) = ring.wrap("account-1", &key).unwrap();
    let hash = ring.lookup_hash("email", "ada@example.com");
    assert_eq!((old, ring.rotate().unwrap(), ring.current()), (1, 2, 2));
    assert_eq!(ring.numbers().collect::<Vec<_>>(), [1, 2]);
    let opened = ring.unwrap("account-1", old, &wrapped).unwrap();
    let (new, rewrapped) = ring.wrap("account-1", &opened).unwrap();
    assert_eq!(new, 2);
    assert_eq!(ring.unwrap("account-1", new, &rewrapped).unwrap().bytes(), key.bytes());
    assert_eq!(ring.lookup_hash("email", "ada@example.com"), hash, "the look-up key is not rotated");
}

#[test]
fn a_rotated_ring_continues_the_old_one_and_no_other_does() {
    let old = ring();
    let mut rotated = old.clone();
    rotated.rotate().unwrap();
    assert!(rotated.continues(&old) && old.continues(&old));
    assert!(!old.continues(&rotated), "a key is missing");
    assert!(!KeyRing::generate(&runtime()).unwrap().continues(&old));
    let mut exchanged = rotated.clone();
    exchanged.lookup = bytes_from(200);
    assert!(!exchanged.continues(&old), "another look-up key looks elsewhere");
}

#[test]
fn debug_shows_no_key() {
    assert_eq!(format!("{:?}", ring()), "KeyRing(current 3, 1 keys)");
}
