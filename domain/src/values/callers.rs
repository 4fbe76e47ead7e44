//! Who asks, with what, from where.

use std::{fmt, net::IpAddr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Scope, Scopes};
use crate::{
    ids::{AccessTokenId, ApiKeyId, DeviceId, SessionId, VerificationId},
    secret::TokenHash,
};

/// What someone acts with, and what a verification or an enrollment belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", content = "id", rename_all = "snake_case")]
pub enum Credential {
    /// A signed-in session.
    Session(SessionId),
    /// A personal access token.
    AccessToken(AccessTokenId),
    /// An API client.
    ApiClient(ApiKeyId),
}

/// Who sends a command, established before it is decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// Someone without a credential: signing up, signing in.
    Anonymous,
    /// A session of the account.
    Session(SessionId),
    /// A personal access token of the account.
    AccessToken(AccessTokenId),
    /// The bearer of a verification's own token.
    Verification(VerificationId),
    /// An API client with its scopes.
    ApiClient(ApiKeyId, Scopes),
    /// One of our workers.
    Worker,
    /// Whoever has a shell on the server.
    Operator,
}

impl Caller {
    /// The credential that a verification or an enrollment started now would belong to.
    pub fn credential(&self) -> Option<Credential> {
        match self {
            Self::Session(id) => Some(Credential::Session(*id)),
            Self::AccessToken(id) => Some(Credential::AccessToken(*id)),
            Self::ApiClient(id, _) => Some(Credential::ApiClient(*id)),
            Self::Anonymous | Self::Verification(_) | Self::Worker | Self::Operator => None,
        }
    }
    /// Whether this is an API client that holds the scope.
    pub fn has(&self, scope: Scope) -> bool {
        matches!(self, Self::ApiClient(_, scopes) if scopes.contains(&scope))
    }
    /// What the log says of the caller.
    pub fn actor(&self) -> Actor {
        match self {
            Self::Anonymous => Actor::Anonymous,
            Self::Session(id) => Actor::Session { session_id: *id },
            Self::AccessToken(id) => Actor::AccessToken { access_token_id: *id },
            Self::Verification(id) => Actor::Verification { verification_id: *id },
            Self::ApiClient(id, _) => Actor::ApiClient { api_key_id: *id },
            Self::Worker => Actor::Worker,
            Self::Operator => Actor::Operator,
        }
    }
}

/// Who did it, in an event's metadata.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Actor {
    /// Someone without a credential.
    Anonymous,
    /// A session of the account.
    Session {
        /// Which.
        session_id: SessionId,
    },
    /// A personal access token of the account.
    AccessToken {
        /// Which.
        access_token_id: AccessTokenId,
    },
    /// The bearer of a verification's own token.
    Verification {
        /// Which.
        verification_id: VerificationId,
    },
    /// An API client; support people act through one.
    ApiClient {
        /// Its key.
        api_key_id: ApiKeyId,
    },
    /// A worker.
    Worker,
    /// The operator's shell.
    Operator,
}

/// Where a request came from. Personal: `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Origin {
    /// The peer, or the forwarded one behind a trusted proxy.
    pub ip: Option<IpAddr>,
    /// Whom an API client says that it asks for: its word, and nobody else's.
    pub end_user_ip: Option<IpAddr>,
    /// `User-Agent`, cut at 200 characters.
    pub user_agent: Option<String>,
    /// The device that the client says it is.
    pub device: Option<PresentedDevice>,
}

/// A device's token, as far as the rules look at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PresentedDevice {
    /// The device.
    pub id: DeviceId,
    /// Hash of its random part.
    pub token_hash: TokenHash,
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[origin]")
    }
}

impl Origin {
    /// What limits count sources by: an IPv4 address, or the /64 of an IPv6 one. Mapped IPv4
    /// addresses count as IPv4. The user of an API client comes before the client. Requests without a source share one.
    pub fn network(&self) -> String {
        match self.end_user_ip.or(self.ip).map(|ip| ip.to_canonical()) {
            None => "none".to_owned(),
            Some(IpAddr::V4(ip)) => ip.to_string(),
            Some(IpAddr::V6(ip)) => {
                let [a, b, c, d, ..] = ip.segments();
                format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
            }
        }
    }
}
