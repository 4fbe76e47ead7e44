//! `POST` of the root: sign in with a second factor. With a bearer the answer has a `session_key`, signed out a
//! cookie.

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use domain::{
    commands::Act,
    outcome::{Outcome, Verified},
};
use serde::Serialize;
use vault::{Token, TokenKind};

use super::{
    call::Call,
    check::Body,
    codes::{Code, Refused},
    shapes::{Owned, Success, set_cookie},
};
use crate::{
    shapes::{Answer, Shown, unexpected},
    state::App,
};

#[derive(Serialize)]
struct SignedIn {
    success: Success,
    #[serde(flatten)]
    account: Owned,
    #[serde(skip_serializing_if = "Option::is_none")]
    session_key: Option<Shown>,
    /// After a backup code, none left included.
    #[serde(skip_serializing_if = "Option::is_none")]
    backup_codes_remaining: Option<u32>,
}

pub(super) async fn handler(State(app): State<App>, call: Call<Body>) -> Result<Response, Refused> {
    let checked = call.check(&app).await?;
    let (outcome, reached) = call.act(&app, &checked, Act::SignIn, |tried| tried).await?;
    let Outcome::Verified(Verified { session, recovery_codes_remaining, .. }) = outcome else {
        return Err(unexpected("login").into());
    };
    let lives = session.as_ref().map(|session| app.engine.policy().session_lives.min(session.idle_timeout));
    let token = session.map(|session| {
        let (stream, id) = (checked.account.0, session.session_id.0);
        Token { kind: TokenKind::Session, stream, id, secret: session.secret }.encode()
    });
    let mut answer = SignedIn {
        success: Success,
        account: Owned::new(&checked.state),
        session_key: None,
        backup_codes_remaining: recovery_codes_remaining,
    };
    match (call.bearer(), token) {
        // A session that checks once more who is there stays the session it is: its key is refreshed.
        (Some(owner), token) => {
            answer.session_key = Some(token.unwrap_or_else(|| owner.key.clone()));
            Ok(Answer::ok(answer).after(reached).into_response())
        }
        (None, Some(token)) => {
            let mut response = Answer::ok(answer).after(reached).into_response();
            let lives = lives.unwrap_or(app.engine.policy().session_lives);
            set_cookie(&mut response, &token, lives, call.on_loopback)?;
            Ok(response)
        }
        (None, None) => Err(Refused::new(Code::LoginFailed, "The code was right, but this secret begins no session.")),
    }
}
