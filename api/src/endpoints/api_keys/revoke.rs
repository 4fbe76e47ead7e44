//! End an API key.

use axum::extract::State;
use domain::{
    api_key::{ApiKey, ApiKeyCommand},
    ids::{ApiKeyId, StreamId},
    outcome::Outcome,
    values::Scope,
};

use crate::{
    endpoint::{About, Access, Kind},
    extract::{Client, Id, Incoming, Nothing, scope},
    problem::Problem,
    shapes::{Answer, told},
    state::App,
};

pub(crate) const ABOUT: About = About { access: Access::Scope(Scope::Admin), kind: Kind::Command, problems: &[] };

/// End an API key
#[utoipa::path(delete, path = "/v1/api-keys/{id}", operation_id = "revoke_api_key", tag = "api keys",
    responses((status = 204, description = "It has ended.")))]
pub(crate) async fn handler(
    State(app): State<App>,
    client: Client<scope::Admin>,
    Id(id): Id<ApiKeyId>,
    incoming: Incoming<Nothing>,
) -> Result<Answer<()>, Problem> {
    let request = incoming.request(&app, client.caller)?;
    let stream = StreamId::ApiKey(id);
    let executed = app.engine.execute_on::<ApiKey>(&stream, &ApiKeyCommand::RevokeApiKey, &request).await?;
    app.forget_api_key(id).await;
    let ((), reached) = told!(executed, "revoke_api_key", Outcome::Done => ());
    Ok(Answer::done(reached))
}
