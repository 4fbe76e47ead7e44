//! Send the code of an address again. Answers alike whatever the account: it must not tell which ids exist.

use axum::{extract::State, http::StatusCode};
use domain::{commands::Command, values::Caller};
use serde::Serialize;

use crate::{
    endpoint::{About, Access, Kind},
    extract::{Incoming, NamedAccount, Nothing},
    problem::Problem,
    shapes::Answer,
    state::App,
};

pub(crate) const ABOUT: About = About { access: Access::MaybeBearer, kind: Kind::Command, problems: &[] };

/// Taken.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = ResendTaken)]
pub(crate) struct Taken {
    /// Seconds after which another one may be asked for.
    resend_after_seconds: u32,
}

/// Send the code again
///
/// Answers the same whether or not a code could be sent.
#[utoipa::path(post, path = "/v1/accounts/{account}/email/resend", operation_id = "resend_email_code",
    tag = "accounts", request_body = Option<Nothing>,
    responses((status = 202, description = "Taken: a code is on its way if one is due.", body = Taken)))]
pub(crate) async fn handler(
    State(app): State<App>,
    on: NamedAccount,
    incoming: Incoming<Nothing>,
) -> Result<Answer<Taken>, Problem> {
    let request = incoming.request(&app, on.caller)?;
    let policy = app.engine.policy();
    let is_anybody = request.caller == Caller::Anonymous;
    let resend_after = if is_anybody { policy.stranger_mail_every } else { policy.resend_after };
    // What came of it is for the log. The limits of an address are refused alike, and say so to nobody.
    app.engine.execute(on.id, Command::ResendEmailCode, &request).await?;
    let resend_after_seconds = resend_after.0;
    Ok(Answer::new(StatusCode::ACCEPTED, Taken { resend_after_seconds }))
}
