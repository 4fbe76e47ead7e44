//! Ask for another password. Answers alike, and as slowly, whoever has an account.

use axum::{extract::State, http::StatusCode};
use domain::{
    ids::VerificationId,
    outcome::{CodeSent, Outcome},
    time::Timestamp,
    values::{Caller, EmailAddress},
};
use serde::{Deserialize, Serialize};
use vault::{Token, TokenKind};

use crate::{
    endpoint::{About, Access, Kind},
    extract::{Incoming, field},
    problem::{Code, Problem},
    shapes::{Answer, Shown, told, unexpected},
    state::App,
};

pub(crate) const ABOUT: About =
    About { access: Access::Anyone, kind: Kind::Command, problems: &[Code::RateLimited, Code::Conflict] };

/// Whose.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RequestPasswordReset)]
pub(crate) struct Request {
    /// The address; the code is sent there when an account has it.
    email: String,
}

/// A reset that was asked for.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = PasswordReset)]
pub(crate) struct Asked {
    /// Names it in the path.
    #[schema(value_type = Uuid)]
    id: VerificationId,
    /// The bearer token to finish it with, told once.
    #[schema(value_type = String)]
    token: Shown,
    /// Its end.
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
    /// Masked address.
    sent_to: String,
    /// Another one may be asked for then.
    #[schema(value_type = String, format = DateTime)]
    resend_after: Timestamp,
}

/// Ask for a password reset
///
/// Answers the same whether or not the address has an account.
#[utoipa::path(post, path = "/v1/password-resets", operation_id = "request_password_reset", tag = "accounts",
    request_body = Request, responses((status = 202, description = "Asked for.", body = Asked)))]
pub(crate) async fn handler(State(app): State<App>, incoming: Incoming<Request>) -> Result<Answer<Asked>, Problem> {
    let email = field("email", EmailAddress::parse(&incoming.body.email))?;
    let request = incoming.request(&app, Caller::Anonymous)?;
    let (handle, executed) = app.engine.request_password_reset(&email, &request).await?;
    let (asked, reached) = told!(executed, "request_password_reset", Outcome::VerificationStarted(started) => {
        let id = started.verification.id;
        let token = Token { kind: TokenKind::Verification, stream: handle, id: id.0, secret: started.secret };
        let CodeSent { sent_to, resend_after, .. } = started.sent.ok_or_else(|| unexpected("request_password_reset"))?;
        Asked { id, token: token.encode(), expires_at: started.verification.expires_at, sent_to, resend_after }
    });
    Ok(Answer::new(StatusCode::ACCEPTED, asked).after(reached))
}
