//! Stop changes with nothing but the link of an undo.

use axum::extract::State;
use domain::{commands::Command, outcome::Outcome, secret::SecretText, time::Timestamp, values::Caller};
use serde::{Deserialize, Serialize};

use super::linked;
use crate::{
    endpoint::{About, Access, Kind},
    extract::Incoming,
    problem::{Code, Problem},
    shapes::{Answer, told},
    state::App,
};

pub(crate) const ABOUT: About = About {
    access: Access::Anyone,
    kind: Kind::Command,
    problems: &[Code::Unauthenticated, Code::VerificationExpired, Code::Conflict, Code::NotFound],
};

/// The link.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = FreezeChanges)]
pub(crate) struct Request {
    /// The token of the link (`cs_undo_…`).
    #[schema(value_type = String)]
    token: SecretText,
}

/// Changes are stopped.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = FrozenChanges)]
pub(crate) struct Frozen {
    /// Until then.
    #[schema(value_type = String, format = DateTime)]
    until: Timestamp,
}

/// Stop changes for a day
///
/// For who no longer has the password or the factor of before: once for each link. Factors, address, recovery codes
/// and access tokens stay as they are until then.
#[utoipa::path(post, path = "/v1/email-undos/freeze", operation_id = "freeze_changes", tag = "accounts",
    request_body = Request, responses((status = 200, description = "Changes are stopped.", body = Frozen)))]
pub(crate) async fn handler(State(app): State<App>, incoming: Incoming<Request>) -> Result<Answer<Frozen>, Problem> {
    let (account, link) = linked(&incoming.body.token)?;
    let command = Command::FreezeChanges { link };
    let executed = app.engine.execute(account, command, &incoming.request(&app, Caller::Anonymous)?).await?;
    let (frozen, reached) = told!(executed, "freeze_changes", Outcome::ChangesFrozen { until } => Frozen { until });
    Ok(Answer::ok(frozen).after(reached))
}
