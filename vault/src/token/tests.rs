//! The two tokens in full were computed by another implementation (Python's `zlib` and `base64`).
#![expect(clippy::unwrap_used, reason = "tests")]

use domain::secret::to_hex;
use proptest::prelude::*;

use super::*;

const SESSION: &str =
    "cs_session_AZegscLTfk-KmwwdLj9KWwGXoLHC035PipsMHS4_SlwAAQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eH-ONwTE";
const KEY: &str = "cs_key_AZegscLTfk-KmwwdLj9KWwGXoLHC035PipsMHS4_SlsAAQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eH0yRdDI";

fn session() -> Token {
    Token {
        kind: TokenKind::Session,
        stream: "0197a0b1-c2d3-7e4f-8a9b-0c1d2e3f4a5b".parse().unwrap(),
        id: "0197a0b1-c2d3-7e4f-8a9b-0c1d2e3f4a5c".parse().unwrap(),
        secret: Secret::new(std::array::from_fn(|i| u8::try_from(i).unwrap())),
    }
}

#[test]
fn the_spelling_never_changes() {
    assert_eq!(session().encode().expose(), SESSION);
    let key = Token { kind: TokenKind::ApiKey, id: session().stream, ..session() };
    assert_eq!(key.encode().expose(), KEY);
    assert_eq!(Token::parse(SESSION), Some(session()));
    assert_eq!(Token::parse(KEY), Some(key));
}

#[test]
fn the_hash_is_sha_256_of_the_random_part_alone() {
    assert_eq!(to_hex(&session().hash().0), "630dcd2966c4336691125448bbb25b4ff412a49c732db2c8abc1b8581bd710dd");
}

#[test]
fn a_token_of_one_kind_is_none_of_another() {
    for kind in TokenKind::ALL {
        let body = SESSION.strip_prefix("cs_session_").unwrap();
        let relabelled = format!("{}{body}", kind.prefix());
        assert_eq!(Token::parse(&relabelled).is_some(), kind == TokenKind::Session);
    }
}

#[test]
fn an_api_key_names_its_own_stream_alone() {
    let odd = Token { kind: TokenKind::ApiKey, ..session() };
    assert_eq!(Token::parse(odd.encode().expose()), None);
}

#[test]
fn anything_changed_cut_or_added_is_refused() {
    for at in 0..SESSION.len() {
        let mut changed = SESSION.as_bytes().to_vec();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        assert_eq!(Token::parse(std::str::from_utf8(&changed).unwrap()), None, "character {at}");
        assert_eq!(Token::parse(&SESSION[..at]), None);
    }
    for text in [
        "",
        "cs_",
        "cs_session_",
        &format!("{SESSION}="),
        &format!("{SESSION} "),
        &format!(" {SESSION}"),
        &SESSION.to_uppercase(),
        &format!("cs_session_{}", "é".repeat(45)),
        &format!("cs_session_{}\u{1F600}", "A".repeat(87)),
    ] {
        assert_eq!(Token::parse(text), None);
    }
}

#[test]
fn a_last_character_with_stray_bits_is_no_second_spelling() {
    // 68 bytes leave two bits of the last character unused; they must be zero.
    let (head, last) = SESSION.split_at(SESSION.len() - 1);
    assert_eq!(last, "E");
    for other in ["F", "G", "H"] {
        assert_eq!(Token::parse(&format!("{head}{other}")), None);
    }
}

#[test]
fn debug_shows_no_secret() {
    let shown = format!("{:?} {:?}", session(), session().encode());
    assert!(shown.contains("[secret]"));
    assert!(!shown.contains("AAECAwQF") && !shown.contains("0, 1, 2"), "{shown}");
}

proptest! {
    #[test]
    fn every_token_survives_the_way_there_and_back(kind in 0..4_usize, stream: [u8; 16], id: [u8; 16], secret: [u8; 32]) {
        let kind = TokenKind::ALL[kind];
        let stream = Uuid::from_bytes(stream);
        let id = if kind == TokenKind::ApiKey { stream } else { Uuid::from_bytes(id) };
        let token = Token { kind, stream, id, secret: Secret::new(secret) };
        let text = token.encode();
        prop_assert!(text.expose().bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-'));
        prop_assert_eq!(text.expose().len(), kind.prefix().len() + CHARACTERS);
        prop_assert_eq!(Token::parse(text.expose()), Some(token));
    }

    #[test]
    fn what_parses_is_what_would_be_written(text in "cs_(session|access|verify|key)_[A-Za-z0-9_-]{91}") {
        if let Some(token) = Token::parse(&text) {
            let encoded = token.encode();
            prop_assert_eq!(encoded.expose(), &text);
        }
    }

    #[test]
    fn no_text_makes_parsing_panic(text: String) {
        prop_assert_eq!(Token::parse(&text), None);
    }
}
