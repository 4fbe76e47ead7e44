//! Parameters of paths. What is not the id that it should be names nothing: 404.

use std::{fmt, str::FromStr};

use axum::{
    extract::{FromRequestParts, RawPathParams},
    http::request::Parts,
};
use domain::ids::{AccountId, MethodId, VerificationId};

use crate::{problem::Problem, state::App};

/// One parameter of the path, as written.
pub(crate) async fn param(parts: &mut Parts, app: &App, name: &str) -> Result<String, Problem> {
    let params = RawPathParams::from_request_parts(parts, app).await.map_err(|_| Problem::not_found())?;
    params
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, value)| value.to_owned())
        .ok_or_else(|| Problem::internal(format!("no parameter {name} in this route")))
}

/// The parameter `id`.
pub(crate) struct Id<T>(pub T);

impl<T: FromStr> FromRequestParts<App> for Id<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        param(parts, app, "id").await?.parse().map(Self).map_err(|_| Problem::not_found())
    }
}

/// The parameter `id` where it is the number of a method.
pub(crate) struct MethodNumber(pub MethodId);

impl FromRequestParts<App> for MethodNumber {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        Id::from_request_parts(parts, app).await.map(|Id(number)| Self(MethodId(number)))
    }
}

/// A verification as it is named outside. A person's credential says which account is meant; an API key
/// does not, so what API clients are given names the account too: `<account>.<verification>`. That way
/// no view has to be asked on the way to the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct VerificationRef {
    pub account: Option<AccountId>,
    pub id: VerificationId,
}

impl fmt::Display for VerificationRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.account {
            Some(account) => write!(f, "{account}.{}", self.id),
            None => self.id.fmt(f),
        }
    }
}

impl FromStr for VerificationRef {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, uuid::Error> {
        match text.split_once('.') {
            Some((account, id)) => Ok(Self { account: Some(account.parse()?), id: id.parse()? }),
            None => Ok(Self { account: None, id: text.parse()? }),
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn a_verification_is_named_with_or_without_its_account() {
        for text in [
            "0192d3a0-0000-7000-8000-000000000001",
            "0192d3a0-0000-7000-8000-000000000002.0192d3a0-0000-7000-8000-000000000001",
        ] {
            assert_eq!(text.parse::<VerificationRef>().unwrap().to_string(), text);
        }
        for text in ["", ".", "x", "0192d3a0-0000-7000-8000-000000000001.", "a.b.c"] {
            assert!(text.parse::<VerificationRef>().is_err());
        }
    }
}
