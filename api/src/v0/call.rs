//! A call: who calls, with which body, and what a `secret` stands for.

use std::sync::Arc;

use axum::{
    extract::{FromRequest, Request},
    http::{HeaderMap, header},
};
use domain::{
    account,
    ids::{AccountId, MethodId, StreamId, VerificationId},
    secret::{SecretText, TokenHash},
    state::Account,
    values::Caller,
};
use serde::de::DeserializeOwned;
use vault::{Token, TokenKind};

use super::{
    body,
    codes::{Code, Refused},
    same_site,
};
use crate::{
    extract::{Answers, Incoming, authenticate, is_of_this_machine},
    problem::Problem,
    state::{App, AppState},
};

/// A request with its body, and the account of its bearer.
pub(super) struct Call<T> {
    pub incoming: Incoming<T>,
    bearer: Option<Owner>,
    /// Whether the client is on this machine, and no proxy before it.
    pub on_loopback: bool,
}

/// The bearer of a session or an access token.
#[derive(Clone)]
pub(super) struct Owner {
    pub account: AccountId,
    pub state: Arc<Account>,
    pub caller: Caller,
    /// The token, as it was presented.
    pub key: SecretText,
}

/// What a `secret` stands for.
pub(super) struct Held {
    pub account: AccountId,
    pub state: Arc<Account>,
    pub what: Handle,
}

/// A verification, or a number that is being enrolled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Handle {
    Verification(VerificationId),
    Enrollment(MethodId),
}

impl<T: DeserializeOwned> FromRequest<App> for Call<T> {
    type Rejection = Refused;

    async fn from_request(request: Request, app: &App) -> Result<Self, Refused> {
        same_site::check(request.headers(), app)?;
        let bearer = bearer(request.headers(), app).await?;
        let (parts, body) = request.into_parts();
        let on_loopback = app.stands_alone() && is_of_this_machine(&parts);
        let request = Request::from_parts(parts, body);
        let incoming = Incoming::receive(request, app, body::parse).await?;
        Ok(Self { incoming, bearer, on_loopback })
    }
}

impl<T> Call<T> {
    pub fn body(&self) -> &T {
        &self.incoming.body
    }

    /// The bearer, if there is one.
    pub fn bearer(&self) -> Option<&Owner> {
        self.bearer.as_ref()
    }

    /// The bearer, for what a stranger may not do.
    pub fn owner(&self) -> Result<&Owner, Refused> {
        self.bearer.as_ref().ok_or_else(|| Refused::new(Code::AuthError, "Please log in: send a key as bearer."))
    }

    /// What the secret stands for: of the bearer's own account, where there is a bearer.
    pub async fn held(&self, app: &AppState, secret: &SecretText) -> Result<Held, Refused> {
        let unknown = || Refused::new(Code::ChallengeNotFound, "This secret is unknown. Ask for a new code.");
        let token = Token::parse(secret.expose().trim()).filter(|token| token.kind == TokenKind::Verification);
        let token = token.ok_or_else(unknown)?;
        let account = AccountId(token.stream);
        if self.bearer.as_ref().is_some_and(|bearer| bearer.account != account) {
            return Err(unknown());
        }
        let state = app.engine.load(account).await.map_err(Problem::from)?.state;
        let id = VerificationId(token.id);
        let presented = account::Presented::Verification(id);
        let cut_off = app.engine.cut_off().await.map_err(Problem::from)?;
        if state.authenticate(presented, &token.hash(), None, cut_off, app.now()).is_some() {
            return Ok(Held { account, state, what: Handle::Verification(id) });
        }
        let enrolling = state.enrollments.iter().find(|(_, enrollment)| enrollment.verification_id == id);
        let method_id = enrolling.map(|(method_id, _)| *method_id).ok_or_else(unknown)?;
        let key = app.engine.keys().key(&StreamId::Account(account)).await;
        let key = key.map_err(|error| Problem::unavailable(error.to_string()))?.ok_or_else(unknown)?;
        if TokenHash::of(&key.enrollment_handle(id)) != token.hash() {
            return Err(unknown());
        }
        Ok(Held { account, state, what: Handle::Enrollment(method_id) })
    }

    /// Who drives a verification: the bearer, or whoever holds the token of one that belongs to nobody.
    pub fn driver(&self, held: &Held, id: VerificationId) -> Caller {
        let started_by = held.state.verifications.get(&id).and_then(|verification| verification.started_by);
        match &self.bearer {
            Some(bearer) if started_by.is_some() => bearer.caller.clone(),
            _ => Caller::Verification(id),
        }
    }

    /// The engine's request of this caller.
    pub fn request(&self, app: &AppState, caller: Caller, answers: Answers) -> Result<engine::Request, Refused> {
        Ok(self.incoming.request_for(app, caller, answers)?)
    }
}

/// The token by which a number that is being enrolled is named.
pub(super) async fn enrollment_secret(
    app: &AppState,
    account: AccountId,
    method_id: MethodId,
) -> Result<SecretText, Refused> {
    let missing = || Problem::internal("an enrollment is gone right after its start");
    let state = app.engine.load(account).await.map_err(Problem::from)?.state;
    let id = state.enrollments.get(&method_id).map(|enrollment| enrollment.verification_id).ok_or_else(missing)?;
    let key = app.engine.keys().key(&StreamId::Account(account)).await;
    let key = key.map_err(|error| Problem::unavailable(error.to_string()))?.ok_or_else(missing)?;
    let secret = key.enrollment_handle(id);
    Ok(Token { kind: TokenKind::Verification, stream: account.0, id: id.0, secret }.encode())
}

/// Who bears a credential. One that is presented and not live is refused: the client should learn that.
async fn bearer(headers: &HeaderMap, app: &AppState) -> Result<Option<Owner>, Refused> {
    let mut lines = headers.get_all(header::AUTHORIZATION).iter();
    let Some(line) = lines.next() else { return Ok(None) };
    let text = line.to_str().unwrap_or_default();
    let (scheme, key) = text.split_once(' ').unwrap_or_default();
    let key = key.trim();
    let dead = || {
        if key.starts_with(TokenKind::Session.prefix()) { Refused::session_expired() } else { Refused::invalid_key() }
    };
    if lines.next().is_some() || !scheme.eq_ignore_ascii_case("bearer") {
        return Err(Refused::invalid_key());
    }
    let token = Token::parse(key).ok_or_else(dead)?;
    let authenticated = authenticate(app, &token).await?.ok_or_else(dead)?;
    match (authenticated.caller, authenticated.own) {
        (caller @ (Caller::Session(_) | Caller::AccessToken(_)), Some(own)) => {
            let key = SecretText::new(key.to_owned());
            Ok(Some(Owner { account: own.id, state: own.state, caller, key }))
        }
        (Caller::ApiClient(..), _) => {
            Err(Refused::new(Code::AuthError, "An API key belongs to no account: use an access token."))
        }
        _ => Err(Refused::invalid_key()),
    }
}
