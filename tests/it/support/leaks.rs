//! Remembers every secret and personal value that a test used, and looks for them where none may be.

use std::{collections::BTreeSet, sync::Mutex};

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use serde_json::Value;

/// Fields of requests whose values are secret or personal.
pub const ASKED: [&str; 12] = [
    "action",
    "code",
    "current_password",
    "email",
    "label",
    "name",
    "new_password",
    "password",
    "phone_number",
    "reason",
    "second_factor",
    "text",
];

/// Fields of answers and messages whose values are. Histories have fields of the same names as requests with
/// stable words in them, so this is a list of its own.
pub const ANSWERED: [&str; 7] = ["code", "otpauth_uri", "recovery_codes", "secret", "session_token", "to", "token"];

/// What a test's clients have sent and received that must not be found.
#[derive(Debug, Default)]
pub struct Secrets(Mutex<BTreeSet<String>>);

impl Secrets {
    /// Remembers one value.
    pub fn remember(&self, value: &str) {
        // Masked values are for showing; what is very short is found everywhere.
        if value.len() >= 6 && !value.contains('•') {
            self.0.lock().unwrap().insert(value.to_owned());
        }
    }

    /// Remembers the secret fields of a JSON document, at any depth.
    pub fn remember_fields(&self, document: &Value, secret: &[&str]) {
        match document {
            Value::Object(fields) => {
                for (name, value) in fields {
                    if secret.contains(&name.as_str()) {
                        self.remember_texts(value);
                    }
                    self.remember_fields(value, secret);
                }
            }
            Value::Array(items) => items.iter().for_each(|item| self.remember_fields(item, secret)),
            _ => {}
        }
    }

    fn remember_texts(&self, value: &Value) {
        match value {
            Value::String(text) => self.remember(text),
            Value::Array(items) => items.iter().for_each(|item| self.remember_texts(item)),
            _ => {}
        }
    }

    /// Every spelling of every value.
    fn needles(&self) -> Vec<Needle> {
        self.0.lock().unwrap().iter().flat_map(|value| spellings(value)).collect()
    }

    /// How many values are remembered.
    pub fn count(&self) -> usize {
        self.0.lock().unwrap().len()
    }
}

/// One spelling of a secret, and whose.
struct Needle {
    value: String,
    spelling: &'static str,
    bytes: Vec<u8>,
    /// Six digits are found inside longer numbers by chance; alone they are a code.
    alone: bool,
}

fn spellings(value: &str) -> Vec<Needle> {
    let mut forms: Vec<(&'static str, Vec<u8>)> = vec![("plain", value.as_bytes().to_vec())];
    let compact: String = value.chars().filter(char::is_ascii_alphanumeric).collect();
    if compact.len() >= 10 && compact != value && !value.contains('@') && !value.contains(' ') {
        forms.push(("without separators", compact.clone().into_bytes()));
    }
    if value.len() >= 32
        && let Ok(raw) = totp_rs::Secret::try_from_base32(value)
    {
        forms.push(("key bytes", raw.as_ref().to_vec()));
        forms.push(("key bytes in hex", hex(raw.as_ref()).into_bytes()));
    }
    let raw = value.as_bytes();
    forms.push(("hex", hex(raw).into_bytes()));
    forms.push(("upper hex", hex(raw).to_uppercase().into_bytes()));
    for shift in 0..3 {
        // What stands before it moves the groups of three; the characters at both ends depend on neighbours.
        let padded: Vec<u8> = std::iter::repeat_n(0, shift).chain(raw.iter().copied()).collect();
        let encoded = STANDARD_NO_PAD.encode(&padded);
        let from = (shift * 8).div_ceil(6);
        let to = padded.len() * 8 / 6;
        if to.saturating_sub(from) >= 7 {
            let inner = &encoded[from..to];
            forms.push(("base64", inner.as_bytes().to_vec()));
            forms.push(("base64url", inner.replace('+', "-").replace('/', "_").into_bytes()));
        }
    }
    let alone = value.len() == 6 && value.bytes().all(|byte| byte.is_ascii_digit());
    forms
        .into_iter()
        .map(|(spelling, bytes)| Needle {
            value: value.to_owned(),
            spelling,
            bytes,
            alone: alone && spelling == "plain",
        })
        .collect()
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Finds secrets in a named haystack; each finding is a line for the test's failure.
fn search(place: &str, haystack: &[u8], needles: &[Needle]) -> Vec<String> {
    let found = needles.iter().filter(|needle| contains(haystack, needle));
    found.map(|needle| format!("{place} holds {:?} ({})", needle.value, needle.spelling)).collect()
}

fn contains(haystack: &[u8], needle: &Needle) -> bool {
    let length = needle.bytes.len();
    let Some(first) = needle.bytes.first() else { return false };
    let mut from = 0;
    while let Some(step) = haystack[from..].iter().position(|byte| byte == first) {
        let at = from + step;
        if haystack[at..].starts_with(&needle.bytes) {
            let touches = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'.');
            let before = at.checked_sub(1).and_then(|index| haystack.get(index));
            if !needle.alone || !(touches(before) || touches(haystack.get(at + length))) {
                return true;
            }
        }
        from = at + 1;
    }
    false
}

/// Looks for the secrets in named places, and in a log.
pub fn find(secrets: &Secrets, places: &[(String, Vec<u8>)], log: &str) -> Vec<String> {
    let needles = secrets.needles();
    let mut findings = search("the log", without_times(log).as_bytes(), &needles);
    findings.extend(places.iter().flat_map(|(name, bytes)| search(name, bytes, &needles)));
    findings
}

/// Times have six digits after the point, which may be anybody's code.
fn without_times(log: &str) -> String {
    log.lines()
        .map(|line| match serde_json::from_str::<Value>(line) {
            Ok(Value::Object(mut entry)) => {
                entry.remove("timestamp");
                Value::Object(entry).to_string() + "\n"
            }
            _ => format!("{line}\n"),
        })
        .collect()
}

#[test]
fn the_search_finds_what_is_there_in_every_spelling() {
    let secrets = Secrets::default();
    let document = serde_json::json!({
        "recovery_codes": ["ABCD-EFGH-JKMN-PQRS"], "code": "135790", "email": "ada@example.com",
        "secret": "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP", "sent_to": "a•••@example.com"
    });
    secrets.remember_fields(&document, &["recovery_codes", "code", "email", "secret", "sent_to"]);
    let needles = secrets.needles();
    let found = |haystack: &[u8]| search("it", haystack, &needles).len();
    assert_eq!(secrets.count(), 4);
    assert!(found(b"x ada@example.com y") > 0);
    assert!(found(b"{\"c\":\"135790\"}") > 0);
    assert!(found(b"ABCDEFGHJKMNPQRS") > 0);
    assert!(found(hex(b"ada@example.com").as_bytes()) > 0);
    let raw = totp_rs::Secret::try_from_base32("JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP").unwrap();
    assert!(found(raw.as_ref()) > 0);
    for before in ["", "a", "ab", "abc"] {
        assert!(found(STANDARD_NO_PAD.encode(format!("{before}ada@example.com and more")).as_bytes()) > 0, "{before}");
        assert!(found(STANDARD_NO_PAD.encode(format!("{before}JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP")).as_bytes()) > 0);
    }
    assert_eq!(found(b"a1357902 0.135790 \"a\xe2\x80\xa2@example.com\""), 0);
    assert_eq!(without_times("{\"timestamp\":\"2026-01-01T00:00:00.135790Z\",\"a\":1}"), "{\"a\":1}\n");
}
