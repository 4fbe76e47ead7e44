//! How many recovery codes are left. The codes themselves are kept by nobody but their owner.

use axum::extract::State;
use domain::time::Timestamp;
use projections::queries::{RecoveryCodesRow, UsedCode};
use serde::Serialize;

use crate::{
    endpoint::{About, Access, Kind},
    extract::{Freshness, OnAccount},
    problem::Problem,
    shapes::Answer,
    state::App,
};

pub(crate) const ABOUT: About = About { access: Access::Account, kind: Kind::View, problems: &[] };

/// The current set; all zero where there is none.
#[derive(Default, Serialize, utoipa::ToSchema)]
#[schema(as = RecoveryCodes)]
pub(crate) struct Shape {
    /// How many are left.
    remaining: u32,
    /// How many there were.
    count: u32,
    /// Since when.
    #[schema(value_type = Option<String>, format = DateTime)]
    generated_at: Option<Timestamp>,
    /// Those that were used.
    used: Vec<Used>,
}

/// A code that was used.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = UsedRecoveryCode)]
struct Used {
    /// Its place in the set, from 0.
    index: u32,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    used_at: Timestamp,
}

impl From<RecoveryCodesRow> for Shape {
    fn from(row: RecoveryCodesRow) -> Self {
        let RecoveryCodesRow { generated_at, count, remaining, used, .. } = row;
        let used = used.into_iter().map(|UsedCode { index, used_at }| Used { index, used_at }).collect();
        Self { remaining, count, generated_at: Some(generated_at), used }
    }
}

/// Count recovery codes
#[utoipa::path(get, path = "/v1/accounts/{account}/recovery-codes", operation_id = "count_recovery_codes",
    tag = "recovery codes", responses((status = 200, description = "How many are left.", body = Shape)))]
pub(crate) async fn handler(
    State(app): State<App>,
    account: OnAccount,
    freshness: Freshness,
) -> Result<Answer<Shape>, Problem> {
    let position = freshness.reached(&app, account.position).await?;
    let row = app.views.recovery_codes(account.id).await?;
    Ok(Answer::ok(row.map(Shape::from).unwrap_or_default()).at(position))
}
