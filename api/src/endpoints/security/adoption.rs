//! How many use a second factor, and how it goes from day to day.

use axum::extract::State;
use domain::{
    time::{Seconds, Timestamp},
    values::Scope,
};
use projections::queries::{AdoptionCount, AdoptionDay, AdoptionTotals, PrefixRow};
use schemas::envelope::Position;
use serde::{Deserialize, Serialize};

use crate::{
    endpoint::{About, Access, Kind},
    extract::{Client, Freshness, Query, scope},
    problem::Problem,
    shapes::Answer,
    state::App,
};

pub(crate) const ABOUT: About = About { access: Access::Scope(Scope::SecurityRead), kind: Kind::View, problems: &[] };

/// Which days.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Wanted {
    /// From the day (UTC) of this moment; 30 days ago when left out.
    #[param(value_type = Option<String>, format = DateTime)]
    from: Option<Timestamp>,
    /// To the day of this moment; today when left out.
    #[param(value_type = Option<String>, format = DateTime)]
    to: Option<Timestamp>,
}

/// The longest span: two years.
const LONGEST: Seconds = Seconds::days(732);

/// How it stands, and the days.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Adoption)]
pub(crate) struct Shape {
    /// How many accounts there are now, and with what.
    totals: Totals,
    /// The days, those without events left out.
    items: Vec<Day>,
    /// How texts convert per prefix in these days, those with most unconfirmed ones first: many orders with few
    /// confirmations are the sign of toll fraud.
    prefixes: Vec<Conversion>,
    /// Always null: the days are never cut.
    next_cursor: Option<String>,
}

#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = AdoptionTotals)]
struct Totals {
    /// Confirmed accounts.
    accounts: u64,
    /// Those with two-factor authentication on.
    two_factor_enabled: u64,
    /// Those with an authenticator app.
    totp: u64,
    /// Those with a phone number.
    sms: u64,
    /// Those that the cap stops.
    account_locked: u64,
}

#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = AdoptionDay)]
struct Day {
    /// Such as `2026-11-24`.
    #[schema(format = Date)]
    day: String,
    /// What happened on it.
    counts: Vec<Measured>,
}

#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = AdoptionCount)]
struct Measured {
    /// What: `two_factor_enabled`, `method_enabled`, `code_rejected`, `method_locked`, `signed_in` …
    measure: String,
    /// Of which kind of method or factor, or assurance level, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
    /// How often.
    count: u64,
}

#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = PrefixConversion)]
struct Conversion {
    country: Option<String>,
    prefix: String,
    /// Texts that were ordered.
    ordered: u64,
    /// Those that arrived, as far as receipts tell.
    delivered: u64,
    /// Those that were given up.
    given_up: u64,
    /// Those whose code was confirmed.
    verified: u64,
}

impl From<AdoptionDay> for Day {
    fn from(AdoptionDay { day, counts }: AdoptionDay) -> Self {
        let count = |AdoptionCount { measure, kind, count }| Measured { measure, kind, count };
        Self { day, counts: counts.into_iter().map(count).collect() }
    }
}

impl From<AdoptionTotals> for Totals {
    fn from(AdoptionTotals { accounts, two_factor, totp, sms, account_locked }: AdoptionTotals) -> Self {
        Self { accounts, two_factor_enabled: two_factor, totp, sms, account_locked }
    }
}

impl From<PrefixRow> for Conversion {
    fn from(row: PrefixRow) -> Self {
        let PrefixRow { country, prefix, ordered, delivered, given_up, verified } = row;
        Self { country, prefix, ordered, delivered, given_up, verified }
    }
}

/// Read adoption
#[utoipa::path(get, path = "/v1/security/adoption", operation_id = "security_adoption", tag = "security",
    params(Wanted), responses((status = 200, description = "Totals, days and prefixes.", body = Shape)))]
pub(crate) async fn handler(
    State(app): State<App>,
    _client: Client<scope::SecurityRead>,
    freshness: Freshness,
    Query(wanted): Query<Wanted>,
) -> Result<Answer<Shape>, Problem> {
    let to = wanted.to.unwrap_or_else(|| app.now());
    let from = wanted.from.unwrap_or_else(|| to.minus(Seconds::days(30)));
    if from > to || from.plus(LONGEST) < to {
        return Err(Problem::invalid("from", "must lie before `to`, by two years at most"));
    }
    let position = freshness.reached(&app, Position::START).await?;
    let totals = app.views.adoption_totals().await?.into();
    let items = app.views.adoption(from, to).await?.into_iter().map(Into::into).collect();
    let prefixes = app.views.delivery_prefixes(from, to.plus(Seconds(1))).await?.into_iter().map(Into::into).collect();
    Ok(Answer::ok(Shape { totals, items, prefixes, next_cursor: None }).at(position))
}
