//! What handlers are given: who asks, for which account or verification, from where, with which body.

mod access;
mod bearer;
mod body;
mod fresh;
mod incoming;
mod origin;
mod params;
mod posted;
mod query;

pub(crate) use access::{AuditedAccount, Client, NamedAccount, OnAccount, OnVerification, scope};
pub(crate) use bearer::{Bearer, MaybeBearer, Own, Presented, authenticate};
pub(crate) use body::{Nothing, entered_code, field, is_json};
pub(crate) use fresh::Freshness;
pub(crate) use incoming::{Answers, Incoming, RequestId};
pub(crate) use origin::{From, is_of_this_machine};
pub(crate) use params::{Id, MethodNumber, VerificationRef, param};
pub(crate) use posted::Posted;
pub(crate) use query::Query;
