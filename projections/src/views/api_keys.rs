//! `api_keys`: the keys of API clients, live and ended.

use domain::{events::Event, ids::StreamId, values::Scope};
use schemas::envelope::RecordedEvent;

use crate::change::{Change, Param, Table, View, change};

/// The view.
pub static VIEW: View = View {
    name: "api_keys",
    version: 1,
    tables: &[Table {
        name: "api_keys",
        create: "CREATE TABLE api_keys{shadow} (
            api_key_id {uuid} NOT NULL,
            name_box {bytes},
            scopes TEXT NOT NULL,
            issued_at BIGINT NOT NULL,
            expires_at BIGINT,
            revoked_at BIGINT,
            {key}
        ) {clustered}",
        indexes: &[],
        digest: "api_key_id, scopes, issued_at, expires_at, revoked_at",
        key: "api_key_id",
        apart: "api_key_id",
        appended: &[],
    }],
    changes,
};

/// The column of the sealed name; part of what the seal is bound to.
pub const NAME: &str = "api_keys.name_box";

const ISSUED: &str = "INSERT INTO api_keys{shadow} (api_key_id, name_box, scopes, issued_at, expires_at)
    VALUES ($1, $2, $3, $4, $5) ON CONFLICT (api_key_id) DO NOTHING";
const REVOKED: &str = "UPDATE api_keys{shadow} SET revoked_at = $1 WHERE api_key_id = $2 AND revoked_at IS NULL";

/// What an event changes.
pub fn changes(recorded: &RecordedEvent) -> Vec<Change> {
    let StreamId::ApiKey(key) = recorded.stream else { return Vec::new() };
    let at = recorded.metadata.at;
    match &recorded.event {
        Event::ApiKeyIssued(e) => {
            let name = e
                .name
                .known()
                .map_or(Param::Null, |name| Param::Sealed { column: NAME, text: name.as_str().to_owned() });
            let scopes: Vec<&str> = e.scopes.iter().copied().map(Scope::name).collect();
            vec![change(ISSUED, [key.into(), name, scopes.join(" ").into(), at.into(), e.expires_at.into()])]
        }
        Event::ApiKeyRevoked(_) => vec![change(REVOKED, [at.into(), key.into()])],
        _ => Vec::new(),
    }
}
