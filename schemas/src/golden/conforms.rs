//! As much of JSON Schema as our schemas use. A keyword that it does not know is an error, so that it never
//! passes what it did not look at.

use serde_json::Value;

/// Whether a value conforms to a schema, and if not, where.
pub(super) fn check(schema: &Value, value: &Value) -> Result<(), String> {
    conforms(schema, schema, value, "")
}

fn conforms(root: &Value, schema: &Value, value: &Value, at: &str) -> Result<(), String> {
    let Some(keywords) = schema.as_object() else {
        return if schema == &Value::Bool(true) { Ok(()) } else { Err(format!("{at}: nothing is allowed here")) };
    };
    for (keyword, says) in keywords {
        let right = match keyword.as_str() {
            "$schema" | "title" | "description" | "$defs" | "format" | "contentEncoding" | "default" => true,
            "$ref" => return target(root, says).and_then(|schema| conforms(root, schema, value, at)),
            "type" => match says {
                Value::Array(types) => types.iter().any(|name| is_of(name, value)),
                name => is_of(name, value),
            },
            "const" => says == value,
            "enum" => list(says)?.contains(value),
            "oneOf" => list(says)?.iter().filter(|one| conforms(root, one, value, at).is_ok()).count() == 1,
            "anyOf" => list(says)?.iter().any(|one| conforms(root, one, value, at).is_ok()),
            "minimum" => value.as_f64().is_none_or(|number| says.as_f64().is_some_and(|least| number >= least)),
            "maximum" => value.as_f64().is_none_or(|number| says.as_f64().is_some_and(|most| number <= most)),
            "minItems" => value.as_array().is_none_or(|items| says.as_u64().is_some_and(|n| items.len() as u64 >= n)),
            "maxItems" => value.as_array().is_none_or(|items| says.as_u64().is_some_and(|n| items.len() as u64 <= n)),
            "uniqueItems" => value
                .as_array()
                .is_none_or(|items| items.iter().enumerate().all(|(place, item)| !items[..place].contains(item))),
            "required" => list(says)?.iter().all(|name| value.get(name.as_str().unwrap_or_default()).is_some()),
            "properties" => {
                for (name, schema) in says.as_object().ok_or("properties is no object")? {
                    if let Some(field) = value.get(name) {
                        conforms(root, schema, field, &format!("{at}/{name}"))?;
                    }
                }
                true
            }
            "additionalProperties" => {
                let known = keywords.get("properties").and_then(Value::as_object);
                says == &Value::Bool(true)
                    || value.as_object().is_none_or(|fields| {
                        fields.keys().all(|name| known.is_some_and(|known| known.contains_key(name)))
                    })
            }
            "items" => {
                for (place, item) in value.as_array().into_iter().flatten().enumerate() {
                    conforms(root, says, item, &format!("{at}/{place}"))?;
                }
                true
            }
            unknown => return Err(format!("{at}: the keyword {unknown} is not understood")),
        };
        if !right {
            return Err(format!("{at}: against {keyword}"));
        }
    }
    Ok(())
}

fn target<'a>(root: &'a Value, reference: &Value) -> Result<&'a Value, String> {
    let pointer = reference.as_str().and_then(|text| text.strip_prefix('#')).ok_or("a reference leads elsewhere")?;
    root.pointer(pointer).ok_or_else(|| format!("nothing is at {pointer}"))
}

fn list(value: &Value) -> Result<&Vec<Value>, String> {
    value.as_array().ok_or_else(|| "no list".to_owned())
}

fn is_of(name: &Value, value: &Value) -> bool {
    match name.as_str() {
        Some("string") => value.is_string(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("number") => value.is_number(),
        Some("boolean") => value.is_boolean(),
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("null") => value.is_null(),
        _ => false,
    }
}
