//! `POST confirm-new/`: the code of a new method, which can be used from then on.

use axum::{extract::State, response::Response};
use domain::{
    commands::Command,
    outcome::Outcome,
    secret::SecretText,
    state::Device,
    values::{FactorKind, Label, TotpSecret},
};
use serde::Deserialize;

use super::{
    body::given,
    call::{Call, Handle},
    check::code,
    codes::{Code, Refused},
    refusals::{Tried, refused},
    shapes::{Done, Method, kind_of},
    sms,
};
use crate::{
    extract::{Answers, field},
    shapes::{Reached, unexpected},
    state::{App, AppState},
};

/// Which method, and its code.
#[derive(Deserialize)]
pub(super) struct Body {
    tfa_method: Option<String>,
    code: Option<SecretText>,
    secret: Option<SecretText>,
    phone_number: Option<String>,
    label: Option<String>,
}

pub(super) async fn handler(State(app): State<App>, call: Call<Body>) -> Result<Response, Refused> {
    let owner = call.owner()?;
    let body = call.body();
    let name =
        body.tfa_method.as_deref().ok_or_else(|| Refused::new(Code::MissingParams, "tfa_method is required."))?;
    let kind = kind_of(name).filter(|kind| *kind != FactorKind::Email);
    let kind = kind.ok_or_else(|| Refused::new(Code::InvalidTfaMethod, "tfa_method must be totp or sms."))?;
    let secret = given(body.secret.as_ref(), Code::MissingParams, "secret")?;
    let code = code(body.code.as_ref())?;
    let label = body.label.as_deref().filter(|label| !label.trim().is_empty()).map(Label::parse).transpose();
    let label = field("label", label)?;
    let command = if kind == FactorKind::Totp {
        let secret = TotpSecret::from_base32(secret.expose()).map_err(|_| unknown())?;
        Command::EnableOfferedTotp { secret, code, label }
    } else {
        let method_id = enrolling(&app, &call, secret).await?;
        // The answer carries no new token: session and level stay as they are.
        Command::EnableMethod { method_id, code, label, raises_session: false }
    };
    let request = call.request(&app, owner.caller.clone(), Answers::Usual)?;
    let executed = app.engine.execute(owner.account, command, &request).await?;
    let reached = Reached { position: executed.position, replayed: executed.replayed };
    match executed.outcome {
        Ok(Outcome::MethodEnabled { method, recovery_codes, .. }) => {
            let method = Some(Method::new(method, owner.state.number));
            let done = Done::saying("2FA method added successfully.");
            Ok(Done { method, backup_codes: recovery_codes, ..done }.after(reached))
        }
        Ok(_) => Err(unexpected("confirm-new").into()),
        // A method that is not there yet has no count of wrong codes.
        Err(refusal) => {
            let tried = Tried { counts: false, ..Tried::check(Some(kind)) };
            Err(refused(&app, owner.account, refusal, tried).await)
        }
    }
}

fn unknown() -> Refused {
    Refused::new(Code::ChallengeNotFound, "This secret was not given to this account.")
}

/// The enrollment that the secret names, when the number is its own.
async fn enrolling(app: &AppState, call: &Call<Body>, secret: &SecretText) -> Result<domain::ids::MethodId, Refused> {
    let number = sms::number(call.body().phone_number.as_deref())?;
    let held = call.held(app, secret).await?;
    let Handle::Enrollment(method_id) = held.what else {
        return Err(Refused::new(Code::ChallengeNotFound, "This secret belongs to no number that is being added."));
    };
    let number = number.ok_or_else(|| Refused::new(Code::MissingPhoneNumber, "phone_number is required."))?;
    match held.state.enrollments.get(&method_id).map(|enrollment| &enrollment.device) {
        Some(Device::Sms { phone_number, .. }) if phone_number.known() == Some(&number) => Ok(method_id),
        _ => Err(Refused::new(Code::PhoneNumberMismatch, "The code was sent to another number.")),
    }
}
