//! Sign in: the first factor. With two-factor authentication on, a verification for the second one follows.

use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use domain::{
    commands::Command,
    outcome::Outcome,
    secret::SecretText,
    values::{Caller, EmailAddress, Scope},
};
use engine::PasswordSignIn;
use serde::Deserialize;

use crate::{
    endpoint::{About, Access, Kind},
    extract::{Answers, Bearer, Incoming, MaybeBearer, entered_code, field},
    problem::{Code, Problem},
    shapes::{Answer, SessionShape, VerificationAnswer, VerificationShape, settle, unexpected},
    state::App,
};

pub(crate) const ABOUT: About = About {
    access: Access::MaybeBearer,
    kind: Kind::Command,
    problems: &[
        Code::WrongCredentials,
        Code::EmailNotVerified,
        Code::Forbidden,
        Code::NotFound,
        Code::RateLimited,
        Code::Conflict,
    ],
};

/// The first factor: address and password. Both are left out where the bearer is an access token, which stands
/// for them.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SignIn)]
pub(crate) struct Request {
    /// The address.
    email: Option<String>,
    /// The password.
    #[schema(value_type = Option<String>, format = Password)]
    password: Option<SecretText>,
    /// The code from the mail that goes to the address, once in ten minutes, where a sign-in is refused as
    /// `rate_limited` or `unavailable`. Beside it, ten passwords in a quarter of an hour are looked at, whatever
    /// others tried.
    #[schema(value_type = Option<String>, example = "1A2B-3C4D-5E6F")]
    opening_code: Option<SecretText>,
}

/// Sign in
///
/// An unknown address is answered like a wrong password, and as slowly.
#[utoipa::path(post, path = "/v1/sign-in", operation_id = "sign_in", tag = "sign-in", request_body = Request,
    responses(
        (status = 200, description = "Signed in.", body = SessionShape),
        (status = 202, description = "A second factor is needed.", body = VerificationAnswer),
    ))]
pub(crate) async fn handler(
    State(app): State<App>,
    MaybeBearer(bearer): MaybeBearer,
    incoming: Incoming<Request>,
) -> Result<Response, Problem> {
    let (account, executed, caller) = match (&incoming.body.email, &incoming.body.password) {
        (Some(email), Some(password)) => {
            let email = field("email", EmailAddress::parse(email))?;
            let caller = MaybeBearer(bearer).client_or_anonymous();
            if matches!(caller, Caller::ApiClient(..)) && !caller.has(Scope::SessionsIssue) {
                return Err(Problem::forbidden());
            }
            let request = incoming.request_for(&app, caller.clone(), Answers::SessionToken)?;
            let opening_code = incoming.body.opening_code.as_ref();
            let sign_in = PasswordSignIn {
                email,
                password: password.clone(),
                opening_code: opening_code.map(|code| entered_code("opening_code", code)).transpose()?,
            };
            let (account, executed) = app.engine.sign_in(sign_in, &request).await?;
            (account, executed, caller)
        }
        (None, None) => {
            let Some(Bearer { caller: caller @ Caller::AccessToken(_), own: Some(own) }) = bearer else {
                return Err(Problem::invalid("email", "is required"));
            };
            let request = incoming.request_for(&app, caller.clone(), Answers::SessionToken)?;
            let command = Command::SignIn { password: None, rejections: 0 };
            (Some(own.id), app.engine.execute(own.id, command, &request).await?, caller)
        }
        (None, Some(_)) => return Err(Problem::invalid("email", "is required")),
        (Some(_), None) => return Err(Problem::invalid("password", "is required")),
    };
    let (outcome, reached) = settle(executed)?;
    let account = account.ok_or_else(|| unexpected("sign_in"))?;
    match outcome {
        Outcome::SignedIn(session) => {
            Ok(Answer::ok(SessionShape::new(account, session)).after(reached).into_response())
        }
        Outcome::VerificationStarted(started) => {
            let verification = VerificationShape::started(account, started, &caller);
            let answer = Answer::new(StatusCode::ACCEPTED, VerificationAnswer { verification });
            Ok(answer.after(reached).into_response())
        }
        _ => Err(unexpected("sign_in")),
    }
}
