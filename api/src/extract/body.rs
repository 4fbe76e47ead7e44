//! JSON bodies: read strictly, refused with the field's name.

use axum::{
    body::{Body, Bytes, HttpBody, to_bytes},
    http::{HeaderMap, header},
};
use domain::{
    secret::SecretText,
    values::{EnteredCode, InvalidValue},
};
use serde::{
    Deserialize,
    de::{DeserializeOwned, IgnoredAny},
};
use serde_json::error::Category;

use crate::problem::{Code, Problem};

/// A body without fields: nothing at all, or `{}`.
#[derive(Debug, Clone, Copy, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Nothing {}

/// The bytes of a body, up to a limit.
pub(super) async fn bytes(headers: &HeaderMap, body: Body, limit: usize) -> Result<Bytes, Problem> {
    let too_large = || Problem::new(Code::PayloadTooLarge, format!("A body has at most {limit} bytes."));
    if body.is_end_stream() {
        return Ok(Bytes::new());
    }
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > limit) {
        return Err(too_large());
    }
    to_bytes(body, limit).await.map_err(|error| {
        let over = std::error::Error::source(&error).is_some_and(|cause| cause.to_string().contains("length limit"));
        if over { too_large() } else { malformed("The body did not arrive.") }
    })
}

/// Reads a body as JSON. An absent body stands for one without fields.
pub(super) fn parse<T: DeserializeOwned>(headers: &HeaderMap, bytes: &[u8]) -> Result<T, Problem> {
    if bytes.is_empty() {
        return serde_json::from_slice(b"{}").map_err(|_| malformed("A JSON body is required."));
    }
    if !is_json(headers) {
        return Err(Problem::new(Code::UnsupportedMediaType, "Send the body as `Content-Type: application/json`."));
    }
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = error.path().to_string();
        let error = error.into_inner();
        match error.classify() {
            // What is no JSON at all is that first, whatever its beginning lacks.
            Category::Data => match serde_json::from_slice::<IgnoredAny>(bytes) {
                Ok(_) => explain(&path, &error.to_string()),
                Err(error) => not_json(&error),
            },
            Category::Syntax | Category::Eof | Category::Io => not_json(&error),
        }
    })?;
    deserializer.end().map_err(|error| not_json(&error))?;
    Ok(value)
}

fn malformed(detail: &'static str) -> Problem {
    Problem::new(Code::MalformedRequest, detail)
}

fn not_json(error: &serde_json::Error) -> Problem {
    Problem::new(
        Code::MalformedRequest,
        format!("The body is not JSON: it cannot be read at line {}, column {}.", error.line(), error.column()),
    )
}

/// Whether the body is said to be JSON: no form of another site can say so.
pub(crate) fn is_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()) else {
        return false;
    };
    let essence = value.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json")
}

/// Turns serde's words into a field and a sentence, without repeating what was sent: it may be a password.
pub(super) fn explain(path: &str, message: &str) -> Problem {
    // `a.b: message at line 1 column 2`
    let message = message.split(" at line ").next().unwrap_or_default();
    let path = if path == "." { "" } else { path };
    let quoted = |start: &str| message.split_once(start).and_then(|(_, rest)| rest.split('`').next());
    let join = |name: &str| if path.is_empty() || path == name { name.to_owned() } else { format!("{path}.{name}") };
    if let Some(name) = quoted("missing field `") {
        return Problem::invalid(join(name), "is required");
    }
    if let Some(name) = quoted("unknown field `") {
        let name: String = name.chars().take(64).collect();
        // serde_path_to_error counts the unknown key itself as part of the path.
        let field = if path.ends_with(&name) { path.to_owned() } else { join(&name) };
        return Problem::invalid(field, "is not a field of this request");
    }
    if let Some(name) = quoted("duplicate field `") {
        return Problem::invalid(join(name), "is given twice");
    }
    let field = if path.is_empty() { "body".to_owned() } else { path.to_owned() };
    match message.split_once("expected ") {
        Some((_, expected)) => Problem::invalid(field, format!("must be {}", wanted(expected))),
        None => Problem::invalid(field, "has not the form it should have"),
    }
}

/// serde names Rust types where it knows no better.
fn wanted(expected: &str) -> &str {
    match expected {
        "u32" | "u64" | "u16" | "usize" => "a whole number that is not negative",
        text if text.starts_with("struct ") => "an object",
        text => text,
    }
}

/// A value of the domain out of a field.
pub(crate) fn field<T>(name: &'static str, value: Result<T, impl Into<InvalidValue>>) -> Result<T, Problem> {
    value.map_err(|error| Problem::invalid(name, error.into().0))
}

/// A code as entered. Only absurd lengths are refused here; everything else is judged by the rules.
pub(crate) fn entered_code(name: &'static str, code: &SecretText) -> Result<EnteredCode, Problem> {
    match code.expose().chars().take(MOST_OF_A_CODE + 1).count() {
        1..=MOST_OF_A_CODE => Ok(code.clone()),
        _ => Err(Problem::invalid(name, "must have 1 to 64 characters")),
    }
}

const MOST_OF_A_CODE: usize = 64;

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use axum::{body::to_bytes, response::IntoResponse};

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only read by serde")]
    struct Example {
        name: String,
        #[serde(default)]
        number: u32,
        inner: Option<Inner>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only read by serde")]
    struct Inner {
        code: String,
    }

    async fn refused(body: &[u8]) -> (u16, String, String) {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, "application/json; charset=utf-8".parse().unwrap());
        let response = parse::<Example>(&headers, body).unwrap_err().into_response();
        let status = response.status().as_u16();
        let document = to_bytes(response.into_body(), 10_000).await.unwrap();
        let document: serde_json::Value = serde_json::from_slice(&document).unwrap();
        let text = |key: &str| document[key].as_str().unwrap_or_default().to_owned();
        (status, text("field"), text("detail"))
    }

    #[tokio::test]
    async fn what_is_not_json_is_malformed() {
        for body in [
            &b"{"[..],
            b"nonsense",
            b"{\"name\": \"a\"} trailing",
            b"{} {}",
            b"\xff\xfe",
            b"{\"name\": \"\\ud800\"}",
            b"{\"name\": \"\xff\"}",
        ] {
            assert_eq!(refused(body).await.0, 400, "{body:?}");
        }
    }

    #[tokio::test]
    async fn the_field_is_named() {
        for (body, field, detail) in [
            (r"{}", "name", "is required"),
            (r#"{"name": 7}"#, "name", "must be a string"),
            (r#"{"name": null}"#, "name", "must be a string"),
            (r#"{"name": "a", "number": "x"}"#, "number", "must be a whole number that is not negative"),
            (r#"{"name": "a", "number": -1}"#, "number", "must be a whole number that is not negative"),
            (r#"{"name": "a", "other": 1}"#, "other", "is not a field of this request"),
            (r#"{"name": "a", "name": "b"}"#, "name", "is given twice"),
            (r#"{"name": "a", "inner": {}}"#, "inner.code", "is required"),
            (r#"{"name": "a", "inner": {"code": "1", "x": 1}}"#, "inner.x", "is not a field of this request"),
            (r#"{"name": "a", "inner": {"code": []}}"#, "inner.code", "must be a string"),
            (r#"["name"]"#, "number", ""),
            (r#""text""#, "body", "must be an object"),
        ] {
            let (status, named, said) = refused(body.as_bytes()).await;
            assert_eq!(status, 422, "{body}");
            if !detail.is_empty() {
                assert_eq!((named.as_str(), said.as_str()), (field, detail), "{body}");
            }
        }
    }
}
