//! What people and other systems enter: each is read once, into a form that the rules can rely on.

use std::{borrow::Cow, fmt};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use zeroize::Zeroize;

use crate::secret::Secret;

/// Why a text is not the value it should be; safe to show, it does not repeat the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidValue(pub &'static str);

/// An email address: trimmed, its domain in lower case, at most 254 characters.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EmailAddress(String);

impl EmailAddress {
    /// Reads an address as a person enters it: one `@`, a local part of 1 to 64 visible ASCII
    /// characters, a domain of dot-separated labels (RFC 5321, 4.5.3.1, without quoted strings).
    pub fn parse(text: &str) -> Result<Self, InvalidValue> {
        const INVALID: InvalidValue = InvalidValue("must be an email address such as name@example.com");
        let text = text.trim();
        let (local, host) = text.rsplit_once('@').ok_or(INVALID)?;
        let local_ok = !local.is_empty()
            && local.len() <= 64
            && local.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~.".contains(&b))
            && !local.starts_with('.')
            && !local.ends_with('.')
            && !local.contains("..");
        let label_ok = |label: &str| {
            !label.is_empty()
                && label.len() <= 63
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        let host_ok = host.contains('.') && host.split('.').all(label_ok);
        if !local_ok || !host_ok || text.len() > 254 {
            return Err(INVALID);
        }
        Ok(Self(format!("{local}@{}", host.to_ascii_lowercase())))
    }
    /// The address as mail is sent to it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
    /// What makes two addresses the same mailbox for us: the whole in lower case. Input of the keyed hash.
    pub fn canonical(&self) -> String {
        self.0.to_ascii_lowercase()
    }
    /// First letter and domain: `a•••@example.com`.
    pub fn masked(&self) -> String {
        let (local, host) = self.0.rsplit_once('@').unwrap_or(("", ""));
        let first = local.chars().next().unwrap_or('•');
        format!("{first}•••@{host}")
    }
}

impl fmt::Debug for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[address]")
    }
}

/// Why a text is no phone number that can be enrolled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{}", InvalidValue::from(*self))]
pub enum InvalidNumber {
    /// It is no number, or none of its country's plan.
    NoNumber,
    /// It is one, but it takes no texts, or such as cost their sender extra.
    TakesNoTexts,
}

impl From<InvalidNumber> for InvalidValue {
    fn from(invalid: InvalidNumber) -> Self {
        Self(match invalid {
            InvalidNumber::NoNumber => "must be a phone number in international form such as +436601234567",
            InvalidNumber::TakesNoTexts => "must be a mobile number that can receive text messages",
        })
    }
}

/// A phone number in E.164: `+` and up to 15 digits, valid in its country and able to receive SMS.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PhoneNumber(String);

impl PhoneNumber {
    /// Reads a number in E.164. Refused: what is invalid in its country's plan, and types that
    /// cannot receive a text or cost the sender extra (premium rate, shared cost, toll free, personal
    /// numbers that forward at the sender's cost, pagers, satellite phones …).
    pub fn parse(text: &str) -> Result<Self, InvalidNumber> {
        const INVALID: InvalidNumber = InvalidNumber::NoNumber;
        let text = text.trim();
        let digits = text.strip_prefix('+').ok_or(INVALID)?;
        if !(7..=15).contains(&digits.len()) || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(INVALID);
        }
        let number = phonenumber::parse(None, text).map_err(|_| INVALID)?;
        // One spelling per number, since limits and duplicates go by it.
        if !number.is_valid() || number.format().mode(phonenumber::Mode::E164).to_string() != text {
            return Err(INVALID);
        }
        let kind = number.number_type(&phonenumber::metadata::DATABASE);
        let takes_texts =
            matches!(kind, phonenumber::Type::Mobile | phonenumber::Type::FixedLineOrMobile | phonenumber::Type::Voip);
        // Satellite phones and "global networks" (+870, +881 to +883) belong to no country and cost like it: they
        // are where stolen texts are sent.
        if !takes_texts || number.country().id().is_none() {
            return Err(InvalidNumber::TakesNoTexts);
        }
        Ok(Self(text.to_owned()))
    }
    /// The number in E.164.
    pub fn as_str(&self) -> &str {
        &self.0
    }
    /// ISO 3166-1 alpha-2 code of the country, or `ZZ`. A fact in clear, so that views can aggregate.
    pub fn country(&self) -> Country {
        phonenumber::parse(None, &self.0)
            .ok()
            .and_then(|number| number.country().id())
            .map_or_else(|| Country("ZZ".into()), |id| Country(format!("{id:?}")))
    }
    /// The country calling code and the next three digits, what toll fraud is counted by.
    pub fn prefix(&self) -> NumberPrefix {
        let code = phonenumber::parse(None, &self.0).map_or(0, |number| number.country().code());
        let length = 1 + code.to_string().len() + 3;
        NumberPrefix(self.0.chars().take(length).collect())
    }
    /// The last four digits: `•••• 4567`.
    pub fn masked(&self) -> String {
        let last: String = self.0.chars().skip(self.0.chars().count().saturating_sub(4)).collect();
        format!("•••• {last}")
    }
}

impl fmt::Debug for PhoneNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[number]")
    }
}

/// ISO 3166-1 alpha-2.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Country(pub String);

impl Country {
    /// Reads a code as an operator writes it, in either case. Only countries that phone numbers are known of: a
    /// code that no number can have would allow or block nothing, and a typing error would pass unnoticed.
    pub fn parse(text: &str) -> Result<Self, InvalidValue> {
        let code = text.trim().to_ascii_uppercase();
        match code.parse::<phonenumber::country::Id>() {
            Ok(_) if code.len() == 2 => Ok(Self(code)),
            _ => Err(InvalidValue("must be the two-letter code (ISO 3166-1) of a country, such as AT")),
        }
    }
}

/// Country calling code and three digits, such as `+43660`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct NumberPrefix(pub String);

/// The name a person gives to a method: 1 to 30 characters after trimming, none of them a control character.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Label(String);

impl Label {
    /// Reads a label as entered.
    pub fn parse(text: &str) -> Result<Self, InvalidValue> {
        visible(text, 30).map(Self).ok_or(InvalidValue("must have 1 to 30 visible characters"))
    }
    /// The label as entered, trimmed.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[label]")
    }
}

/// Free text of people and API clients: reasons, names, actions. 1 to 200 visible characters.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FreeText(String);

impl FreeText {
    /// Reads a text as entered.
    pub fn parse(text: &str) -> Result<Self, InvalidValue> {
        visible(text, 200).map(Self).ok_or(InvalidValue("must have 1 to 200 visible characters"))
    }
    /// The text, trimmed.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for FreeText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[text]")
    }
}

fn visible(text: &str, most: usize) -> Option<String> {
    let text = text.trim();
    // Line breaks, direction overrides, and what shows as nothing let one text pass for another.
    let hidden = |c: char| {
        c.is_control()
            || matches!(c, '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{FEFF}'
                | '\u{AD}' | '\u{61C}' | '\u{115F}' | '\u{1160}' | '\u{180E}' | '\u{2800}' | '\u{3164}' | '\u{FFA0}'
                | '\u{FFF9}'..='\u{FFFB}' | '\u{E0000}'..='\u{E007F}')
    };
    let count = text.chars().count();
    (1..=most).contains(&count).then_some(())?;
    (!text.chars().any(hidden)).then(|| text.to_owned())
}

/// A password hash in PHC string format (argon2id).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PasswordHash(pub String);

impl PasswordHash {
    /// A hash that no password has, with the usual parameters: what is checked where there is no
    /// password, so that the answer takes as long.
    pub fn of_nothing() -> Self {
        Self(
            "$argon2id$v=19$m=19456,t=2,p=1$Y291bnRlcnNpZ24uLm5vbmU$9uXVYb0kGkV8m1Zr3sN2qf7TtPpWcJxLhE4aDyKoRiM".into(),
        )
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[password hash]")
    }
}

/// The key shared with an authenticator app, 160 bits when it is ours. Base32 (RFC 4648) in JSON.
#[derive(Clone, PartialEq, Eq)]
pub struct TotpSecret(Secret<Vec<u8>>);

impl TotpSecret {
    /// Takes the raw key.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Secret::new(bytes))
    }
    /// The raw key.
    pub fn expose(&self) -> &[u8] {
        self.0.expose()
    }
    /// Reads a key as people type it: base32 in either case, in groups or not, padded or not.
    pub fn from_base32(text: &str) -> Result<Self, InvalidValue> {
        const INVALID: InvalidValue = InvalidValue("must be base32");
        let mut compact: String =
            text.chars().filter(|c| !is_separator(*c) && *c != '=').map(|c| c.to_ascii_uppercase()).collect();
        let secret = totp_rs::Secret::try_from_base32(&compact);
        compact.zeroize();
        secret.map(|secret| Self::new(secret.as_ref().to_vec())).map_err(|_| INVALID)
    }
    /// The key as people type it.
    pub fn to_base32(&self) -> String {
        totp_rs::Secret::from(self.expose().to_vec()).to_base32()
    }
}

impl fmt::Debug for TotpSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[totp secret]")
    }
}

impl Serialize for TotpSecret {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut text = self.to_base32();
        let done = serializer.serialize_str(&text);
        text.zeroize();
        done
    }
}

impl<'de> Deserialize<'de> for TotpSecret {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        let secret = totp_rs::Secret::try_from_base32(&*text).map_err(|_| serde::de::Error::custom("not base32"))?;
        Ok(Self::new(secret.as_ref().to_vec()))
    }
}

/// A code as someone entered it. Never shown, never stored.
pub type EnteredCode = Secret<String>;

/// What people and word processors put between the groups of a code.
pub(crate) const fn is_separator(c: char) -> bool {
    c.is_whitespace() || matches!(c, '-' | '\u{2010}'..='\u{2013}')
}

/// What is asked for a recovery code: 16 Crockford base32 characters, upper case, without hyphens.
/// Entry ignores case, spaces and hyphens and reads O as 0, I and L as 1. `None` when it is not
/// shaped like one.
pub fn normalize_recovery_code(entered: &str) -> Option<Secret<String>> {
    normalize_crockford(entered, 16)
}

/// The same for a long code that was mailed: 12 characters.
pub fn normalize_long_code(entered: &str) -> Option<Secret<String>> {
    normalize_crockford(entered, 12)
}

fn normalize_crockford(entered: &str, length: usize) -> Option<Secret<String>> {
    let mut code = String::with_capacity(length);
    for c in entered.chars() {
        let c = match c.to_ascii_uppercase() {
            c if is_separator(c) => continue,
            'O' => '0',
            'I' | 'L' => '1',
            c => c,
        };
        if !(c.is_ascii_digit() || (c.is_ascii_uppercase() && c != 'U')) || code.len() == length {
            code.zeroize();
            return None;
        }
        code.push(c);
    }
    if code.len() != length {
        code.zeroize();
        return None;
    }
    Some(Secret::new(code))
}
