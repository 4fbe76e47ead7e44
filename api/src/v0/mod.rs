//! The two-factor API of vast.ai, as its command line and scripts speak it: a translation onto the same commands
//! and queries as `/v1`, and no rule of its own.
//!
//! | theirs | ours |
//! | --- | --- |
//! | `secret` | the token of a verification, or the handle of a number that is being enrolled |
//! | `secret` of an authenticator app | the key that was offered: it carries its own proof, so nothing is stored before it is used |
//! | `id`, `user_id` | the number of the account in this installation |
//! | backup codes | recovery codes |
//! | `tfa_locked` | the lock of a kind, or the account's cap (without an end) |
//!
//! What is stricter here than there is in `docs/moving-from-vast-ai.md`.
//!
//! # Codes that never occur
//!
//! | code | why |
//! | --- | --- |
//! | `twilio_error`, `twilio_rate_limited` | texts are ordered here and sent by workers: what a gateway says comes after the answer, and is seen in the deliveries |
//! | `missing_email` | every account has an address |
//! | `untracked_2fa_found`, `team_user_forbidden` | there are no legacy accounts and no teams |
//!
//! `email_not_verified` needs an account that holds a credential before its address is confirmed; there is none
//! today, and the translation is there for the rule. An error of ours is always `challenge_creation_failed`: the
//! contract has no other code with status 500.
//!
//! # Who calls
//!
//! An account's session or access token as bearer; or, signed out, the token of a verification as `secret`. Cookies
//! are given and never read, and what a browser may send for a page of another site is refused (`same_site`), so that
//! none signs its visitor in as somebody else. A session that ended is answered with 404 and the words that make the client forget
//! it and try its key; a key that is none with 401 (the one case where `auth_error` is not 403: the client explains
//! 401 to its user).

mod authorize;
mod body;
mod call;
mod check;
mod codes;
mod confirm_new;
mod current;
mod delete;
mod email;
mod login;
mod refusals;
mod regen;
mod same_site;
mod shapes;
mod sms;
mod sms_resend;
mod status;
mod totp_setup;
mod update;

use axum::{
    Router,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{MethodRouter, any, get, post, put},
};

use self::codes::{Code, Refused};
use crate::{problem::Problem, state::App};

/// What the paths of this module begin with.
pub(crate) const PREFIX: &str = "/api/v0/";

/// The routes, each with and without its slash: the contract's paths end in one, and hands forget it.
pub(crate) fn routes() -> Router<App> {
    let paths: [(&str, MethodRouter<App>); 11] = [
        ("tfa", post(login::handler).delete(delete::handler)),
        ("tfa/status", get(status::handler)),
        ("tfa/authorize-new-method", post(authorize::start).put(authorize::finish)),
        ("tfa/totp-setup", post(totp_setup::handler)),
        ("tfa/sms", post(sms::handler)),
        ("tfa/sms/resend", post(sms_resend::handler)),
        ("tfa/email", post(email::handler)),
        ("tfa/confirm-new", post(confirm_new::handler)),
        ("tfa/update", put(update::handler)),
        ("tfa/regen-backup-codes", put(regen::handler)),
        ("users/current", get(current::handler)),
    ];
    let mut router = Router::new();
    for (path, methods) in paths {
        router = router.route(&format!("{PREFIX}{path}"), methods.clone()).route(&format!("{PREFIX}{path}/"), methods);
    }
    router.route(&format!("{PREFIX}{{*rest}}"), any(nowhere)).method_not_allowed_fallback(not_so)
}

/// A problem of the edge (a time-out, a panic), in this module's words.
pub(crate) fn translated(problem: Problem) -> Response {
    Refused::from(problem).into_response()
}

async fn nowhere() -> Refused {
    Refused::new(Code::NotFound, "There is no such path.")
}

async fn not_so() -> Response {
    let mut response = Refused::new(Code::BadRequest, "This path takes another method.").into_response();
    *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
    response
}
