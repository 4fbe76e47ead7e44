//! What a token stands for, for products that let Countersign sign people in. After RFC 7662.

use axum::extract::State;
use domain::{
    ids::{AccessTokenId, AccountId, SessionId},
    secret::SecretText,
    time::Timestamp,
    values::{Aal, Amr, Caller, Scope},
};
use serde::{Deserialize, Serialize};
use vault::Token;

use crate::{
    endpoint::{About, Access, Kind},
    extract::{Bearer, Client, Incoming, Own, authenticate, scope},
    problem::Problem,
    shapes::Answer,
    state::App,
    words::{AalWord, AmrWord},
};

pub(crate) const ABOUT: About = About { access: Access::Scope(Scope::Introspect), kind: Kind::Read, problems: &[] };

/// A token that was presented.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Introspect)]
pub(crate) struct Request {
    /// A session or access token.
    #[schema(value_type = String)]
    token: SecretText,
}

/// What it stands for; `active` alone when it stands for nothing.
#[derive(Default, Serialize, utoipa::ToSchema)]
#[schema(as = Introspection)]
pub(crate) struct Introspection {
    /// Whether it is live.
    active: bool,
    /// `session` or `access_token`.
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    /// Whose it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Uuid>)]
    account_id: Option<AccountId>,
    /// The session.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Uuid>)]
    session_id: Option<SessionId>,
    /// The access token.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Uuid>)]
    access_token_id: Option<AccessTokenId>,
    /// Its assurance level.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<AalWord>)]
    aal: Option<Aal>,
    /// How it was proved.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<AmrWord>>)]
    amr: Option<Vec<Amr>>,
    /// When it began.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    created_at: Option<Timestamp>,
    /// Its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
}

/// Introspect a token
///
/// Counts as a use of the session.
#[utoipa::path(post, path = "/v1/introspect", operation_id = "introspect", tag = "sign-in", request_body = Request,
    responses((status = 200, description = "What the token stands for.", body = Introspection)))]
pub(crate) async fn handler(
    State(app): State<App>,
    _client: Client<scope::Introspect>,
    incoming: Incoming<Request>,
) -> Result<Answer<Introspection>, Problem> {
    let bearer = match Token::parse(incoming.body.token.expose()) {
        Some(token) => authenticate(&app, &token).await?,
        None => None,
    };
    Ok(Answer::ok(bearer.and_then(told).unwrap_or_default()))
}

/// Sessions and access tokens are told; a verification's token and an API key are nobody else's business.
fn told(bearer: Bearer) -> Option<Introspection> {
    let Own { id, state, .. } = bearer.own?;
    let live = Introspection { active: true, account_id: Some(id), ..Introspection::default() };
    match bearer.caller {
        Caller::Session(session_id) => {
            // One that may only enroll a method signs in nowhere.
            let session = state.session(session_id).filter(|session| session.limited_by.is_none())?;
            Some(Introspection {
                kind: Some("session"),
                session_id: Some(session_id),
                aal: Some(session.aal),
                amr: Some(session.amr.clone()),
                created_at: Some(session.started_at),
                expires_at: Some(session.expires_at),
                ..live
            })
        }
        Caller::AccessToken(access_token_id) => {
            let token = state.access_tokens.get(&access_token_id)?;
            Some(Introspection {
                kind: Some("access_token"),
                access_token_id: Some(access_token_id),
                aal: Some(Aal::Aal1),
                created_at: Some(token.issued_at),
                expires_at: Some(token.expires_at),
                ..live
            })
        }
        _ => None,
    }
}
