//! The registry of typed ids, and the names of streams.

use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::time::Timestamp;

macro_rules! uuid_ids {
    ($($(#[$doc:meta])* $name:ident;)+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        #[serde(transparent)]
        pub struct $name(#[schemars(with = "String", extend("format" = "uuid"))] pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
        impl FromStr for $name {
            type Err = uuid::Error;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }
    )+};
}

uuid_ids! {
    /// An account, and with `account-` before it the name of its stream.
    AccountId;
    /// One verification: a check of who is there, for one purpose. Enrollments have one too, so that
    /// every one-time code is bound to exactly one of these.
    VerificationId;
    /// A signed-in session.
    SessionId;
    /// A personal access token.
    AccessTokenId;
    /// An API client's key.
    ApiKeyId;
    /// A device that an account knows: it says whose wrong codes are counted where, and opens nothing.
    DeviceId;
    /// An event; a version 7 UUID of the moment of its decision.
    EventId;
    /// A command; the same id twice is the same command.
    CommandId;
}

impl VerificationId {
    /// The moment of its beginning, when it is a version 7 UUID as ours are.
    pub fn moment(self) -> Option<Timestamp> {
        let (seconds, nanos) = self.0.get_timestamp()?.to_unix();
        let millis = i64::try_from(seconds).ok()?.checked_mul(1_000)?.checked_add(i64::from(nanos / 1_000_000))?;
        Some(Timestamp::from_millis(millis))
    }
}

/// A method of one account: 1, 2, 3 … in order of enrollment, never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct MethodId(pub u32);

impl fmt::Display for MethodId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The number of an account in this installation: small, never reused, for those who cannot take a UUID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct AccountNumber(pub u32);

impl fmt::Display for AccountNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Keyed hash of an address: the name of its claim stream, 32 bytes in lower-case hex.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AddressHash(pub String);

/// The one stream of numbers. Not `account-numbers`: adapters that filter by prefix take that for an account.
const ACCOUNT_NUMBERS: &str = "numbers";

/// The one stream of what concerns all accounts.
const INSTALLATION: &str = "installation";

/// A stream of the event log.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StreamId {
    /// Everything about one account.
    Account(AccountId),
    /// Who claims an address.
    Email(AddressHash),
    /// One send, named by the event that ordered it.
    Delivery(EventId),
    /// An API client's key.
    ApiKey(ApiKeyId),
    /// What one reader of the audit trail looked at.
    AuditAccess(String),
    /// Which numbers of accounts are given away.
    AccountNumbers,
    /// What concerns all accounts.
    Installation,
    /// The notice of an account's erasure.
    Farewell(AccountId),
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Account(id) => write!(f, "account-{id}"),
            Self::Email(hash) => write!(f, "email-{}", hash.0),
            Self::Delivery(id) => write!(f, "delivery-{id}"),
            Self::ApiKey(id) => write!(f, "api-key-{id}"),
            Self::AuditAccess(reader) => write!(f, "audit-access-{reader}"),
            Self::AccountNumbers => f.write_str(ACCOUNT_NUMBERS),
            Self::Installation => f.write_str(INSTALLATION),
            Self::Farewell(id) => write!(f, "farewell-{id}"),
        }
    }
}

/// A name that is none of our streams.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not the name of a Countersign stream")]
pub struct UnknownStream;

impl FromStr for StreamId {
    type Err = UnknownStream;
    fn from_str(name: &str) -> Result<Self, Self::Err> {
        // One spelling only: a stream has one name.
        let id = |text: &str| text.parse::<Uuid>().ok().filter(|id| id.to_string() == text).ok_or(UnknownStream);
        if let Some(rest) = name.strip_prefix("account-") {
            Ok(Self::Account(AccountId(id(rest)?)))
        } else if let Some(rest) = name.strip_prefix("email-") {
            Ok(Self::Email(AddressHash(rest.to_owned())))
        } else if let Some(rest) = name.strip_prefix("delivery-") {
            Ok(Self::Delivery(EventId(id(rest)?)))
        } else if let Some(rest) = name.strip_prefix("api-key-") {
            Ok(Self::ApiKey(ApiKeyId(id(rest)?)))
        } else if let Some(rest) = name.strip_prefix("audit-access-") {
            Ok(Self::AuditAccess(rest.to_owned()))
        } else if let Some(rest) = name.strip_prefix("farewell-") {
            Ok(Self::Farewell(AccountId(id(rest)?)))
        } else if name == ACCOUNT_NUMBERS {
            Ok(Self::AccountNumbers)
        } else if name == INSTALLATION {
            Ok(Self::Installation)
        } else {
            Err(UnknownStream)
        }
    }
}
