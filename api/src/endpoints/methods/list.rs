//! An account's methods.

use axum::extract::State;
use serde::Serialize;

use crate::{
    endpoint::{About, Access, Kind},
    extract::{Freshness, OnAccount},
    problem::Problem,
    shapes::{Answer, MethodShape},
    state::App,
};

pub(crate) const ABOUT: About = About { access: Access::Account, kind: Kind::View, problems: &[] };

/// The methods.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = MethodList)]
pub(crate) struct List {
    /// By number.
    methods: Vec<MethodShape>,
}

/// List methods
#[utoipa::path(get, path = "/v1/accounts/{account}/methods", operation_id = "list_methods", tag = "methods",
    responses((status = 200, description = "The methods.", body = List)))]
pub(crate) async fn handler(
    State(app): State<App>,
    account: OnAccount,
    freshness: Freshness,
) -> Result<Answer<List>, Problem> {
    let position = freshness.reached(&app, account.position).await?;
    let methods = app.views.methods(account.id).await?.into_iter().map(Into::into).collect();
    Ok(Answer::ok(List { methods }).at(position))
}
