//! `PUT update/`: another name for a method, or the first rank.

use axum::{extract::State, response::Response};
use domain::{commands::Command, ids::MethodId, outcome::Outcome, state::Account, values::Label};
use serde::Deserialize;

use super::{
    body::Number,
    call::Call,
    codes::{Code, Refused},
    refusals::{Tried, refused},
    shapes::{Done, Method, kind_of, method_kind},
};
use crate::{
    extract::{Answers, field},
    shapes::{Reached, unexpected},
    state::App,
};

/// Which method, and what changes.
#[derive(Deserialize)]
pub(super) struct Body {
    tfa_method_id: Option<Number>,
    tfa_method: Option<String>,
    label: Option<String>,
    is_primary: Option<bool>,
}

pub(super) async fn handler(State(app): State<App>, call: Call<Body>) -> Result<Response, Refused> {
    let owner = call.owner()?;
    let body = call.body();
    let method_id = match (body.tfa_method_id, body.tfa_method.as_deref()) {
        (Some(number), _) => number.method(),
        (None, Some(name)) => only_one(&owner.state, name)?,
        (None, None) => return Err(Refused::new(Code::MissingParams, "tfa_method_id or tfa_method is required.")),
    };
    if body.label.is_none() && body.is_primary.is_none() {
        return Err(Refused::new(Code::MissingParams, "label or is_primary is required."));
    }
    let label = field("label", body.label.as_deref().map(Label::parse).transpose())?;
    if body.is_primary == Some(false) && owner.state.primary == Some(method_id) {
        return Err(Refused::new(Code::BadRequest, "Make another method the primary one instead."));
    }
    let command = Command::ChangeMethod { method_id, label, make_primary: body.is_primary == Some(true) };
    let request = call.request(&app, owner.caller.clone(), Answers::Usual)?;
    let executed = app.engine.execute(owner.account, command, &request).await?;
    let reached = Reached { position: executed.position, replayed: executed.replayed };
    match executed.outcome {
        Ok(Outcome::MethodChanged { method }) => {
            let method = Some(Method::new(method, owner.state.number));
            Ok(Done { method, ..Done::saying("2FA method updated successfully.") }.after(reached))
        }
        Ok(_) => Err(unexpected("update").into()),
        Err(refusal) => {
            let tried = Tried { not_found: Code::NotFound, ..Tried::check(None) };
            Err(refused(&app, owner.account, refusal, tried).await)
        }
    }
}

/// The one method of a kind.
fn only_one(state: &Account, name: &str) -> Result<MethodId, Refused> {
    let kind = kind_of(name).and_then(method_kind);
    let kind = kind.ok_or_else(|| Refused::new(Code::InvalidTfaMethod, "tfa_method must be sms or totp."))?;
    let mut of_kind = state.methods.iter().filter(|(_, method)| method.kind() == kind).map(|(id, _)| *id);
    match (of_kind.next(), of_kind.next()) {
        (None, _) => Err(Refused::new(Code::MethodNotConfigured, "There is no method of this kind.")),
        (Some(only), None) => Ok(only),
        _ => Err(Refused::new(Code::MissingParams, "tfa_method_id is required: there are several of this kind.")),
    }
}
