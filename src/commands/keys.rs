//! `keys create`.

use domain::{
    api_key::{ApiKey, ApiKeyCommand},
    ids::{ApiKeyId, StreamId},
    outcome::Outcome,
    values::FreeText,
};
use vault::{Token, TokenKind};

use super::say;
use crate::{
    Failure,
    cli::CreateKey,
    config::Config,
    engines::{Opened, Opening},
};

/// Issues a key and prints it: the only time that anybody sees it.
pub async fn create(config: &Config, arguments: CreateKey) -> Result<(), Failure> {
    let opened = Opened::open(config, Opening::Create).await?;
    let request = opened.operator()?;
    let id = ApiKeyId(opened.fresh_id("api key")?);
    let command = ApiKeyCommand::IssueApiKey {
        api_key_id: id,
        name: FreeText::parse(&arguments.name).map_err(|error| Failure::Other(format!("--name {error}")))?,
        scopes: arguments.scopes.into_iter().collect(),
        expires_at: arguments.expires,
    };
    let executed = opened.engine.execute_on::<ApiKey>(&StreamId::ApiKey(id), &command, &request).await;
    let outcome = executed.map_err(Failure::other)?.outcome.map_err(Failure::other)?;
    opened.close().await;
    let Outcome::ApiKeyIssued { api_key_id, secret } = outcome else {
        return Err(Failure::other("the key was not issued"));
    };
    let token = Token { kind: TokenKind::ApiKey, stream: api_key_id.0, id: api_key_id.0, secret };
    say(token.encode().expose())
}
