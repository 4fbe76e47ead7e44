//! Support: erase an account whose change of address can still be undone, when its owner asks for that.

use axum::extract::State;
use domain::{commands::Command, outcome::Outcome, values::Scope};

use crate::{
    endpoint::{About, Access, Kind},
    extract::{AuditedAccount, Client, Incoming, Nothing, scope},
    problem::{Code, Problem},
    shapes::{Answer, told},
    state::App,
};

pub(crate) const ABOUT: About = About {
    access: Access::Scope(Scope::SupportWrite),
    kind: Kind::Command,
    problems: &[Code::NotFound, Code::Forbidden],
};

/// Erase an account after a change of its address
///
/// For good. While a change of address can be undone, no credential of the account erases it, since whoever changed the
/// address holds one; support can, and only then.
#[utoipa::path(post, path = "/v1/security/accounts/{account}/erase", operation_id = "erase_account_for_its_owner",
    tag = "security", request_body = Option<Nothing>, responses((status = 204, description = "Erased.")))]
pub(crate) async fn handler(
    State(app): State<App>,
    client: Client<scope::SupportWrite>,
    AuditedAccount(account): AuditedAccount,
    incoming: Incoming<Nothing>,
) -> Result<Answer<()>, Problem> {
    let request = incoming.request(&app, client.caller)?;
    let (engine, command) = (app.engine.clone(), Command::EraseAccount { verification_id: None });
    let carried = async move { Ok(engine.execute(account, command, &request).await?) };
    let executed = app.to_its_end("erase an account", carried).await?;
    let ((), reached) = told!(executed, "erase_account_for_its_owner", Outcome::Done => ());
    Ok(Answer::done(reached))
}
