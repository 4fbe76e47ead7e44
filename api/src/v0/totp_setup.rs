//! `POST totp-setup/`: a key for an authenticator app. Nothing is stored of it, and no authorization is needed yet.

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use domain::{commands::Command, outcome::Outcome, values::FactorKind};
use serde::{Deserialize, Serialize};

use super::{
    call::Call,
    codes::Refused,
    refusals::{Tried, refused},
    shapes::Success,
};
use crate::{
    otpauth,
    shapes::{Answer, Reached, Shown, unexpected},
    state::App,
};

/// Nothing is read.
#[derive(Deserialize)]
pub(super) struct Body {}

#[derive(Serialize)]
struct Offer {
    success: Success,
    secret: Shown,
    provisioning_uri: Shown,
}

pub(super) async fn handler(State(app): State<App>, call: Call<Body>) -> Result<Response, Refused> {
    let owner = call.owner()?;
    // No answer is kept: the same call later offers the key of its own time.
    let request = call.incoming.read_request(&app, owner.caller.clone())?;
    let executed = app.engine.execute(owner.account, Command::OfferTotpKey, &request).await?;
    let reached = Reached { position: executed.position, replayed: executed.replayed };
    match executed.outcome {
        Ok(Outcome::TotpEnrollmentStarted(offer)) => {
            let provisioning_uri = otpauth::uri(&offer, &app.config.issuer);
            let secret = Shown::new(offer.secret.to_base32());
            Ok(Answer::ok(Offer { success: Success, secret, provisioning_uri }).after(reached).into_response())
        }
        Ok(_) => Err(unexpected("totp-setup").into()),
        Err(refusal) => Err(refused(&app, owner.account, refusal, Tried::check(Some(FactorKind::Totp))).await),
    }
}
