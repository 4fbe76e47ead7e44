//! Codes and notices that were ordered, and how prefixes convert.

use domain::{
    ids::{AccountId, EventId, VerificationId},
    time::Timestamp,
    values::Channel,
};
use serde::Serialize;

use super::page::{Conditions, Page, cursor_of, page, read_cursor};
use crate::{
    error::ViewError,
    live::Views,
    row::{Row, Value},
    views::deliveries::channel_name,
};

/// One order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeliveryRow {
    /// The event that ordered it.
    pub order_id: EventId,
    /// The account, unless erased.
    pub account_id: Option<AccountId>,
    /// The verification that a code belongs to.
    pub verification_id: Option<VerificationId>,
    /// A purpose's name for codes, `notice` for notices.
    pub subject: String,
    /// How it travels.
    pub channel: Channel,
    /// Country of the number.
    pub country: Option<String>,
    /// Prefix of the number.
    pub prefix: Option<String>,
    /// The gateway.
    pub provider: Option<String>,
    /// Tries.
    pub attempts: u32,
    /// `ordered`, `started`, `dispatched`, `delivered`, `failed` (another try may follow), `given_up` or `unknown`.
    pub state: String,
    /// Why it failed.
    pub reason: Option<String>,
    /// When it was ordered.
    pub ordered_at: Timestamp,
    /// Not to be sent after.
    pub deadline: Timestamp,
    /// When a worker first took it.
    pub started_at: Option<Timestamp>,
    /// When a gateway took it.
    pub dispatched_at: Option<Timestamp>,
    /// When a receipt said that it arrived.
    pub delivered_at: Option<Timestamp>,
    /// When it last failed.
    pub failed_at: Option<Timestamp>,
    /// When its code was confirmed.
    pub verified_at: Option<Timestamp>,
    /// Milliseconds from order to gateway.
    pub dispatch_millis: Option<i64>,
    /// Milliseconds from order to arrival.
    pub delivery_millis: Option<i64>,
}

/// Which orders. All of what is given must hold.
#[derive(Debug, Clone, Default)]
pub struct DeliveryFilter {
    /// Of this account.
    pub account: Option<AccountId>,
    /// Over this channel.
    pub channel: Option<Channel>,
    /// In this state.
    pub state: Option<String>,
    /// By this gateway.
    pub provider: Option<String>,
    /// To this country.
    pub country: Option<String>,
    /// To this prefix.
    pub prefix: Option<String>,
    /// Ordered at or after.
    pub from: Option<Timestamp>,
    /// Ordered before.
    pub before: Option<Timestamp>,
}

/// How the texts to one prefix went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PrefixRow {
    /// Country of the numbers.
    pub country: Option<String>,
    /// Prefix of the numbers.
    pub prefix: String,
    /// Texts that were ordered.
    pub ordered: u64,
    /// Those that arrived, as far as receipts tell.
    pub delivered: u64,
    /// Those that were given up.
    pub given_up: u64,
    /// Those whose code was confirmed. Many orders with few of these are the sign of toll fraud.
    pub verified: u64,
}

const COLUMNS: &str = "order_id, account_id, verification_id, subject, channel, country, prefix, provider, attempts,
    state, reason, ordered_at, deadline, started_at, dispatched_at, delivered_at, failed_at, verified_at";
const PREFIXES: &str = "SELECT country, prefix, count(*), count(delivered_at),
        count(CASE WHEN state = 'given_up' THEN 1 END), count(verified_at)
    FROM deliveries
    WHERE ordered_at >= $1 AND ordered_at < $2 AND channel = 'sms' AND prefix IS NOT NULL AND subject <> 'notice'
    GROUP BY country, prefix
    ORDER BY count(*) - count(verified_at) DESC, prefix
    LIMIT 1000";

fn delivery(row: &mut Row) -> Result<DeliveryRow, ViewError> {
    let ordered_at: Timestamp = row.get(11)?;
    let since_order = |at: Option<Timestamp>| at.map(|at| at.as_millis() - ordered_at.as_millis());
    let (dispatched_at, delivered_at) = (row.get(14)?, row.get(15)?);
    Ok(DeliveryRow {
        order_id: EventId(row.get(0)?),
        account_id: row.get::<Option<_>>(1)?.map(AccountId),
        verification_id: row.get::<Option<_>>(2)?.map(VerificationId),
        subject: row.get(3)?,
        channel: row.named(4)?,
        country: row.get(5)?,
        prefix: row.get(6)?,
        provider: row.get(7)?,
        attempts: row.get(8)?,
        state: row.get(9)?,
        reason: row.get(10)?,
        ordered_at,
        deadline: row.get(12)?,
        started_at: row.get(13)?,
        dispatched_at,
        delivered_at,
        failed_at: row.get(16)?,
        verified_at: row.get(17)?,
        dispatch_millis: since_order(dispatched_at),
        delivery_millis: since_order(delivered_at),
    })
}

impl Views {
    /// Orders, the last one first.
    pub async fn deliveries(
        &self,
        filter: DeliveryFilter,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Page<DeliveryRow>, ViewError> {
        let mut conditions = Conditions::default();
        if let Some(account) = filter.account {
            conditions.add("account_id = ?", [Value::Uuid(account.0)]);
        }
        if let Some(channel) = filter.channel {
            conditions.add("channel = ?", [Value::Text(channel_name(channel).into())]);
        }
        for (column, text) in [
            ("state", filter.state),
            ("provider", filter.provider),
            ("country", filter.country),
            ("prefix", filter.prefix),
        ] {
            if let Some(text) = text {
                conditions.add(&format!("{column} = ?"), [Value::Text(text.into())]);
            }
        }
        if let Some(from) = filter.from {
            conditions.add("ordered_at >= ?", [from.into()]);
        }
        if let Some(before) = filter.before {
            conditions.add("ordered_at < ?", [before.into()]);
        }
        if let Some(cursor) = cursor {
            let (at, id) = read_cursor(cursor)?;
            conditions.add("(ordered_at, order_id) < (?, ?)", [at.into(), Value::Uuid(id)]);
        }
        let select = format!("SELECT {COLUMNS} FROM deliveries");
        let (sql, values) = conditions.page(&select, "ordered_at DESC, order_id DESC", limit);
        let items = self.rows(sql, values, delivery).await?;
        Ok(page(items, limit, |delivery| cursor_of(delivery.ordered_at, delivery.order_id.0)))
    }

    /// How texts convert per prefix, in a span of time; those with most unconfirmed ones first.
    pub async fn delivery_prefixes(&self, from: Timestamp, before: Timestamp) -> Result<Vec<PrefixRow>, ViewError> {
        let rows = self.rows(PREFIXES, [from.into(), before.into()], |row| {
            Ok(PrefixRow {
                country: row.get(0)?,
                prefix: row.get(1)?,
                ordered: row.get(2)?,
                delivered: row.get(3)?,
                given_up: row.get(4)?,
                verified: row.get(5)?,
            })
        });
        rows.await
    }
}
