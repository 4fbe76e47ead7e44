//! Sign up. Always answers alike, whether the address is free or taken; its holder learns by mail.

use axum::{extract::State, http::StatusCode};
use domain::{commands::Command, ids::AccountId, outcome::Outcome, secret::SecretText, values::EmailAddress};
use serde::{Deserialize, Serialize};

use crate::{
    endpoint::{About, Access, Kind},
    extract::{Incoming, MaybeBearer, field},
    problem::{Code, Problem},
    shapes::{Answer, told},
    state::App,
};

pub(crate) const ABOUT: About = About {
    access: Access::MaybeBearer,
    kind: Kind::Command,
    problems: &[Code::Forbidden, Code::Conflict, Code::RateLimited],
};

/// An account to be.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = CreateAccount)]
pub(crate) struct Request {
    /// The address; its confirmation code is sent there.
    email: String,
    /// 8 to 128 characters, not a common one. API clients may leave it out.
    #[schema(value_type = Option<String>, format = Password)]
    password: Option<SecretText>,
    /// API clients only: vouch that the address is the account's. No code is sent then.
    #[serde(default)]
    email_verified: bool,
}

/// The account.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = CreatedAccount)]
pub(crate) struct Created {
    /// Its id.
    #[schema(value_type = Uuid)]
    account_id: AccountId,
    /// Whether its address counts as confirmed.
    email_verified: bool,
}

/// Create an account
///
/// The address must be confirmed before the account can sign in. The answer is the same for an address that
/// is taken; whoever holds it is told by mail.
#[utoipa::path(post, path = "/v1/accounts", operation_id = "create_account", tag = "accounts",
    request_body = Request, responses((status = 201, description = "Created.", body = Created)))]
pub(crate) async fn handler(
    State(app): State<App>,
    bearer: MaybeBearer,
    incoming: Incoming<Request>,
) -> Result<Answer<Created>, Problem> {
    let caller = bearer.client_or_anonymous();
    let account_id = AccountId(incoming.fresh_uuid(&app, &caller, "account")?);
    let command = Command::RegisterAccount {
        account_id,
        email: field("email", EmailAddress::parse(&incoming.body.email))?,
        password: incoming.body.password.clone(),
        vouch_for_email: incoming.body.email_verified,
    };
    let executed = app.engine.execute(account_id, command, &incoming.request(&app, caller)?).await?;
    let (created, reached) = told!(executed, "create_account", Outcome::Registered { account_id, email_verified } => {
        Created { account_id, email_verified }
    });
    Ok(Answer::new(StatusCode::CREATED, created).after(reached))
}
