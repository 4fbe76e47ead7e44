//! Take a change of address back.

use axum::extract::State;
use domain::{
    commands::{Command, SecondFactor},
    ids::MethodId,
    outcome::Outcome,
    secret::SecretText,
    values::{Caller, EmailAddress, FactorKind},
};
use serde::Deserialize;

use super::linked;
use crate::{
    endpoint::{About, Access, Kind},
    extract::{Incoming, entered_code, field},
    problem::{Code, Problem},
    shapes::{Answer, told},
    state::App,
    words::FactorKindWord,
};

pub(crate) const ABOUT: About = About {
    access: Access::Anyone,
    kind: Kind::Command,
    problems: &[
        Code::Unauthenticated,
        Code::WrongCredentials,
        Code::VerificationRequired,
        Code::VerificationExpired,
        Code::WrongCode,
        Code::CodeExpired,
        Code::AccountLocked,
        Code::RateLimited,
        Code::Conflict,
        Code::NotFound,
    ],
};

/// The link, and what a sign-in needed before the change.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = UndoEmailChange)]
pub(crate) struct Request {
    /// The token of the link (`cs_undo_…`).
    #[schema(value_type = String)]
    token: SecretText,
    /// The address that is to be the account's again, typed to confirm this.
    confirmation: String,
    /// The password of before the change.
    #[schema(value_type = String, format = Password)]
    password: SecretText,
    /// `totp`, `sms` or `recovery_code`. Left out, the shape of the code tells.
    #[schema(value_type = Option<FactorKindWord>)]
    method: Option<FactorKind>,
    /// The method, when there are several of the kind.
    #[schema(value_type = Option<u32>)]
    method_id: Option<MethodId>,
    /// Where the account had a method before the change, a code of one, or a recovery code of then.
    #[schema(value_type = Option<String>)]
    code: Option<SecretText>,
}

/// Take a change of address back
///
/// Good for 7 days. Address, password, methods and recovery codes are as they stood before the change; all sessions,
/// access tokens and verifications end, and the undos of later changes are void.
#[utoipa::path(post, path = "/v1/email-undos", operation_id = "undo_email_change", tag = "accounts",
    request_body = Request, responses((status = 204, description = "It is undone.")))]
pub(crate) async fn handler(State(app): State<App>, incoming: Incoming<Request>) -> Result<Answer<()>, Problem> {
    let (account, link) = linked(&incoming.body.token)?;
    let code = incoming.body.code.as_ref().map(|code| entered_code("code", code)).transpose()?;
    let (kind, method_id) = (incoming.body.method, incoming.body.method_id);
    let command = Command::UndoEmailChange {
        link,
        confirmation: field("confirmation", EmailAddress::parse(&incoming.body.confirmation))?,
        password: incoming.body.password.clone(),
        factor: code.map(|code| SecondFactor { kind, method_id, code }),
    };
    let request = incoming.request(&app, Caller::Anonymous)?;
    let engine = app.engine.clone();
    let carried = async move { Ok(engine.execute(account, command, &request).await?) };
    let executed = app.to_its_end("undo a change of address", carried).await?;
    let ((), reached) = told!(executed, "undo_email_change", Outcome::Done => ());
    Ok(Answer::done(reached))
}
