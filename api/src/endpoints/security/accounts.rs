//! Accounts, searched and filtered.

use axum::extract::State;
use domain::{
    ids::{AccountId, ApiKeyId},
    time::Timestamp,
    values::{Aal, EmailAddress, MethodKind, Scope},
};
use projections::queries::{AccountFilter, AccountRow, Alert};
use schemas::envelope::Position;
use serde::{Deserialize, Serialize};

use crate::{
    endpoint::{About, Access, Kind},
    extract::{Client, Freshness, Query, field, scope},
    problem::Problem,
    shapes::Answer,
    state::App,
    views::{Page, limit},
    words::{AalWord, MethodKindWord},
};

pub(crate) const ABOUT: About = About { access: Access::Scope(Scope::SecurityRead), kind: Kind::View, problems: &[] };

/// Which accounts. All of what is given must hold.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Wanted {
    /// With two-factor authentication on, or off.
    two_factor_enabled: Option<bool>,
    /// With a lock of any kind now, or without.
    locked: Option<bool>,
    /// With a method of this kind.
    #[param(value_type = Option<MethodKindWord>)]
    method: Option<MethodKind>,
    /// With exactly this address.
    email: Option<String>,
    /// Registered at or after.
    #[param(value_type = Option<String>, format = DateTime)]
    from: Option<Timestamp>,
    /// Registered before.
    #[param(value_type = Option<String>, format = DateTime)]
    before: Option<Timestamp>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// 1 to 500 rows; 50 when left out.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<u32>,
}

/// An account at a glance.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = SecurityAccount)]
pub(crate) struct Row {
    /// Its id.
    #[schema(value_type = Uuid)]
    account_id: AccountId,
    /// Its masked address.
    email: Option<String>,
    /// Whether that is confirmed.
    email_verified: bool,
    /// When it was registered.
    #[schema(value_type = String, format = DateTime)]
    registered_at: Timestamp,
    /// The API client that registered it.
    #[schema(value_type = Option<Uuid>)]
    registered_by: Option<ApiKeyId>,
    /// Whether a sign-in asks for a second factor.
    two_factor_enabled: bool,
    /// Since when.
    #[schema(value_type = Option<String>, format = DateTime)]
    two_factor_since: Option<Timestamp>,
    /// Authenticator apps.
    totp_methods: u32,
    /// Phone numbers.
    sms_methods: u32,
    /// Recovery codes that are left.
    recovery_codes_remaining: u32,
    /// The last sign-in.
    #[schema(value_type = Option<String>, format = DateTime)]
    last_sign_in_at: Option<Timestamp>,
    /// Its assurance level.
    #[schema(value_type = Option<AalWord>)]
    last_sign_in_aal: Option<Aal>,
    /// Wrong codes in a row over TOTP, SMS and email.
    fail_count: u32,
    /// Wrong passwords, as last recorded; 0 after a sign-in.
    passwords_rejected: u32,
    /// When a wrong password was last recorded.
    #[schema(value_type = Option<String>, format = DateTime)]
    password_rejected_at: Option<Timestamp>,
    /// Whether the cap stops TOTP, SMS and email.
    account_locked: bool,
    /// What someone should look at: each has an `alert` (`account_locked`, `kind_locked`, `delivery_failing`,
    /// `clock_drift`, `recovery_codes_low`, `reset_pending`) and what belongs to it.
    #[schema(value_type = Vec<Object>)]
    alerts: Vec<Alert>,
}

impl From<AccountRow> for Row {
    fn from(row: AccountRow) -> Self {
        Self {
            account_id: row.account_id,
            email: row.email,
            email_verified: row.email_verified,
            registered_at: row.registered_at,
            registered_by: row.registered_by,
            two_factor_enabled: row.two_factor_enabled,
            two_factor_since: row.two_factor_since,
            totp_methods: row.totp_methods,
            sms_methods: row.sms_methods,
            recovery_codes_remaining: row.recovery_codes_remaining,
            last_sign_in_at: row.last_sign_in_at,
            last_sign_in_aal: row.last_sign_in_aal,
            fail_count: row.fail_count,
            passwords_rejected: row.passwords_rejected,
            password_rejected_at: row.password_rejected_at,
            account_locked: row.account_locked,
            alerts: row.alerts,
        }
    }
}

/// Search accounts
#[utoipa::path(get, path = "/v1/security/accounts", operation_id = "security_accounts", tag = "security",
    params(Wanted), responses((status = 200, description = "The last registered first.", body = Page<Row>)))]
pub(crate) async fn handler(
    State(app): State<App>,
    _client: Client<scope::SecurityRead>,
    freshness: Freshness,
    Query(wanted): Query<Wanted>,
) -> Result<Answer<Page<Row>>, Problem> {
    let limit = limit(wanted.limit)?;
    let filter = AccountFilter {
        two_factor: wanted.two_factor_enabled,
        locked: wanted.locked,
        method: wanted.method,
        email: field("email", wanted.email.as_deref().map(EmailAddress::parse).transpose())?,
        registered_from: wanted.from,
        registered_before: wanted.before,
    };
    let position = freshness.reached(&app, Position::START).await?;
    let rows = app.views.accounts(filter, wanted.cursor.as_deref(), limit).await?;
    Ok(Answer::ok(Page::of(rows)).at(position))
}
