//! `POST email/`: a code to the account's address.

use axum::{extract::State, response::Response};
use domain::{
    commands::Command,
    secret::SecretText,
    values::{Channel, FactorKind, Purpose},
};
use serde::Deserialize;

use super::{
    call::{Call, Handle},
    codes::{Code, Refused},
    refusals::Tried,
    sms,
};
use crate::state::App;

/// In which check.
#[derive(Deserialize)]
pub(super) struct Body {
    secret: Option<SecretText>,
}

pub(super) async fn handler(State(app): State<App>, call: Call<Body>) -> Result<Response, Refused> {
    let tried = Tried::check(Some(FactorKind::Email));
    let Some(secret) = call.body().secret.as_ref().filter(|secret| !secret.expose().trim().is_empty()) else {
        let command = Command::StartCheck { purpose: Purpose::Open, kind: FactorKind::Email, method_id: None };
        return sms::begin(&app, &call, call.owner()?, command, tried).await;
    };
    let held = call.held(&app, secret).await?;
    let Handle::Verification(id) = held.what else {
        return Err(Refused::new(Code::ChallengeNotFound, "This secret belongs to a number that is being added."));
    };
    let command = Command::SendCode { verification_id: id, channel: Channel::Email, method_id: None };
    let caller = call.driver(&held, id);
    sms::send(&app, &call, &held, secret, command, caller, tried).await
}
