//! `POST sms/`: a code to a number on file; or to a new one, inside the authorization to add it.

use axum::{extract::State, response::Response};
use domain::{
    commands::Command,
    ids::MethodId,
    outcome::Outcome,
    secret::SecretText,
    state::{Account, Device},
    values::{Channel, FactorKind, InvalidNumber, PhoneNumber, Purpose},
};
use serde::Deserialize;
use vault::{Token, TokenKind};

use super::{
    body::Number,
    call::{Call, Handle, Owner, enrollment_secret},
    codes::{Code, Refused},
    refusals::{Tried, refused},
    shapes::Done,
};
use crate::{
    extract::Answers,
    shapes::{Reached, unexpected},
    state::{App, AppState},
};

/// To which number.
#[derive(Deserialize)]
pub(super) struct Body {
    pub phone_number: Option<String>,
    pub tfa_method_id: Option<Number>,
    pub secret: Option<SecretText>,
}

/// What a refusal of a text is called.
pub(super) const TEXT: Tried =
    Tried { counts: true, channel: Code::SmsBlockedNumber, ..Tried::check(Some(FactorKind::Sms)) };

pub(super) async fn handler(State(app): State<App>, call: Call<Body>) -> Result<Response, Refused> {
    let body = call.body();
    let number = number(body.phone_number.as_deref())?;
    if let Some(secret) = body.secret.as_ref().filter(|secret| !secret.expose().trim().is_empty()) {
        return within(&app, &call, secret, number.as_ref()).await;
    }
    let owner = call.owner()?;
    let method_id = method_of(&owner.state, body.tfa_method_id, number.as_ref());
    match (method_id, number) {
        (Err(_), Some(number)) if body.tfa_method_id.is_none() => enroll(&app, &call, owner, number).await,
        (method_id, _) => check(&app, &call, owner, method_id?).await,
    }
}

/// A number as it was sent.
pub(super) fn number(text: Option<&str>) -> Result<Option<PhoneNumber>, Refused> {
    let Some(text) = text.map(str::trim).filter(|text| !text.is_empty()) else { return Ok(None) };
    PhoneNumber::parse(text).map(Some).map_err(|error| {
        // What is a number and takes no texts is told apart from what is none.
        let code = match error {
            InvalidNumber::TakesNoTexts => Code::SmsBlockedNumber,
            InvalidNumber::NoNumber => Code::BadRequest,
        };
        Refused::new(code, format!("phone_number {error}."))
    })
}

/// The method that is meant: by its number in the account, or by its phone number.
pub(super) fn method_of(
    state: &Account,
    id: Option<Number>,
    number: Option<&PhoneNumber>,
) -> Result<Option<MethodId>, Refused> {
    let has = |id: &MethodId, number: &PhoneNumber| {
        matches!(state.methods.get(id).map(|method| &method.device),
            Some(Device::Sms { phone_number, .. }) if phone_number.known() == Some(number))
    };
    let mismatch = || Refused::new(Code::PhoneNumberMismatch, "This is not the number of the method.");
    match (id.map(Number::method), number) {
        (id, None) => Ok(id),
        (Some(id), Some(number)) if has(&id, number) => Ok(Some(id)),
        (Some(_), Some(_)) => Err(mismatch()),
        (None, Some(number)) => {
            state.methods.keys().find(|id| has(id, number)).map(|id| Some(*id)).ok_or_else(mismatch)
        }
    }
}

/// A check without a purpose yet.
async fn check(
    app: &AppState,
    call: &Call<Body>,
    owner: &Owner,
    method_id: Option<MethodId>,
) -> Result<Response, Refused> {
    let has_number = owner.state.methods.values().any(|method| matches!(method.device, Device::Sms { .. }));
    if method_id.is_none() && !has_number {
        return Err(Refused::new(Code::MissingPhoneNumber, "phone_number is required: none is on the account."));
    }
    let command = Command::StartCheck { purpose: Purpose::Open, kind: FactorKind::Sms, method_id };
    let tried = Tried { names_method: method_id.is_some(), ..TEXT };
    begin(app, call, owner, command, tried).await
}

/// The new number's own check: it is texted only with the authorization.
async fn enroll(
    app: &AppState,
    call: &Call<Body>,
    owner: &Owner,
    phone_number: PhoneNumber,
) -> Result<Response, Refused> {
    let capped = owner.state.new_number_waits_until(&phone_number, app.engine.policy(), app.now()).is_some();
    let limited = if capped { Code::PreauthPhoneCap } else { Code::SmsRateLimited };
    let command = Command::StartSmsEnrollment { phone_number };
    begin(app, call, owner, command, Tried { limited, ..TEXT }).await
}

/// Starts a check or an enrollment of the owner's; its handle is the answer.
pub(super) async fn begin<T>(
    app: &AppState,
    call: &Call<T>,
    owner: &Owner,
    command: Command,
    tried: Tried,
) -> Result<Response, Refused> {
    let request = call.request(app, owner.caller.clone(), Answers::Usual)?;
    let executed = app.engine.execute(owner.account, command, &request).await?;
    let reached = Reached { position: executed.position, replayed: executed.replayed };
    let secret = match executed.outcome {
        Ok(Outcome::VerificationStarted(started)) => {
            let (stream, id) = (owner.account.0, started.verification.id.0);
            Token { kind: TokenKind::Verification, stream, id, secret: started.secret }.encode()
        }
        Ok(Outcome::SmsEnrollmentStarted { method_id, .. }) => enrollment_secret(app, owner.account, method_id).await?,
        Ok(_) => return Err(unexpected("sms").into()),
        Err(refusal) => return Err(refused(app, owner.account, refusal, tried).await),
    };
    Ok(Done::sent(secret).after(reached))
}

/// A text in a check that is under way: the sign-in of someone who is signed out, say.
async fn within(
    app: &AppState,
    call: &Call<Body>,
    secret: &SecretText,
    number: Option<&PhoneNumber>,
) -> Result<Response, Refused> {
    let held = call.held(app, secret).await?;
    let (command, caller) = match held.what {
        Handle::Verification(id) => {
            let method_id = method_of(&held.state, call.body().tfa_method_id, number)?;
            let command = Command::SendCode { verification_id: id, channel: Channel::Sms, method_id };
            (command, call.driver(&held, id))
        }
        Handle::Enrollment(method_id) => (Command::ResendEnrollmentCode { method_id }, call.owner()?.caller.clone()),
    };
    let tried = Tried { names_method: call.body().tfa_method_id.is_some(), ..TEXT };
    send(app, call, &held, secret, command, caller, tried).await
}

/// Sends in a check that is under way; its handle stays the same.
pub(super) async fn send<T>(
    app: &AppState,
    call: &Call<T>,
    held: &super::call::Held,
    secret: &SecretText,
    command: Command,
    caller: domain::values::Caller,
    tried: Tried,
) -> Result<Response, Refused> {
    let request = call.request(app, caller, Answers::Usual)?;
    let executed = app.engine.execute(held.account, command, &request).await?;
    match executed.outcome {
        Ok(_) => {
            let reached = Reached { position: executed.position, replayed: executed.replayed };
            Ok(Done::sent(secret.clone()).after(reached))
        }
        Err(refusal) => Err(refused(app, held.account, refusal, tried).await),
    }
}
