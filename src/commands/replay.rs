//! `replay`: an account's history, step by step, with what each event changed.

use domain::{
    audit_access::{AuditAccess, RecordAccess},
    decision::Decider,
    events::HistoryAccess,
    ids::StreamId,
    personal::{ERASED_MARK, PERSONAL_MARK},
    state::Account,
};
use event_store::codec;
use schemas::envelope::Version;
use serde_json::{Value, json};

use super::say;
use crate::{
    Failure,
    cli::ReplayArgs,
    config::Config,
    engines::{Opened, Opening},
};

const PAGE: usize = 500;

/// Prints the steps. That someone looked is recorded before anything is shown.
pub async fn replay(config: &Config, arguments: &ReplayArgs) -> Result<(), Failure> {
    let opened = Opened::open(config, Opening::Existing).await?;
    let stream = StreamId::Account(arguments.account);
    record(&opened, arguments).await?;
    let key = opened.keys.key(&stream).await.map_err(Failure::other)?;
    let (mut state, mut version) = (Account::default(), Version::NONE);
    let mut before = plain(&state)?;
    'pages: loop {
        let page = opened.log.read_stream(&stream, version, PAGE).await.map_err(Failure::other)?;
        if page.is_empty() {
            break;
        }
        for stored in &page {
            let recorded = codec::decode(stored, key.as_ref()).map_err(Failure::other)?;
            let at = recorded.metadata.at;
            if arguments.at.is_some_and(|until| at > until) {
                break 'pages;
            }
            state = state.evolve(&recorded.event, at);
            version = stored.version;
            let after = plain(&state)?;
            let step = json!({
                "version": stored.version.0,
                "position": stored.position.0,
                "at": at,
                "type": recorded.event.name(),
                "actor": recorded.metadata.actor,
                "changes": changes(&before, &after),
            });
            before = after;
            say(if arguments.json { step.to_string() } else { readable(&step) })?;
        }
    }
    if version == Version::NONE {
        return Err(Failure::Other(format!("{stream} has no events{}", arguments.at.map_or("", |_| " by then"))));
    }
    opened.close().await;
    Ok(())
}

async fn record(opened: &Opened, arguments: &ReplayArgs) -> Result<(), Failure> {
    let request = opened.operator()?;
    let access = RecordAccess { access: HistoryAccess::Replay, account_id: Some(arguments.account) };
    let reader = StreamId::AuditAccess("operator".to_owned());
    let recorded = opened.engine.execute_on::<AuditAccess>(&reader, &access, &request).await;
    recorded.map_err(Failure::other)?.outcome.map_err(Failure::other)?;
    Ok(())
}

fn plain(state: &Account) -> Result<Value, Failure> {
    serde_json::to_value(state).map_err(Failure::other)
}

/// The leaves that differ, by path. Personal values are compared, and then not shown.
fn changes(before: &Value, after: &Value) -> Vec<Value> {
    let mut found = Vec::new();
    compare("", before, after, &mut found);
    found
}

fn compare(path: &str, before: &Value, after: &Value, found: &mut Vec<Value>) {
    if before == after || path == "last_event_at" {
        return;
    }
    if let (Value::Object(old), Value::Object(new)) = (before, after)
        && !is_personal(before)
        && !is_personal(after)
    {
        let names: std::collections::BTreeSet<&String> = old.keys().chain(new.keys()).collect();
        for name in names {
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            let field = |of: &serde_json::Map<String, Value>| of.get(name).cloned().unwrap_or_default();
            compare(&path, &field(old), &field(new), found);
        }
        return;
    }
    found.push(json!({"path": path, "before": shown(before), "after": shown(after)}));
}

fn is_personal(value: &Value) -> bool {
    value.get(PERSONAL_MARK).is_some() || value.get(ERASED_MARK).is_some()
}

fn shown(value: &Value) -> Value {
    match value {
        Value::Object(fields) if fields.contains_key(PERSONAL_MARK) => json!("[personal]"),
        Value::Object(fields) if fields.contains_key(ERASED_MARK) => json!("[erased]"),
        Value::Object(fields) => fields
            .iter()
            .filter(|(name, _)| *name != "token_hash")
            .map(|(name, value)| (name.clone(), shown(value)))
            .collect(),
        Value::Array(items) => items.iter().map(shown).collect(),
        value => value.clone(),
    }
}

fn readable(step: &Value) -> String {
    let text = |name: &str| step[name].as_str().unwrap_or_default().to_owned();
    let actor = step["actor"]["kind"].as_str().unwrap_or_default().replace('_', " ");
    let mut lines = format!("{:>4}  {}  {}  by {actor}", step["version"], text("at"), text("type"));
    for change in step["changes"].as_array().into_iter().flatten() {
        let path = change["path"].as_str().unwrap_or_default();
        let line = match (&change["before"], &change["after"]) {
            (Value::Null, after) => format!("+ {path}: {after}"),
            (before, Value::Null) => format!("- {path}: {before}"),
            (before, after) => format!("~ {path}: {before} -> {after}"),
        };
        lines.push_str("\n        ");
        lines.push_str(&line);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_difference_names_leaves_and_shows_no_personal_value() {
        let before =
            json!({"email": {"$personal": "a@example.com"}, "methods": {}, "locks": {"totp": {"failures": 0}}});
        let after = json!({
            "email": {"$personal": "b@example.com"},
            "methods": {"1": {"label": {"$personal": "phone"}, "token_hash": "ab"}},
            "locks": {"totp": {"failures": 1}},
            "last_event_at": "2026-11-24T10:00:00.000Z"
        });
        let found = Value::Array(changes(&before, &after));
        assert_eq!(
            found,
            json!([
                {"path": "email", "before": "[personal]", "after": "[personal]"},
                {"path": "locks.totp.failures", "before": 0, "after": 1},
                {"path": "methods.1", "before": null, "after": {"label": "[personal]"}},
            ])
        );
    }
}
