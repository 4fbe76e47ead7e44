//! Values that belong to a person: known, or erased for good.

use std::{borrow::Cow, fmt};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _, ser::SerializeMap};

/// The key under which a known value stands before it is sealed.
pub const PERSONAL_MARK: &str = "$personal";
/// The key under which a sealed value stands at rest.
pub const SEALED_MARK: &str = "$sealed";
/// The key that stands where a value was erased.
pub const ERASED_MARK: &str = "$erased";

/// A personal value in an event or in the state.
///
/// It serializes as `{"$personal": value}`; the codec of `event-store` replaces that by a sealed box
/// before anything leaves the process, and puts it back (or `{"$erased": true}`) on reading.
/// `Debug` never shows the value.
#[derive(Clone, PartialEq, Eq)]
pub enum Personal<T> {
    /// The value can be read.
    Known(T),
    /// The key that opened it is gone.
    Erased,
}

impl<T> Personal<T> {
    /// The value, unless it was erased.
    pub fn known(&self) -> Option<&T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Erased => None,
        }
    }
    /// The same with the value changed.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Personal<U> {
        match self {
            Self::Known(value) => Personal::Known(change(value)),
            Self::Erased => Personal::Erased,
        }
    }
}

impl<T> fmt::Debug for Personal<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Known(_) => "[personal]",
            Self::Erased => "[erased]",
        })
    }
}

impl<T: Serialize> Serialize for Personal<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1))?;
        match self {
            Self::Known(value) => map.serialize_entry(PERSONAL_MARK, value)?,
            Self::Erased => map.serialize_entry(ERASED_MARK, &true)?,
        }
        map.end()
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Personal<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Marked<T> {
            #[serde(rename = "$personal")]
            personal: Option<T>,
            #[serde(rename = "$erased")]
            erased: Option<bool>,
            /// A box that nobody opened (a reader that does not ask for personal fields).
            #[serde(rename = "$sealed")]
            sealed: Option<serde::de::IgnoredAny>,
        }
        let marked = Marked::<T>::deserialize(deserializer)?;
        match (marked.personal, marked.erased, marked.sealed) {
            (Some(value), None, None) => Ok(Self::Known(value)),
            (None, Some(true), None) | (None, None, Some(_)) => Ok(Self::Erased),
            _ => Err(D::Error::custom("neither a personal value, nor a sealed, nor an erased one")),
        }
    }
}

impl<T> schemars::JsonSchema for Personal<T> {
    fn schema_name() -> Cow<'static, str> {
        "SealedValue".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "A personal value: XChaCha20-Poly1305 under the data key of the stream, or erased.",
            "oneOf": [
                {"type": "object", "required": ["$sealed"], "additionalProperties": false, "properties": {
                    "$sealed": {"type": "object", "required": ["tag", "box"], "additionalProperties": false,
                        "properties": {"tag": {"type": "string"}, "box": {"type": "string", "contentEncoding": "base64"}}}}},
                {"type": "object", "required": ["$erased"], "additionalProperties": false,
                    "properties": {"$erased": {"const": true}}}
            ]
        })
    }
}
