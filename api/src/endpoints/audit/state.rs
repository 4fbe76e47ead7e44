//! An account as it was at a moment.

use axum::extract::State;
use domain::{events::HistoryAccess, ids::AccountId, time::Timestamp, values::Scope};
use schemas::envelope::Version;
use serde::{Deserialize, Serialize};

use super::{record, reveal, steps::StateShape};
use crate::{
    endpoint::{About, Access, Kind},
    extract::{AuditedAccount, Client, Incoming, Nothing, Query, scope},
    problem::{Code, Problem},
    shapes::Answer,
    state::App,
};

pub(crate) const ABOUT: About = About {
    access: Access::Scope(Scope::AuditRead),
    kind: Kind::Read,
    problems: &[Code::NotFound, Code::InvalidRequest],
};

/// As of when.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Wanted {
    /// The moment; now when left out.
    #[param(value_type = Option<String>, format = DateTime)]
    as_of: Option<Timestamp>,
    /// Show addresses in clear; needs `audit:pii` and is recorded.
    #[serde(default)]
    pii: bool,
}

/// The account then.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = AccountAsOf)]
pub(crate) struct Then {
    /// The account.
    #[schema(value_type = uuid::Uuid)]
    account_id: AccountId,
    /// The moment.
    #[schema(value_type = String, format = DateTime)]
    as_of: Timestamp,
    /// How many events it had.
    #[schema(value_type = u64)]
    version: Version,
    /// Its state.
    state: StateShape,
}

/// Read an account as of a moment
#[utoipa::path(get, path = "/v1/audit/accounts/{account}/state", operation_id = "account_state", tag = "audit",
    params(Wanted), responses((status = 200, description = "The account then.", body = Then)))]
pub(crate) async fn handler(
    State(app): State<App>,
    client: Client<scope::AuditRead>,
    AuditedAccount(account): AuditedAccount,
    Query(wanted): Query<Wanted>,
    incoming: Incoming<Nothing>,
) -> Result<Answer<Then>, Problem> {
    let as_of = wanted.as_of.unwrap_or_else(|| app.now());
    let request = incoming.read_request(&app, client.caller)?;
    record(&app, HistoryAccess::State, Some(account), &request).await?;
    let reveal = reveal(&app, wanted.pii, Some(account), &request).await?;
    let (state, version) = app.engine.account_as_of(account, as_of).await?.ok_or_else(Problem::not_found)?;
    let state = StateShape::new(&state, reveal);
    Ok(Answer::ok(Then { account_id: account, as_of, version, state }))
}
