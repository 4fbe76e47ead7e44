//! One account, with its methods.

use axum::extract::State;
use domain::values::Scope;
use schemas::envelope::Position;
use serde::Serialize;

use super::accounts::Row;
use crate::{
    endpoint::{About, Access, Kind},
    extract::{AuditedAccount, Client, Freshness, scope},
    problem::Problem,
    shapes::{Answer, MethodShape},
    state::App,
};

pub(crate) const ABOUT: About = About { access: Access::Scope(Scope::SecurityRead), kind: Kind::View, problems: &[] };

/// An account and what it has.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = SecurityAccountDetails)]
pub(crate) struct Details {
    /// The account.
    #[serde(flatten)]
    account: Row,
    /// Its methods, by number.
    methods: Vec<MethodShape>,
}

/// Look at an account
#[utoipa::path(get, path = "/v1/security/accounts/{account}", operation_id = "security_account", tag = "security",
    responses((status = 200, description = "The account.", body = Details)))]
pub(crate) async fn handler(
    State(app): State<App>,
    _client: Client<scope::SecurityRead>,
    AuditedAccount(id): AuditedAccount,
    freshness: Freshness,
) -> Result<Answer<Details>, Problem> {
    let position = freshness.reached(&app, Position::START).await?;
    let account = app.views.account(id).await?.ok_or_else(Problem::not_found)?.into();
    let methods = app.views.methods(id).await?.into_iter().map(Into::into).collect();
    Ok(Answer::ok(Details { account, methods }).at(position))
}
