//! An account as its owner sees it.

use axum::extract::State;
use domain::{ids::AccountId, time::Timestamp};
use serde::Serialize;

use crate::{
    endpoint::{About, Access, Kind},
    extract::{Freshness, OnAccount},
    problem::Problem,
    shapes::Answer,
    state::App,
};

pub(crate) const ABOUT: About = About { access: Access::Account, kind: Kind::View, problems: &[] };

/// An account.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Account)]
pub(crate) struct Shape {
    /// Its id.
    #[schema(value_type = Uuid)]
    account_id: AccountId,
    /// Its address.
    email: Option<String>,
    /// Whether the address is confirmed.
    email_verified: bool,
    /// Whether signing in asks for a second factor.
    two_factor_enabled: bool,
    /// Since when.
    #[schema(value_type = Option<String>, format = DateTime)]
    two_factor_since: Option<Timestamp>,
    /// How many methods it has.
    methods: u32,
    /// How many recovery codes are left.
    recovery_codes_remaining: u32,
    /// Whether too many wrong codes in a row stopped all codes but recovery codes.
    account_locked: bool,
    /// When it was registered.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
}

/// Read an account
#[utoipa::path(get, path = "/v1/accounts/{account}", operation_id = "read_account", tag = "accounts",
    responses((status = 200, description = "The account.", body = Shape)))]
pub(crate) async fn handler(
    State(app): State<App>,
    account: OnAccount,
    freshness: Freshness,
) -> Result<Answer<Shape>, Problem> {
    let (state, position) = freshness.state(&app, account.id, (account.state, account.position)).await?;
    let summary = state.summary(app.engine.policy(), app.now()).ok_or_else(Problem::not_found)?;
    let shape = Shape {
        account_id: account.id,
        email: summary.email,
        email_verified: summary.email_verified,
        two_factor_enabled: summary.two_factor_enabled,
        two_factor_since: summary.two_factor_since,
        methods: summary.methods,
        recovery_codes_remaining: summary.recovery_codes_remaining,
        account_locked: summary.account_locked,
        created_at: summary.registered_at,
    };
    Ok(Answer::ok(shape).at(position))
}
