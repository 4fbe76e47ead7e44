//! End the sessions of everybody: for the day when tokens may have been stolen and nobody knows whose.

use axum::extract::State;
use domain::{
    cut_off::CutOffSessions,
    outcome::Outcome,
    time::Timestamp,
    values::{FreeText, Scope},
};
use serde::Deserialize;

use crate::{
    endpoint::{About, Access, Kind},
    extract::{Client, Incoming, field, scope},
    problem::Problem,
    shapes::{Answer, told},
    state::App,
};

pub(crate) const ABOUT: About = About { access: Access::Scope(Scope::Admin), kind: Kind::Command, problems: &[] };

/// From when, and why.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = CutOffSessions)]
pub(crate) struct Request {
    /// What began before is over; not in the future. An earlier moment than the last one changes nothing.
    #[schema(value_type = String, format = DateTime)]
    before: Timestamp,
    /// Why; auditors read it.
    reason: String,
}

/// End the sessions of all accounts
///
/// Sessions and access tokens that began before are over, in every process within a second. API keys stay.
#[utoipa::path(post, path = "/v1/security/sessions/cut-off", operation_id = "cut_off_sessions", tag = "security",
    request_body = Request, responses((status = 204, description = "No older session or access token is good.")))]
pub(crate) async fn handler(
    State(app): State<App>,
    client: Client<scope::Admin>,
    incoming: Incoming<Request>,
) -> Result<Answer<()>, Problem> {
    let reason = field("reason", FreeText::parse(&incoming.body.reason))?;
    let command = CutOffSessions { before: incoming.body.before, reason };
    let executed = app.engine.cut_off_sessions(&command, &incoming.request(&app, client.caller)?).await?;
    let ((), reached) = told!(executed, "cut_off_sessions", Outcome::Done => ());
    Ok(Answer::done(reached))
}
