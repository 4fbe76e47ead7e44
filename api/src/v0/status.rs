//! `GET status/`: whether two-factor authentication is on, and by which methods.

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use domain::state::RecoverySet;
use serde::{Deserialize, Serialize};

use super::{
    call::Call,
    codes::Refused,
    shapes::{Method, Success},
};
use crate::{shapes::Answer, state::App};

/// Nothing is read.
#[derive(Deserialize)]
pub(super) struct Body {}

#[derive(Serialize)]
struct Status {
    success: Success,
    tfa_enabled: bool,
    methods: Vec<Method>,
    backup_codes_remaining: u32,
    new_method_authorized: bool,
}

pub(super) async fn handler(State(app): State<App>, call: Call<Body>) -> Result<Response, Refused> {
    let owner = call.owner()?;
    let (state, now) = (&owner.state, app.now());
    let side = state.side_of(&owner.caller, &call.incoming.origin, None, now);
    let status = Status {
        success: Success,
        tfa_enabled: state.two_factor_since.is_some(),
        methods: state.methods_view(side, now).into_iter().map(|view| Method::new(view, state.number)).collect(),
        backup_codes_remaining: state.recovery.as_ref().map_or(0, RecoverySet::remaining),
        new_method_authorized: owner
            .caller
            .credential()
            .is_some_and(|own| state.may_add_method(own, &call.incoming.origin, app.engine.policy(), now)),
    };
    Ok(Answer::ok(status).into_response())
}
