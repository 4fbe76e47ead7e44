//! `sessions cut-off`.

use domain::{cut_off::CutOffSessions, values::FreeText};

use super::say;
use crate::{
    Failure,
    cli::CutOff,
    config::Config,
    engines::{Opened, Opening},
};

/// Ends all sessions and access tokens that began before a moment.
pub async fn cut_off(config: &Config, arguments: &CutOff) -> Result<(), Failure> {
    let reason = FreeText::parse(&arguments.reason).map_err(|error| Failure::Other(format!("--reason {error}")))?;
    let opened = Opened::open(config, Opening::Existing).await?;
    let command = CutOffSessions { before: arguments.before, reason };
    let executed = opened.engine.cut_off_sessions(&command, &opened.operator()?).await.map_err(Failure::other)?;
    executed.outcome.map_err(Failure::other)?;
    opened.close().await;
    say(format_args!("sessions and access tokens from before {} are over", arguments.before))
}
