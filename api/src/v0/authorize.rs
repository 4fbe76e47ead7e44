//! `authorize-new-method/`: who adds a method shows first who they are.

use axum::{extract::State, response::Response};
use domain::{
    commands::{Act, Check, Command},
    outcome::Outcome,
    secret::SecretText,
    values::{FactorKind, Purpose},
};
use serde::Deserialize;
use vault::{Token, TokenKind};

use super::{
    body::{Number, given},
    call::{Call, Handle},
    check::{code, named_kind},
    codes::{Code, Refused},
    refusals::{Tried, refused},
    shapes::{AUTHORIZED, Done, SENT},
};
use crate::{
    extract::{Answers, entered_code},
    shapes::{Reached, unexpected},
    state::App,
};

/// By what.
#[derive(Deserialize)]
pub(super) struct Start {
    tfa_method: Option<String>,
    tfa_method_id: Option<Number>,
    backup_code: Option<SecretText>,
}

/// The code.
#[derive(Deserialize)]
pub(super) struct Finish {
    secret: Option<SecretText>,
    code: Option<SecretText>,
}

/// `POST`: begins the check and sends its code; a backup code is done at once.
pub(super) async fn start(State(app): State<App>, call: Call<Start>) -> Result<Response, Refused> {
    let owner = call.owner()?;
    let body = call.body();
    let request = call.request(&app, owner.caller.clone(), Answers::Usual)?;
    let backup_code = body.backup_code.as_ref().filter(|code| !code.expose().trim().is_empty());
    let (command, tried) = if let Some(entered) = backup_code {
        let kind = Some(FactorKind::RecoveryCode);
        let code = entered_code("backup_code", entered)?;
        let check = Check { verification_id: None, kind, method_id: None, code };
        (Command::CheckAndAct { check, act: Act::AuthorizeMethod }, Tried::check(kind))
    } else {
        let method_id = body.tfa_method_id.map(Number::method);
        // Before the first method the check is by email whatever was asked for.
        let kind = match (owner.state.methods.is_empty(), method_id, &body.tfa_method) {
            (true, _, None) => FactorKind::Email,
            (true, _, Some(name)) => named_kind(Some(name), None, &owner.state)?.unwrap_or(FactorKind::Email),
            (false, method_id, name) => named_kind(name.as_deref(), method_id, &owner.state)?
                .ok_or_else(|| Refused::new(Code::MissingParams, "tfa_method or tfa_method_id is required."))?,
        };
        let tried = Tried { names_method: method_id.is_some(), ..Tried::check(Some(kind)) };
        let country = if kind == FactorKind::Sms { Code::SmsBlockedNumber } else { Code::InvalidTfaMethod };
        let command = Command::StartCheck { purpose: Purpose::AddMethod, kind, method_id };
        (command, Tried { channel: country, ..tried })
    };
    let executed = app.engine.execute(owner.account, command, &request).await?;
    let reached = Reached { position: executed.position, replayed: executed.replayed };
    match executed.outcome {
        Ok(Outcome::VerificationStarted(started)) => {
            let (stream, id) = (owner.account.0, started.verification.id.0);
            let token = Token { kind: TokenKind::Verification, stream, id, secret: started.secret }.encode();
            let msg = started.sent.map(|_| SENT);
            Ok(Done { msg, secret: Some(token), ..Done::default() }.after(reached))
        }
        Ok(Outcome::Verified(_)) => Ok(Done::saying(AUTHORIZED).after(reached)),
        Ok(_) => Err(unexpected("authorize-new-method").into()),
        Err(refusal) => Err(refused(&app, owner.account, refusal, tried).await),
    }
}

/// `PUT`: the code; from then on one method may be added, from here and for a while.
pub(super) async fn finish(State(app): State<App>, call: Call<Finish>) -> Result<Response, Refused> {
    let owner = call.owner()?;
    let secret = given(call.body().secret.as_ref(), Code::MissingParams, "secret")?;
    let code = code(call.body().code.as_ref())?;
    let held = call.held(&app, secret).await.map_err(|refused| {
        if refused.code() == Code::ChallengeNotFound { refused.but(Code::NoPendingAuthorization) } else { refused }
    })?;
    let Handle::Verification(id) = held.what else {
        return Err(Refused::new(Code::NoPendingAuthorization, "This secret belongs to a number that is being added."));
    };
    let asked = held.state.verifications.get(&id).and_then(|verification| verification.asked);
    let tried = Tried {
        not_found: Code::NoPendingAuthorization,
        names_method: true,
        ..Tried::check(asked.map(|asked| asked.kind))
    };
    let request = call.request(&app, owner.caller.clone(), Answers::Usual)?;
    let check = Check { verification_id: Some(id), kind: None, method_id: None, code };
    let command = Command::CheckAndAct { check, act: Act::AuthorizeMethod };
    let executed = app.engine.execute(owner.account, command, &request).await?;
    match executed.outcome {
        Ok(_) => {
            let reached = Reached { position: executed.position, replayed: executed.replayed };
            Ok(Done::saying(AUTHORIZED).after(reached))
        }
        Err(refusal) => Err(refused(&app, owner.account, refusal, tried).await),
    }
}
