//! `erase`.

use domain::{commands::Command, ids::StreamId};

use super::say;
use crate::{
    Failure,
    cli::EraseArgs,
    config::Config,
    engines::{Opened, Opening},
};

/// Erases an account: first its history says so, then its keys go. May be repeated when it was interrupted.
pub async fn erase(config: &Config, arguments: &EraseArgs) -> Result<(), Failure> {
    if !arguments.yes {
        return Err(Failure::other("there is no way back: say --yes when you mean it"));
    }
    let opened = Opened::open(config, Opening::Existing).await?;
    let account = arguments.account;
    let state = opened.engine.load(account).await.map_err(Failure::other)?.state;
    if state.id.is_none() {
        return Err(Failure::Other(format!("there is no {}", StreamId::Account(account))));
    }
    if state.phase != domain::state::Phase::Erased {
        let request = opened.operator()?;
        let command = Command::EraseAccount { verification_id: None };
        let executed = opened.engine.execute(account, command, &request).await.map_err(Failure::other)?;
        executed.outcome.map_err(Failure::other)?;
    }
    opened.engine.erase_after(account).await.map_err(Failure::other)?;
    opened.close().await;
    say(format_args!("{account} is erased: what it held can never be read again"))
}
