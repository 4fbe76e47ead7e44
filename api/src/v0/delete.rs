//! `DELETE` of the root, with a body: a check, and the method it removes.

use axum::{extract::State, response::Response};
use domain::{commands::Act, ids::MethodId, outcome::Outcome};

use super::{
    body::Number,
    call::Call,
    check::Body,
    codes::{Code, Refused},
    refusals::Tried,
    shapes::{DISABLED, Done},
};
use crate::{shapes::unexpected, state::App};

pub(super) async fn handler(State(app): State<App>, call: Call<Body>) -> Result<Response, Refused> {
    call.owner()?;
    let checked = call.check(&app).await?;
    let target: Option<MethodId> = call.body().target_id.map(Number::method);
    let is_there = target.is_none_or(|id| checked.state.methods.contains_key(&id));
    let not_found = if is_there { Code::ChallengeNotFound } else { Code::NotFound };
    let act = Act::DisableMethod { method_id: target };
    let (outcome, reached) = call.act(&app, &checked, act, |tried| Tried { not_found, ..tried }).await?;
    let Outcome::MethodDisabled { remaining_methods, .. } = outcome else {
        return Err(unexpected("delete").into());
    };
    let done = if remaining_methods == 0 {
        Done::saying(DISABLED)
    } else {
        Done { remaining_methods: Some(remaining_methods), ..Done::saying("2FA method deleted successfully.") }
    };
    Ok(done.after(reached))
}
