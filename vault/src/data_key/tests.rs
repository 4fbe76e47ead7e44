//! The boxes and codes below were computed by another implementation (libsodium, Python's `hmac`). They are
//! what is at rest and in people's hands: if one of these tests fails, the code is wrong, not the test.
#![expect(clippy::unwrap_used, reason = "tests")]

use domain::{
    ids::{AccessTokenId, AccountId, MethodId, SessionId, VerificationId},
    secret::from_hex,
    values::{Channel, Credential, Purpose},
};
use proptest::prelude::*;

use super::*;

fn runtime() -> Runtime {
    Runtime::system().unwrap()
}

fn key() -> DataKey {
    DataKey::from_bytes(&runtime(), &std::array::from_fn(|i| u8::try_from(i).unwrap()))
}

fn challenge(purpose: Purpose, channel: Channel, method: Option<u32>, issue: u32) -> Challenge {
    Challenge {
        verification_id: VerificationId("0197a0b1-c2d3-7e4f-8a9b-0c1d2e3f4a5b".parse().unwrap()),
        purpose,
        channel,
        method_id: method.map(MethodId),
        issue,
    }
}

#[test]
fn a_box_of_another_implementation_opens() {
    let sealed = from_hex(concat!(
        "01",
        "6465666768696a6b6c6d6e6f707172737475767778797a7b",
        "fc9fb2b930604d876103ea23659806110b23494f82149b36a7e839f2e65a59"
    ))
    .unwrap();
    let opened = key().open(&[b"account-1", b"e", b"email"], &sealed).unwrap();
    assert_eq!(opened.as_slice(), b"ada@example.com");
}

#[test]
fn long_codes_never_change() {
    let challenge = challenge(Purpose::ResetPassword, Channel::Email, None, 1);
    assert_eq!(key().long_code(&challenge).expose(), "M4T3-VVBV-29F2");
    let opening = Challenge { purpose: Purpose::OpenSignIn, ..challenge };
    assert_ne!(key().long_code(&opening), key().long_code(&challenge));
}

#[test]
fn one_time_codes_never_change() {
    let vectors = [
        (challenge(Purpose::SignIn, Channel::Sms, Some(7), 1), "397168"),
        (challenge(Purpose::SignIn, Channel::Sms, Some(7), 2), "068820"),
        (challenge(Purpose::SignIn, Channel::Sms, Some(8), 1), "276764"),
        (challenge(Purpose::SignIn, Channel::Email, None, 1), "112302"),
        (challenge(Purpose::ConfirmEmail, Channel::Email, None, 1), "501136"),
        (challenge(Purpose::StepUp, Channel::Sms, Some(7), 1), "859423"),
    ];
    for (challenge, code) in vectors {
        assert_eq!(key().one_time_code(&challenge).expose(), code);
    }
}

#[test]
fn offered_keys_and_handles_of_enrollments_never_change() {
    let id: uuid::Uuid = "0197a0b1-c2d3-7e4f-8a9b-0c1d2e3f4a5b".parse().unwrap();
    let offered = |credential, ends| key().offered_totp_key(AccountId(id), credential, [7; 16], ends);
    let (token, session) = (Credential::AccessToken(AccessTokenId(id)), Credential::Session(SessionId(id)));
    let known = "A4DQOBYHA4DQOBYHA4DQOBYHA5VQK7CA6Y6WDL5AWGXWVEYL3UJA";
    assert_eq!(offered(token, 1_795_521_600).to_base32(), known);
    assert_ne!(offered(token, 1_795_521_601).expose()[20..], offered(token, 1_795_521_600).expose()[20..]);
    assert_ne!(offered(session, 1_795_521_600), offered(token, 1_795_521_600));
    assert_eq!(offered(token, 1).expose()[..16], [7; 16]);
    let handle = key().enrollment_handle(VerificationId(id));
    let known = "5757e5c8055521ba1c87225521239f05b1edcf7d129102ba29303355303cdae1";
    assert_eq!(domain::secret::to_hex(handle.expose()), known);
}

#[test]
fn truncation_is_that_of_rfc_4226() {
    // Section 5.4's example, put where a last byte of 0x5a points: offset 10.
    let mut mac = [0; 32];
    mac[10..14].copy_from_slice(&[0x50, 0xef, 0x7f, 0x19]);
    mac[31] = 0x5a;
    assert_eq!(truncate(&mac), 0x50ef_7f19);
    assert_eq!(truncate(&mac) % 1_000_000, 872_921);
    mac[10] |= 0x80;
    assert_eq!(truncate(&mac), 0x50ef_7f19, "the highest bit is dropped");
    mac[31] = 0x0f;
    assert_eq!(truncate(&mac), 0x0000_0000, "the last offset is within the MAC");
}

#[test]
fn codes_are_spread_evenly_enough() {
    let mut firsts = [0_u32; 10];
    for issue in 0..10_000 {
        let code = key().one_time_code(&challenge(Purpose::Enroll, Channel::Sms, Some(1), issue));
        assert_eq!(code.expose().len(), 6);
        firsts[usize::from(code.expose().as_bytes()[0] - b'0')] += 1;
    }
    // Expected 1,000 each with a deviation of 30; deterministic, so this never flickers.
    assert!(firsts.iter().all(|count| (850..1_150).contains(count)), "{firsts:?}");
}

#[test]
fn another_key_gives_other_codes() {
    let challenge = challenge(Purpose::SignIn, Channel::Sms, Some(7), 1);
    let codes: std::collections::BTreeSet<String> =
        (0..20).map(|_| DataKey::generate(&runtime()).unwrap().one_time_code(&challenge).expose().clone()).collect();
    assert!(codes.len() > 15);
}

#[test]
fn a_box_opens_only_in_its_place_and_whole() {
    let sealed = key().seal(&[b"stream", b"event", b"email"], b"ada@example.com").unwrap();
    assert_eq!(sealed.len(), b"ada@example.com".len() + 41);
    for elsewhere in [
        &[&b"stream"[..], b"event", b"phone"][..],
        &[b"stream", b"eventemail", b""],
        &[b"stream", b"event"],
        &[b"streamevent", b"email"],
        &[],
    ] {
        assert_eq!(key().open(elsewhere, &sealed).unwrap_err(), VaultError::WrongKey);
    }
    let other = DataKey::generate(&runtime()).unwrap();
    assert_eq!(other.open(&[b"stream", b"event", b"email"], &sealed).unwrap_err(), VaultError::WrongKey);
    for at in 0..sealed.len() {
        let mut changed = sealed.clone();
        changed[at] ^= 1;
        assert!(key().open(&[b"stream", b"event", b"email"], &changed).is_err(), "byte {at}");
    }
}

#[test]
fn the_same_value_is_sealed_differently_each_time() {
    let seal = || key().seal(&[b"a"], b"value").unwrap();
    assert_ne!(seal(), seal());
}

#[test]
fn debug_shows_nothing() {
    assert_eq!(format!("{:?}", key()), "[data key]");
    let code = key().one_time_code(&challenge(Purpose::SignIn, Channel::Sms, Some(7), 1));
    assert_eq!(format!("{code:?}"), "[secret]");
}

proptest! {
    #[test]
    fn what_was_sealed_opens(plain: Vec<u8>, parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..20), 0..4)) {
        let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
        let sealed = key().seal(&parts, &plain).unwrap();
        prop_assert_eq!(&**key().open(&parts, &sealed).unwrap(), &plain);
    }

    #[test]
    fn no_bytes_make_opening_panic(bytes: Vec<u8>) {
        prop_assert!(key().open(&[b"a"], &bytes).is_err());
    }
}

#[test]
fn the_secret_of_an_undo_never_changes() {
    let id = "0197a0b1-c2d3-7e4f-8a9b-0c1d2e3f4a5b".parse().unwrap();
    let secret = key().email_undo_secret(VerificationId(id));
    assert_eq!(
        domain::secret::to_hex(secret.expose()),
        "429e1a7793aa4d0399cea1b911991a9b38aaa0bcf58ea8bece7360329079e8bc"
    );
    assert_ne!(secret, key().enrollment_handle(VerificationId(id)));
}
