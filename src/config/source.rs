//! Where settings come from: a TOML file, then the environment.

use std::{collections::BTreeMap, path::Path};

use domain::secret::SecretText;
use serde::{Deserialize, Deserializer, de::DeserializeOwned, de::Error as _};
use toml::{Table, Value};

use super::ConfigError;

/// Before every setting in the environment; two underscores stand between the levels of a name.
const PREFIX: &str = "COUNTERSIGN__";

/// Names of settings that are text whatever they look like: a password of digits is no number.
const TEXTS: [&str; 7] = ["url", "user", "password", "token", "nkey_seed", "key_ring", "from"];

/// Reads what a file and the environment say. The environment comes after the file.
pub fn read<T: DeserializeOwned>(
    file: Option<&Path>,
    environment: impl Iterator<Item = (String, String)>,
) -> Result<T, ConfigError> {
    let mut table = file.map_or_else(|| Ok(Table::new()), read_file)?;
    let mut from_environment = BTreeMap::new();
    for (name, value) in environment {
        if let Some(rest) = name.strip_prefix(PREFIX) {
            let path: Vec<String> = rest.split("__").map(str::to_ascii_lowercase).collect();
            let value = match path.last() {
                Some(last) if TEXTS.contains(&last.as_str()) => Value::String(value),
                _ => environment_value(&value),
            };
            set(&mut table, &path, value, &name)?;
            from_environment.insert(path.join("."), name);
        }
    }
    serde_path_to_error::deserialize(Value::Table(table)).map_err(|error| {
        let path = error.path().to_string();
        let setting = match (from_environment.get(&path), file) {
            (Some(name), _) => name.clone(),
            (None, Some(file)) => format!("{path} in {}", file.display()),
            (None, None) => path,
        };
        let problem = error.into_inner().message().to_owned();
        let cure = if problem.starts_with("unknown field") {
            "remove it, or correct its name"
        } else {
            "give it a value of that kind"
        };
        ConfigError::new(setting, problem, cure)
    })
}

fn read_file(path: &Path) -> Result<Table, ConfigError> {
    let setting = || format!("--config {}", path.display());
    let text = std::fs::read_to_string(path).map_err(|error| {
        ConfigError::new(setting(), format!("cannot be read: {error}"), "name a file that this user may read")
    })?;
    text.parse::<Table>().map_err(|error| {
        let line = error.span().map_or(1, |span| text[..span.start].matches('\n').count() + 1);
        ConfigError::new(setting(), format!("line {line} is no TOML: {}", error.message()), "correct that line")
    })
}

/// A TOML value where the text is one (`8`, `true`, `["a"]`), else the text itself.
fn environment_value(text: &str) -> Value {
    text.parse().unwrap_or_else(|_| Value::String(text.to_owned()))
}

fn set(table: &mut Table, path: &[String], value: Value, name: &str) -> Result<(), ConfigError> {
    let Some((last, parents)) = path.split_last() else { return Ok(()) };
    let mut table = table;
    for parent in parents {
        let entry = table.entry(parent.clone()).or_insert_with(|| Value::Table(Table::new()));
        table = entry.as_table_mut().ok_or_else(|| {
            ConfigError::new(name, format!("{parent} has no settings of its own"), "remove it, or correct its name")
        })?;
    }
    table.insert(last.clone(), value);
    Ok(())
}

/// A list, or a text with commas between its items (as the environment gives it).
pub fn list<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    let items = match Value::deserialize(deserializer)? {
        Value::Array(items) => items,
        Value::String(text) => {
            text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(Value::from).collect()
        }
        _ => return Err(D::Error::custom("expected a list")),
    };
    items.into_iter().map(|item| T::deserialize(item).map_err(|error| D::Error::custom(error.message()))).collect()
}

/// The same for a list that may be left out.
pub fn optional_list<'de, D, T>(deserializer: D) -> Result<Option<Vec<T>>, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    list(deserializer).map(Some)
}

/// A secret that stands in the settings, or in a file of its own (as secret stores mount them): then what the
/// file holds, without the line feed at its end, takes the setting's place.
pub fn secret_from_file(setting: &str, value: &mut Option<SecretText>, file: Option<&Path>) -> Result<(), ConfigError> {
    let Some(path) = file else { return Ok(()) };
    let name = || format!("{setting}_file");
    if value.is_some() {
        return Err(ConfigError::new(setting, "is given twice", format!("remove {setting} or {setting}_file")));
    }
    let text = std::fs::read_to_string(path).map_err(|error| {
        ConfigError::new(
            name(),
            format!("{} cannot be read: {error}", path.display()),
            "name a file that this user may read",
        )
    })?;
    let text = text.trim_end_matches(['\r', '\n']);
    if text.is_empty() {
        return Err(ConfigError::new(name(), format!("{} is empty", path.display()), "write the secret into it"));
    }
    *value = Some(SecretText::new(text.to_owned()));
    Ok(())
}
