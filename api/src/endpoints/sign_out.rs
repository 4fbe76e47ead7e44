//! End the session that is presented.

use axum::extract::State;
use domain::{commands::Command, outcome::Outcome, values::Caller};

use crate::{
    endpoint::{About, Access, Kind},
    extract::{Bearer, Incoming, Nothing},
    problem::{Code, Problem},
    shapes::{Answer, told},
    state::App,
};

pub(crate) const ABOUT: About = About { access: Access::Bearer, kind: Kind::Command, problems: &[Code::Forbidden] };

/// Sign out
#[utoipa::path(post, path = "/v1/sign-out", operation_id = "sign_out", tag = "sign-in",
    request_body = Option<Nothing>, responses((status = 204, description = "The session has ended.")))]
pub(crate) async fn handler(
    State(app): State<App>,
    bearer: Bearer,
    incoming: Incoming<Nothing>,
) -> Result<Answer<()>, Problem> {
    let (caller @ Caller::Session(_), Some(own)) = (bearer.caller, bearer.own) else {
        return Err(Problem::forbidden());
    };
    let executed = app.engine.execute(own.id, Command::SignOut, &incoming.request(&app, caller)?).await?;
    let ((), reached) = told!(executed, "sign_out", Outcome::Done => ());
    Ok(Answer::done(reached))
}
