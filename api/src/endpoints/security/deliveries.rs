//! Codes and notices that were ordered, what became of them, and how texts to each prefix convert.

use axum::extract::State;
use domain::{
    ids::{AccountId, EventId, VerificationId},
    time::{Seconds, Timestamp},
    values::{Channel, Scope},
};
use projections::queries::{DeliveryFilter, DeliveryRow, PrefixRow};
use schemas::envelope::Position;
use serde::{Deserialize, Serialize};

use crate::{
    endpoint::{About, Access, Kind},
    extract::{Client, Freshness, Query, scope},
    problem::Problem,
    shapes::Answer,
    state::App,
    views::limit,
    words::ChannelWord,
};

pub(crate) const ABOUT: About = About { access: Access::Scope(Scope::SecurityRead), kind: Kind::View, problems: &[] };

/// Which orders. All of what is given must hold.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Wanted {
    /// Of this account.
    #[param(value_type = Option<uuid::Uuid>)]
    account_id: Option<AccountId>,
    /// Over this channel.
    #[param(value_type = Option<ChannelWord>)]
    channel: Option<Channel>,
    /// `ordered`, `started`, `dispatched`, `delivered`, `failed`, `given_up` or `unknown`.
    state: Option<String>,
    /// By this gateway.
    provider: Option<String>,
    /// To this country.
    country: Option<String>,
    /// To this prefix.
    prefix: Option<String>,
    /// Ordered at or after.
    #[param(value_type = Option<String>, format = DateTime)]
    from: Option<Timestamp>,
    /// Ordered before.
    #[param(value_type = Option<String>, format = DateTime)]
    before: Option<Timestamp>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// 1 to 500 rows; 50 when left out.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<u32>,
}

/// One order.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Delivery)]
pub(crate) struct Row {
    /// The event that ordered it.
    #[schema(value_type = Uuid)]
    id: EventId,
    /// The account, unless erased.
    #[schema(value_type = Option<Uuid>)]
    account_id: Option<AccountId>,
    /// The verification that a code belongs to.
    #[schema(value_type = Option<Uuid>)]
    verification_id: Option<VerificationId>,
    /// A purpose's name for codes, `notice` for notices.
    subject: String,
    /// How it travels.
    #[schema(value_type = ChannelWord)]
    channel: Channel,
    /// Country of the number.
    country: Option<String>,
    /// Prefix of the number.
    prefix: Option<String>,
    /// The gateway.
    provider: Option<String>,
    /// Tries.
    attempts: u32,
    /// `ordered`, `started`, `dispatched`, `delivered`, `failed` (another try may follow), `given_up` or `unknown`.
    state: String,
    /// Why it failed.
    reason: Option<String>,
    /// When it was ordered.
    #[schema(value_type = String, format = DateTime)]
    ordered_at: Timestamp,
    /// Not to be sent after.
    #[schema(value_type = String, format = DateTime)]
    deadline: Timestamp,
    /// When a gateway took it.
    #[schema(value_type = Option<String>, format = DateTime)]
    dispatched_at: Option<Timestamp>,
    /// When a receipt said that it arrived.
    #[schema(value_type = Option<String>, format = DateTime)]
    delivered_at: Option<Timestamp>,
    /// When it last failed.
    #[schema(value_type = Option<String>, format = DateTime)]
    failed_at: Option<Timestamp>,
    /// When its code was confirmed.
    #[schema(value_type = Option<String>, format = DateTime)]
    verified_at: Option<Timestamp>,
    /// Milliseconds from order to gateway.
    dispatch_millis: Option<i64>,
    /// Milliseconds from order to arrival.
    delivery_millis: Option<i64>,
}

impl From<DeliveryRow> for Row {
    fn from(row: DeliveryRow) -> Self {
        Self {
            id: row.order_id,
            account_id: row.account_id,
            verification_id: row.verification_id,
            subject: row.subject,
            channel: row.channel,
            country: row.country,
            prefix: row.prefix,
            provider: row.provider,
            attempts: row.attempts,
            state: row.state,
            reason: row.reason,
            ordered_at: row.ordered_at,
            deadline: row.deadline,
            dispatched_at: row.dispatched_at,
            delivered_at: row.delivered_at,
            failed_at: row.failed_at,
            verified_at: row.verified_at,
            dispatch_millis: row.dispatch_millis,
            delivery_millis: row.delivery_millis,
        }
    }
}

/// How the texts to one prefix went. Many of them and few verified is the sign of toll fraud.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = PrefixConversion)]
pub(crate) struct ByPrefix {
    /// Country of the numbers.
    country: Option<String>,
    /// Country calling code and three digits.
    prefix: String,
    /// Texts that were ordered.
    ordered: u64,
    /// Those that arrived, as far as receipts tell.
    delivered: u64,
    /// Those that were given up.
    given_up: u64,
    /// Those whose code was confirmed.
    verified: u64,
    /// The share of them, from 0 to 1.
    conversion_rate: f64,
}

impl From<PrefixRow> for ByPrefix {
    fn from(row: PrefixRow) -> Self {
        let PrefixRow { country, prefix, ordered, delivered, given_up, verified } = row;
        let conversion_rate = share(verified, ordered);
        Self { country, prefix, ordered, delivered, given_up, verified, conversion_rate }
    }
}

/// Exact to a ten-thousandth, which is all that can be read off it.
fn share(part: u64, whole: u64) -> f64 {
    let parts = part.saturating_mul(10_000).checked_div(whole).unwrap_or_default();
    f64::from(u32::try_from(parts).unwrap_or(u32::MAX)) / 10_000.0
}

/// A page of deliveries; the first one tells how prefixes convert, too.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Deliveries)]
pub(crate) struct Listed {
    /// The rows.
    items: Vec<Row>,
    /// Send it back as `cursor` for the rows after these; null at the end.
    next_cursor: Option<String>,
    /// Texts by prefix, those with most unconfirmed ones first: ordered in the time that is asked for, the last 24
    /// hours when none is. On the first page only.
    #[serde(skip_serializing_if = "Option::is_none")]
    prefixes: Option<Vec<ByPrefix>>,
}

/// List deliveries
#[utoipa::path(get, path = "/v1/security/deliveries", operation_id = "security_deliveries", tag = "security",
    params(Wanted), responses((status = 200, description = "The last ordered first.", body = Listed)))]
pub(crate) async fn handler(
    State(app): State<App>,
    _client: Client<scope::SecurityRead>,
    freshness: Freshness,
    Query(wanted): Query<Wanted>,
) -> Result<Answer<Listed>, Problem> {
    let limit = limit(wanted.limit)?;
    let filter = DeliveryFilter {
        account: wanted.account_id,
        channel: wanted.channel,
        state: wanted.state,
        provider: wanted.provider,
        country: wanted.country,
        prefix: wanted.prefix,
        from: wanted.from,
        before: wanted.before,
    };
    let position = freshness.reached(&app, Position::START).await?;
    let prefixes = match wanted.cursor {
        Some(_) => None,
        None => Some(prefixes(&app, &filter).await?),
    };
    let rows = app.views.deliveries(filter, wanted.cursor.as_deref(), limit).await?;
    let items = rows.items.into_iter().map(Row::from).collect();
    Ok(Answer::ok(Listed { items, next_cursor: rows.next_cursor, prefixes }).at(position))
}

/// Prefixes are nobody's in particular: of the filter only time, country and prefix bear on them.
async fn prefixes(app: &App, filter: &DeliveryFilter) -> Result<Vec<ByPrefix>, Problem> {
    let before = filter.before.unwrap_or_else(|| app.now().plus(Seconds(1)));
    let a_day_before = Timestamp::from_millis(before.as_millis() - i64::from(Seconds::days(1).0) * 1_000);
    let rows = app.views.delivery_prefixes(filter.from.unwrap_or(a_day_before), before).await?;
    let is_wanted = |row: &PrefixRow| {
        filter.country.as_ref().is_none_or(|country| row.country.as_ref() == Some(country))
            && filter.prefix.as_ref().is_none_or(|prefix| *prefix == row.prefix)
    };
    Ok(rows.into_iter().filter(is_wanted).map(ByPrefix::from).collect())
}
