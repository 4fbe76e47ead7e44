//! `PUT regen-backup-codes/`: a check, and ten fresh codes.

use axum::{extract::State, response::Response};
use domain::{commands::Act, outcome::Outcome};

use super::{
    call::Call,
    check::Body,
    codes::{Code, Refused},
    refusals::Tried,
    shapes::Done,
};
use crate::{shapes::unexpected, state::App};

pub(super) async fn handler(State(app): State<App>, call: Call<Body>) -> Result<Response, Refused> {
    call.owner()?;
    let checked = call.check(&app).await?;
    let is_on = checked.state.two_factor_since.is_some();
    let conflict = if is_on { Code::Expired } else { Code::MethodNotConfigured };
    let act = Act::RegenerateRecoveryCodes;
    let (outcome, reached) = call.act(&app, &checked, act, |tried| Tried { conflict, ..tried }).await?;
    let Outcome::RecoveryCodes { recovery_codes } = outcome else {
        return Err(unexpected("regen-backup-codes").into());
    };
    Ok(Done { backup_codes: Some(recovery_codes), ..Done::saying("success") }.after(reached))
}
