//! Bodies: unknown fields are ignored, `null` is as good as absent, what is named has its type.

use axum::http::HeaderMap;
use domain::{ids::MethodId, secret::SecretText};
use serde::{
    Deserialize, Deserializer,
    de::{self, DeserializeOwned, Visitor},
};

use super::{
    codes::{Code, Refused},
    same_site,
};
use crate::{
    extract::is_json,
    problem::{self, Problem},
};

/// The content type is asked for where a form of another site could have sent the body.
pub(super) fn parse<T: DeserializeOwned>(headers: &HeaderMap, bytes: &[u8]) -> Result<T, Problem> {
    if !bytes.is_empty() && same_site::may_be_a_page(headers) && !is_json(headers) {
        let detail = "Send the body as `Content-Type: application/json`.";
        return Err(Problem::new(problem::Code::UnsupportedMediaType, detail));
    }
    let bytes = if bytes.trim_ascii().is_empty() { b"{}" } else { bytes };
    let wrong = |detail: String| Problem::new(problem::Code::MalformedRequest, detail);
    if !bytes.trim_ascii_start().starts_with(b"{") {
        return Err(wrong("The body must be a JSON object.".to_owned()));
    }
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        // The parser's own words may repeat what was sent, and that may be a code.
        let path = error.path().to_string();
        match error.inner().classify() {
            serde_json::error::Category::Data if path != "." => {
                wrong(format!("{path} has not the type it should have."))
            }
            _ => wrong("The body is not JSON that can be read.".to_owned()),
        }
    })?;
    deserializer.end().map_err(|_| wrong("The body is not JSON that can be read.".to_owned()))?;
    Ok(value)
}

/// A method's number, as an integer or as the text of one: the client sends both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Number(pub u32);

impl Number {
    pub fn method(self) -> MethodId {
        MethodId(self.0)
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl Visitor<'_> for Either {
            type Value = Number;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a method's number")
            }
            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Number, E> {
                u32::try_from(number).map(Number).map_err(|_| E::custom("not a method's number"))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Number, E> {
                text.parse().map(Number).map_err(|_| E::custom("not a method's number"))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

/// A text that is there.
pub(super) fn given<'a>(text: Option<&'a SecretText>, code: Code, name: &str) -> Result<&'a SecretText, Refused> {
    text.filter(|text| !text.expose().trim().is_empty())
        .ok_or_else(|| Refused::new(code, format!("{name} is required.")))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use axum::http::{HeaderValue, header};

    use super::*;

    #[derive(Deserialize)]
    struct Example {
        id: Option<Number>,
        code: Option<String>,
    }

    fn read(body: &str) -> Result<Example, Problem> {
        let bearer = HeaderMap::from_iter([(header::AUTHORIZATION, HeaderValue::from_static("Bearer x"))]);
        parse(&bearer, body.as_bytes())
    }

    #[test]
    fn numbers_are_integers_or_texts_of_them() {
        for (body, number) in [(r#"{"id": 7}"#, 7), (r#"{"id": "7"}"#, 7), (r#"{"id": "007"}"#, 7), (r#"{"id": 0}"#, 0)]
        {
            assert_eq!(read(body).unwrap().id, Some(Number(number)), "{body}");
        }
        for body in [r#"{"id": -1}"#, r#"{"id": 1.5}"#, r#"{"id": "x"}"#, r#"{"id": ""}"#, r#"{"id": 4294967296}"#] {
            assert!(read(body).is_err(), "{body}");
        }
        for body in [r#"{"id": true}"#, r#"{"id": [1]}"#, r#"{"id": {}}"#] {
            assert!(read(body).is_err(), "{body}");
        }
    }

    #[test]
    fn what_is_absent_null_or_unknown_is_nothing() {
        for body in ["", "  ", "{}", r#"{"id": null}"#, r#"{"other": [1, {"id": "x"}]}"#] {
            assert_eq!(read(body).unwrap().id, None, "{body}");
        }
    }

    #[test]
    fn what_is_no_object_or_of_another_type_is_refused_and_not_repeated() {
        for body in ["[]", "[7]", "7", "\"x\"", "null", "{", "{} {}", r#"{"code": 123456}"#, "\u{feff}{}"] {
            let problem = read(body).err().unwrap();
            assert!(!problem.into_parts().1.contains("123456"), "{body}");
        }
        assert_eq!(read(r#"{"code": "012345"}"#).unwrap().code.as_deref(), Some("012345"));
    }
}
