//! Issue a personal access token.

use axum::{extract::State, http::StatusCode};
use domain::{commands::Command, ids::AccessTokenId, outcome::Outcome, time::Timestamp, values::FreeText};
use serde::{Deserialize, Serialize};
use vault::{Token, TokenKind};

use crate::{
    endpoint::{About, Access, Kind},
    extract::{Incoming, OnAccount, field},
    problem::{Code, Problem},
    shapes::{Answer, Shown, told},
    state::App,
};

pub(crate) const ABOUT: About = About {
    access: Access::Account,
    kind: Kind::Authorized,
    problems: &[Code::EmailNotVerified, Code::Conflict, Code::RateLimited],
};

/// A token to be.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = IssueAccessToken)]
pub(crate) struct Request {
    /// What it is called.
    name: String,
}

/// The token.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = IssuedAccessToken)]
pub(crate) struct Issued {
    /// Its id.
    #[schema(value_type = Uuid)]
    access_token_id: AccessTokenId,
    /// The bearer token, shown once.
    #[schema(value_type = String)]
    token: Shown,
    /// Its end.
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
}

/// Issue an access token
///
/// Needs a verification for `issue_access_token`, and with two-factor authentication on a session of level `aal2`.
#[utoipa::path(post, path = "/v1/accounts/{account}/access-tokens", operation_id = "issue_access_token",
    tag = "sessions", request_body = Request,
    responses((status = 201, description = "The token, shown once.", body = Issued)))]
pub(crate) async fn handler(
    State(app): State<App>,
    account: OnAccount,
    incoming: Incoming<Request>,
) -> Result<Answer<Issued>, Problem> {
    let command = Command::IssueAccessToken {
        name: field("name", FreeText::parse(&incoming.body.name))?,
        verification_id: incoming.verification()?.map(|named| named.id),
    };
    let executed = app.engine.execute(account.id, command, &incoming.request(&app, account.caller)?).await?;
    let (issued, reached) = told!(
        executed, "issue_access_token", Outcome::AccessTokenIssued { access_token_id, secret, expires_at } => {
            let kind = TokenKind::AccessToken;
            let token = Token { kind, stream: account.id.0, id: access_token_id.0, secret };
            Issued { access_token_id, token: token.encode(), expires_at }
        }
    );
    Ok(Answer::new(StatusCode::CREATED, issued).after(reached))
}
