//! An API client's key: the stream `api-key-<uuid>`.

use serde::{Deserialize, Serialize};

use crate::{
    decision::{Context, Decider, Decision},
    events::{ApiKeyIssued, ApiKeyRevoked, Event},
    evidence::{Evidence, Need},
    ids::ApiKeyId,
    outcome::{Outcome, Refusal},
    personal::Personal,
    secret::TokenHash,
    time::Timestamp,
    values::{Caller, FreeText, Scope, Scopes},
};

/// One key. `Default` is the key that does not exist.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiKey {
    /// What was issued.
    pub issued: Option<IssuedKey>,
}

/// A key that was issued.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IssuedKey {
    /// Its id.
    pub id: ApiKeyId,
    /// Hash of its random part.
    pub token_hash: TokenHash,
    /// What it is called.
    pub name: Personal<FreeText>,
    /// What it may do.
    pub scopes: Scopes,
    /// Its end.
    pub expires_at: Option<Timestamp>,
    /// Whether it was ended.
    pub revoked: bool,
}

/// What may be asked of a key.
#[derive(Debug, Clone)]
pub enum ApiKeyCommand {
    /// Issue it.
    IssueApiKey {
        /// Its id.
        api_key_id: ApiKeyId,
        /// What it is called.
        name: FreeText,
        /// What it may do.
        scopes: Scopes,
        /// Its end.
        expires_at: Option<Timestamp>,
    },
    /// End it.
    RevokeApiKey,
}

impl ApiKey {
    /// Who presents this token, if it is this key's, live, and unexpired.
    pub fn authenticate(&self, presented: &TokenHash, now: Timestamp) -> Option<Caller> {
        let key = self.issued.as_ref()?;
        (key.token_hash == *presented && self.is_live(now)).then(|| Caller::ApiClient(key.id, key.scopes.clone()))
    }

    /// Whether it was issued, and neither revoked nor expired.
    pub fn is_live(&self, now: Timestamp) -> bool {
        let is_live = |key: &IssuedKey| !key.revoked && key.expires_at.is_none_or(|end| now < end);
        self.issued.as_ref().is_some_and(is_live)
    }

    fn rule(&self, command: &ApiKeyCommand, context: &Context<'_>) -> Decision {
        if !context.caller.has(Scope::Admin) && *context.caller != Caller::Operator {
            return Decision::refuse(Refusal::Forbidden);
        }
        match command {
            ApiKeyCommand::IssueApiKey { api_key_id, name, scopes, expires_at } => {
                if self.issued.is_some() {
                    return Decision::refuse(Refusal::Conflict);
                }
                let invalid = |field: &str, detail: &str| {
                    Decision::refuse(Refusal::Invalid { field: field.to_owned(), detail: detail.to_owned() })
                };
                if scopes.is_empty() {
                    return invalid("scopes", "must name at least one scope");
                }
                if expires_at.is_some_and(|end| end <= context.now) {
                    return invalid("expires_at", "must lie in the future");
                }
                let secret = context.entropy.token("api key");
                let issued = ApiKeyIssued {
                    api_key_id: *api_key_id,
                    token_hash: TokenHash::of(&secret),
                    name: Personal::Known(name.clone()),
                    scopes: scopes.clone(),
                    expires_at: *expires_at,
                };
                Decision::accept(vec![issued.into()], Outcome::ApiKeyIssued { api_key_id: *api_key_id, secret })
            }
            ApiKeyCommand::RevokeApiKey => match &self.issued {
                None => Decision::refuse(Refusal::NotFound),
                Some(key) if key.revoked => Decision::accept(Vec::new(), Outcome::Done),
                Some(_) => Decision::accept(vec![ApiKeyRevoked {}.into()], Outcome::Done),
            },
        }
    }
}

impl Decider for ApiKey {
    type Command = ApiKeyCommand;

    fn decide(&self, command: &ApiKeyCommand, context: &Context<'_>, _: &Evidence) -> Result<Decision, Need> {
        Ok(self.rule(command, context))
    }

    fn evolve(mut self, event: &Event, _at: Timestamp) -> Self {
        match event {
            Event::ApiKeyIssued(e) => {
                self.issued = Some(IssuedKey {
                    id: e.api_key_id,
                    token_hash: e.token_hash,
                    name: e.name.clone(),
                    scopes: e.scopes.clone(),
                    expires_at: e.expires_at,
                    revoked: false,
                });
            }
            Event::ApiKeyRevoked(_) => {
                if let Some(key) = self.issued.as_mut() {
                    key.revoked = true;
                }
            }
            _ => {}
        }
        self
    }
}
