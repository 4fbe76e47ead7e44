//! Who may act on what. Each is an extractor, so that a handler that names one cannot be reached without it.

use std::{marker::PhantomData, sync::Arc};

use axum::{extract::FromRequestParts, http::request::Parts};
use domain::{
    ids::{AccountId, VerificationId},
    state::Account,
    values::{Caller, Scope},
};
use schemas::envelope::Position;

use super::{Bearer, MaybeBearer, VerificationRef, param};
use crate::{problem::Problem, state::App};

/// The account that a path names, and someone who may act on it: its own session or access token, or an
/// API client with `accounts:write`. Other people's accounts do not exist for a person.
pub(crate) struct OnAccount {
    /// Which.
    pub id: AccountId,
    /// Who.
    pub caller: Caller,
    /// How it was when the caller was checked.
    pub state: Arc<Account>,
    /// What a query about it must at least have seen: one reads one's own writes.
    pub position: Position,
}

impl FromRequestParts<App> for OnAccount {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let Bearer { caller, own } = Bearer::from_request_parts(parts, app).await?;
        let name = param(parts, app, "account").await?;
        match (own, &caller) {
            (Some(_), Caller::Verification(_)) => Err(Problem::forbidden()),
            (Some(own), _) => {
                let is_own = name == "me" || name.parse() == Ok(own.id);
                if !is_own {
                    return Err(Problem::not_found());
                }
                Ok(Self { id: own.id, caller, state: own.state, position: own.position })
            }
            (None, caller) if caller.has(Scope::AccountsWrite) => {
                let id: AccountId = name.parse().map_err(|_| Problem::not_found())?;
                let loaded = app.engine.load(id).await?;
                if !loaded.state.exists(app.now()) {
                    return Err(Problem::not_found());
                }
                Ok(Self { id, caller: caller.clone(), state: loaded.state, position: loaded.position })
            }
            (None, _) => Err(Problem::forbidden()),
        }
    }
}

/// The account that a path names, where a stranger may act too. A credential counts where it is the account's.
pub(crate) struct NamedAccount {
    /// Which.
    pub id: AccountId,
    /// Who.
    pub caller: Caller,
}

impl FromRequestParts<App> for NamedAccount {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let MaybeBearer(bearer) = MaybeBearer::from_request_parts(parts, app).await?;
        let name = param(parts, app, "account").await?;
        let own = bearer.and_then(|bearer| bearer.own.map(|own| (own.id, bearer.caller)));
        match (name.parse().ok(), own) {
            (None, Some((id, caller))) if name == "me" => Ok(Self { id, caller }),
            (None, None) if name == "me" => Err(Problem::unauthenticated()),
            (None, _) => Err(Problem::not_found()),
            (Some(id), Some((own, caller))) if id == own => Ok(Self { id, caller }),
            (Some(id), _) => Ok(Self { id, caller: Caller::Anonymous }),
        }
    }
}

/// The account that a path names, to someone who looks on or helps: it may have ended long ago.
pub(crate) struct AuditedAccount(pub AccountId);

impl FromRequestParts<App> for AuditedAccount {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        param(parts, app, "account").await?.parse().map(Self).map_err(|_| Problem::not_found())
    }
}

/// The verification that a path names, and someone who may drive it: the bearer of its own token, or of a
/// credential of the account, or the API client that knows it (the rules see to it that it started it).
pub(crate) struct OnVerification {
    /// The account it belongs to.
    pub account: AccountId,
    /// Which.
    pub id: VerificationId,
    /// Who.
    pub caller: Caller,
    /// How the account was when the caller was checked.
    pub state: Arc<Account>,
    /// Where it stood.
    pub position: Position,
}

impl FromRequestParts<App> for OnVerification {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let Bearer { caller, own } = Bearer::from_request_parts(parts, app).await?;
        let named: VerificationRef = param(parts, app, "id").await?.parse().map_err(|_| Problem::not_found())?;
        let (account, state, position) = if let Some(own) = own {
            (own.id, own.state, own.position)
        } else {
            if !caller.has(Scope::AccountsWrite) {
                return Err(Problem::forbidden());
            }
            // An API key names no account, so for API clients the verification's id does.
            let account = named.account.ok_or_else(Problem::not_found)?;
            let loaded = app.engine.load(account).await?;
            (account, loaded.state, loaded.position)
        };
        let another_account = named.account.is_some_and(|named| named != account);
        let another_token = matches!(caller, Caller::Verification(id) if id != named.id);
        if another_account || another_token {
            return Err(Problem::not_found());
        }
        Ok(Self { account, id: named.id, caller, state, position })
    }
}

/// A scope, as a type.
pub(crate) trait ScopeOf: Send + Sync {
    /// Which.
    const SCOPE: Scope;
}

/// The scopes, as types.
pub(crate) mod scope {
    use super::{Scope, ScopeOf};

    macro_rules! scopes {
        ($($name:ident)+) => {$(
            pub(crate) enum $name {}
            impl ScopeOf for $name {
                const SCOPE: Scope = Scope::$name;
            }
        )+};
    }
    scopes! { Admin Introspect SecurityRead SupportWrite AuditRead }
}

/// An API client that holds a scope.
pub(crate) struct Client<S: ScopeOf> {
    /// Who.
    pub caller: Caller,
    scope: PhantomData<S>,
}

impl<S: ScopeOf> FromRequestParts<App> for Client<S> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let bearer = Bearer::from_request_parts(parts, app).await?;
        bearer.client_with(S::SCOPE)?;
        Ok(Self { caller: bearer.caller, scope: PhantomData })
    }
}
