//! What queries have in common: pages, and what can go wrong in a view.

use projections::{error::ViewError, queries::Page as Rows};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::problem::Problem;

/// Rows of a page, unless asked otherwise.
const USUAL: u32 = 50;
/// Rows of the longest page.
const MOST: u32 = 500;

impl From<ViewError> for Problem {
    fn from(error: ViewError) -> Self {
        match error {
            ViewError::InvalidCursor => Self::invalid("cursor", "must be a `next_cursor` of this list"),
            error => Self::unavailable(error.to_string()),
        }
    }
}

/// The length of a page.
pub(crate) fn limit(asked: Option<u32>) -> Result<u32, Problem> {
    match asked.unwrap_or(USUAL) {
        limit @ 1..=MOST => Ok(limit),
        _ => Err(Problem::invalid("limit", "must be from 1 to 500")),
    }
}

/// A page of a list.
#[derive(Serialize, ToSchema)]
pub(crate) struct Page<T> {
    /// The rows.
    pub items: Vec<T>,
    /// Send it back as `cursor` for the rows after these; null at the end.
    pub next_cursor: Option<String>,
}

impl<T> Page<T> {
    /// A list that is never cut.
    pub fn whole(items: impl IntoIterator<Item = impl Into<T>>) -> Self {
        Self { items: items.into_iter().map(Into::into).collect(), next_cursor: None }
    }
    /// A page of a view.
    pub fn of<R: Into<T>>(rows: Rows<R>) -> Self {
        Self { items: rows.items.into_iter().map(Into::into).collect(), next_cursor: rows.next_cursor }
    }
}

/// Which page.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct PageQuery {
    /// `next_cursor` of the page before.
    pub cursor: Option<String>,
    /// 1 to 500 rows; 50 when left out.
    #[param(minimum = 1, maximum = 500)]
    pub limit: Option<u32>,
}
