//! The check that comes with a command: a code of a method, or a backup code.

use domain::{
    commands::{Act, Check, Command},
    ids::{AccountId, MethodId, VerificationId},
    outcome::Outcome,
    secret::SecretText,
    state::Account,
    values::{Caller, EnteredCode, FactorKind},
};
use serde::Deserialize;
use std::sync::Arc;

use super::{
    body::{Number, given},
    call::{Call, Handle},
    codes::{Code, Refused},
    refusals::{Tried, refused},
    shapes::kind_of,
};
use crate::{
    extract::{Answers, entered_code},
    shapes::Reached,
    state::AppState,
};

/// What all of these bodies have.
#[derive(Deserialize)]
pub(super) struct Body {
    tfa_method: Option<String>,
    tfa_method_id: Option<Number>,
    code: Option<SecretText>,
    secret: Option<SecretText>,
    backup_code: Option<SecretText>,
    /// What is to be removed (DELETE alone reads it).
    pub target_id: Option<Number>,
}

/// Who brings which code for whose account.
pub(super) struct Checked {
    pub account: AccountId,
    pub state: Arc<Account>,
    caller: Caller,
    check: Check,
    tried: Tried,
}

/// The kind that a body names: `sms` when it names nothing, as in the contract.
pub(super) fn named_kind(
    name: Option<&str>,
    method_id: Option<MethodId>,
    state: &Account,
) -> Result<Option<FactorKind>, Refused> {
    match (name, method_id) {
        (Some(name), _) => match kind_of(name) {
            Some(kind) => Ok(Some(kind)),
            None => Err(Refused::new(Code::InvalidTfaMethod, "tfa_method must be email, sms or totp.")),
        },
        (None, Some(id)) => match state.methods.get(&id) {
            Some(method) => Ok(Some(method.kind().factor())),
            None => Err(Refused::new(Code::MethodNotConfigured, "There is no such method.")),
        },
        (None, None) => Ok(None),
    }
}

/// A code as it was entered; one that is empty is missing.
pub(super) fn code(text: Option<&SecretText>) -> Result<EnteredCode, Refused> {
    Ok(entered_code("code", given(text, Code::MissingAuthValue, "code")?)?)
}

impl Call<Body> {
    /// Reads the check. Signed out, the secret of a sign-in says whose account it is.
    pub async fn check(&self, app: &AppState) -> Result<Checked, Refused> {
        let body = self.body();
        let secret = body.secret.as_ref().filter(|secret| !secret.expose().trim().is_empty());
        let held = match secret {
            Some(secret) => Some(self.held(app, secret).await?),
            None => None,
        };
        let verification_id = held.as_ref().map(|held| match held.what {
            Handle::Verification(id) => Ok(id),
            Handle::Enrollment(_) => {
                Err(Refused::new(Code::ChallengeNotFound, "This secret belongs to a number that is being added."))
            }
        });
        let verification_id: Option<VerificationId> = verification_id.transpose()?;
        let (account, state, caller) = match (&held, verification_id, self.bearer()) {
            (Some(held), Some(id), _) => (held.account, Arc::clone(&held.state), self.driver(held, id)),
            (_, _, Some(owner)) => (owner.account, Arc::clone(&owner.state), owner.caller.clone()),
            (_, _, None) => return Err(self.owner().err().unwrap_or_else(Refused::invalid_key)),
        };
        if let Some(entered) = body.backup_code.as_ref().filter(|code| !code.expose().trim().is_empty()) {
            let kind = Some(FactorKind::RecoveryCode);
            let check = Check { verification_id, kind, method_id: None, code: entered_code("backup_code", entered)? };
            return Ok(Checked { account, state, caller, check, tried: Tried::check(kind) });
        }
        let code = code(body.code.as_ref())?;
        let method_id = body.tfa_method_id.map(Number::method);
        let kind = named_kind(body.tfa_method.as_deref(), method_id, &state)?.unwrap_or(FactorKind::Sms);
        let tried = Tried { names_method: method_id.is_some(), ..Tried::check(Some(kind)) };
        let method_id = method_id.filter(|_| kind != FactorKind::Email);
        let check = Check { verification_id, kind: Some(kind), method_id, code };
        Ok(Checked { account, state, caller, check, tried })
    }

    /// The code and its act, in one decision.
    pub async fn act(
        &self,
        app: &AppState,
        checked: &Checked,
        act: Act,
        tried: impl FnOnce(Tried) -> Tried,
    ) -> Result<(Outcome, Reached), Refused> {
        let answers = if act == Act::SignIn { Answers::SessionToken } else { Answers::Usual };
        let request = self.request(app, checked.caller.clone(), answers)?;
        let command = Command::CheckAndAct { check: checked.check.clone(), act };
        let executed = app.engine.execute(checked.account, command, &request).await?;
        match executed.outcome {
            Ok(outcome) => Ok((outcome, Reached { position: executed.position, replayed: executed.replayed })),
            Err(refusal) => Err(refused(app, checked.account, refusal, tried(checked.tried)).await),
        }
    }
}
