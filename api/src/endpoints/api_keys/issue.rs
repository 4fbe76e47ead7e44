//! Issue an API key.

use axum::{extract::State, http::StatusCode};
use domain::{
    api_key::{ApiKey, ApiKeyCommand},
    ids::{ApiKeyId, StreamId},
    outcome::Outcome,
    time::Timestamp,
    values::{FreeText, Scope, Scopes},
};
use serde::{Deserialize, Serialize};
use vault::{Token, TokenKind};

use crate::{
    endpoint::{About, Access, Kind},
    extract::{Client, Incoming, field, scope},
    problem::{Code, Problem},
    shapes::{Answer, Shown, told},
    state::App,
    words::ScopeWord,
};

pub(crate) const ABOUT: About =
    About { access: Access::Scope(Scope::Admin), kind: Kind::Command, problems: &[Code::Conflict] };

/// A key to be.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = IssueApiKey)]
pub(crate) struct Request {
    /// What it is called.
    name: String,
    /// What it may do.
    #[schema(value_type = Vec<ScopeWord>)]
    scopes: Scopes,
    /// Its end, if it shall have one.
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
}

/// The key.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = IssuedApiKey)]
pub(crate) struct Issued {
    /// Its id.
    #[schema(value_type = Uuid)]
    api_key_id: ApiKeyId,
    /// The bearer token, shown once.
    #[schema(value_type = String)]
    token: Shown,
}

/// Issue an API key
#[utoipa::path(post, path = "/v1/api-keys", operation_id = "issue_api_key", tag = "api keys",
    request_body = Request, responses((status = 201, description = "The key, shown once.", body = Issued)))]
pub(crate) async fn handler(
    State(app): State<App>,
    client: Client<scope::Admin>,
    incoming: Incoming<Request>,
) -> Result<Answer<Issued>, Problem> {
    let api_key_id = ApiKeyId(incoming.fresh_uuid(&app, &client.caller, "api key")?);
    let command = ApiKeyCommand::IssueApiKey {
        api_key_id,
        name: field("name", FreeText::parse(&incoming.body.name))?,
        scopes: incoming.body.scopes.clone(),
        expires_at: incoming.body.expires_at,
    };
    let request = incoming.request(&app, client.caller)?;
    let executed = app.engine.execute_on::<ApiKey>(&StreamId::ApiKey(api_key_id), &command, &request).await?;
    let (issued, reached) = told!(executed, "issue_api_key", Outcome::ApiKeyIssued { api_key_id, secret } => {
        let token = Token { kind: TokenKind::ApiKey, stream: api_key_id.0, id: api_key_id.0, secret };
        Issued { api_key_id, token: token.encode() }
    });
    Ok(Answer::new(StatusCode::CREATED, issued).after(reached))
}
