//! Give a method another name, or make it the primary one.

use axum::extract::State;
use domain::{commands::Command, outcome::Outcome, values::Label};
use serde::{Deserialize, Serialize};

use crate::{
    endpoint::{About, Access, Kind},
    extract::{Incoming, MethodNumber, OnAccount, field},
    problem::{Code, Problem},
    shapes::{Answer, MethodShape, told},
    state::App,
};

pub(crate) const ABOUT: About =
    About { access: Access::Account, kind: Kind::Command, problems: &[Code::VerificationRequired, Code::Conflict] };

/// What is to change.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ChangeMethod)]
pub(crate) struct Request {
    /// Its name, up to 30 characters.
    label: Option<String>,
    /// `true` makes it the primary one. Another one is made primary by asking for that one.
    is_primary: Option<bool>,
}

/// The method.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = ChangedMethod)]
pub(crate) struct Changed {
    /// The method.
    method: MethodShape,
}

/// Change a method
#[utoipa::path(patch, path = "/v1/accounts/{account}/methods/{id}", operation_id = "change_method",
    tag = "methods", request_body = Request,
    responses((status = 200, description = "The method.", body = Changed)))]
pub(crate) async fn handler(
    State(app): State<App>,
    account: OnAccount,
    MethodNumber(method_id): MethodNumber,
    incoming: Incoming<Request>,
) -> Result<Answer<Changed>, Problem> {
    let label = field("label", incoming.body.label.as_deref().map(Label::parse).transpose())?;
    if incoming.body.is_primary == Some(false) {
        return Err(Problem::invalid("is_primary", "can only be set to true"));
    }
    let make_primary = incoming.body.is_primary.is_some();
    if label.is_none() && !make_primary {
        return Err(Problem::invalid("label", "or `is_primary` is required"));
    }
    let command = Command::ChangeMethod { method_id, label, make_primary };
    let request = incoming.request(&app, account.caller)?;
    let executed = app.engine.execute(account.id, command, &request).await?;
    let (method, reached) = told!(executed, "change_method", Outcome::MethodChanged { method } => method);
    Ok(Answer::ok(Changed { method: method.into() }).after(reached))
}
