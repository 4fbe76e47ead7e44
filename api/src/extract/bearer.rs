//! The bearer of a token. The token names its stream, so no read model is asked.

use std::sync::Arc;

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, header, request::Parts},
};
use domain::{
    account,
    ids::{AccessTokenId, AccountId, ApiKeyId, SessionId, VerificationId},
    state::Account,
    values::{Caller, Credential, Scope},
};
use schemas::envelope::Position;
use vault::{Token, TokenKind};

use crate::{
    problem::Problem,
    state::{App, AppState},
};

/// Someone with a live credential.
#[derive(Clone)]
pub(crate) struct Bearer {
    /// Who, to the rules.
    pub caller: Caller,
    /// The account that the credential belongs to; none for API clients.
    pub own: Option<Own>,
}

/// The account of a credential, as it was when the credential was checked.
#[derive(Clone)]
pub(crate) struct Own {
    pub id: AccountId,
    pub state: Arc<Account>,
    /// What the account's own queries must at least have seen.
    pub position: Position,
}

impl Bearer {
    /// Lets API clients through that hold the scope, and nobody else.
    pub fn client_with(&self, scope: Scope) -> Result<(), Problem> {
        if self.caller.has(scope) { Ok(()) } else { Err(Problem::forbidden()) }
    }
}

impl FromRequestParts<App> for Bearer {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let token = presented(&parts.headers)?.ok_or_else(Problem::unauthenticated)?;
        authenticate(app, &token).await?.ok_or_else(Problem::unauthenticated)
    }
}

/// A token of the right form that nobody has judged yet.
pub(crate) struct Presented(pub Token);

impl FromRequestParts<App> for Presented {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Problem> {
        presented(&parts.headers)?.map(Self).ok_or_else(Problem::unauthenticated)
    }
}

/// A bearer, or someone without a credential. A credential that is presented and not live is refused all
/// the same: its holder should learn that rather than act as a stranger.
pub(crate) struct MaybeBearer(pub Option<Bearer>);

impl FromRequestParts<App> for MaybeBearer {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        if parts.headers.contains_key(header::AUTHORIZATION) {
            Bearer::from_request_parts(parts, app).await.map(Some).map(Self)
        } else {
            Ok(Self(None))
        }
    }
}

impl MaybeBearer {
    /// For endpoints that strangers use: API clients act under their own name, and who happens to be signed
    /// in elsewhere is a stranger like any other.
    pub fn client_or_anonymous(self) -> Caller {
        match self.0 {
            Some(Bearer { caller: caller @ Caller::ApiClient(..), .. }) => caller,
            _ => Caller::Anonymous,
        }
    }
}

/// The token of the one `Authorization` header. Cookies are never read.
fn presented(headers: &HeaderMap) -> Result<Option<Token>, Problem> {
    let mut lines = headers.get_all(header::AUTHORIZATION).iter();
    let Some(line) = lines.next() else { return Ok(None) };
    if lines.next().is_some() {
        return Err(Problem::unauthenticated());
    }
    let text = line.to_str().map_err(|_| Problem::unauthenticated())?;
    let (scheme, token) = text.split_once(' ').ok_or_else(Problem::unauthenticated)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(Problem::unauthenticated());
    }
    Token::parse(token.trim()).map(Some).ok_or_else(Problem::unauthenticated)
}

/// Who presents the token, if it is live.
pub(crate) async fn authenticate(app: &AppState, token: &Token) -> Result<Option<Bearer>, Problem> {
    let now = app.now();
    let hash = token.hash();
    let owner = AccountId(token.stream);
    let presented = match token.kind {
        TokenKind::ApiKey => {
            if token.id != token.stream {
                return Ok(None);
            }
            let key = app.api_key(ApiKeyId(token.id)).await?;
            return Ok(key.authenticate(&hash, now).map(|caller| Bearer { caller, own: None }));
        }
        // The one says whose wrong codes are counted where, the other is for the calls of an undo: nobody's credential.
        TokenKind::Device | TokenKind::EmailUndo => return Ok(None),
        TokenKind::Session => account::Presented::Session(SessionId(token.id)),
        TokenKind::AccessToken => account::Presented::AccessToken(AccessTokenId(token.id)),
        TokenKind::Verification => account::Presented::Verification(VerificationId(token.id)),
    };
    let last_used = match presented {
        account::Presented::Session(id) => {
            let last_used = app.operations.last_used(id, now).await;
            last_used.map_err(|error| Problem::unavailable(error.to_string()))?
        }
        account::Presented::AccessToken(_) | account::Presented::Verification(_) => None,
    };
    let loaded = app.engine.load(owner).await?;
    let caller = loaded.state.authenticate(presented, &hash, last_used, app.engine.cut_off().await?, now);
    if let Some(Caller::Session(id)) = &caller {
        app.operations.touch(*id, now);
    }
    // What an API client began ends with its key, which is in another stream than the account's.
    if let Some(Caller::Verification(id)) = &caller
        && let Some(Credential::ApiClient(client)) =
            loaded.state.verifications.get(id).and_then(|verification| verification.started_by)
        && !app.api_key(client).await?.is_live(now)
    {
        return Ok(None);
    }
    Ok(caller
        .map(|caller| Bearer { caller, own: Some(Own { id: owner, state: loaded.state, position: loaded.position }) }))
}
