//! Administrative commands. They work beside a running server.

#[cfg(feature = "nats")]
mod dead_letters;
mod doctor;
mod erase;
mod healthcheck;
mod import;
mod keyring;
mod keys;
mod projections;
mod replay;
mod sessions;

use std::{
    io::{self, Write},
    process::ExitCode,
};

use crate::{
    Failure,
    cli::{Command, KeyringCommand, KeysCommand, ProjectionsCommand, SessionsCommand},
    config::Config,
};

/// Carries out a command other than `serve`.
pub async fn run(command: Command, config: &Config) -> Result<ExitCode, Failure> {
    match command {
        Command::Serve(_) => Err(Failure::other("serve is no administrative command")),
        Command::Keys(KeysCommand::Create(arguments)) => keys::create(config, arguments).await,
        Command::Sessions(SessionsCommand::CutOff(arguments)) => sessions::cut_off(config, &arguments).await,
        Command::Projections(ProjectionsCommand::Status { json }) => projections::status(config, json).await,
        Command::Projections(ProjectionsCommand::Rebuild { name, json }) => {
            projections::rebuild(config, &name, json).await
        }
        #[cfg(feature = "nats")]
        Command::DeadLetters(command) => dead_letters::run(config, command).await,
        Command::Replay(arguments) => replay::replay(config, &arguments).await,
        Command::Doctor => return doctor::doctor(config).await,
        Command::Import(arguments) => return import::import(config, &arguments).await,
        Command::Healthcheck => healthcheck::healthcheck(config),
        Command::Keyring(KeyringCommand::Create { file }) => keyring::create(&file),
        Command::Keyring(KeyringCommand::Rotate) => keyring::rotate(config).await,
        Command::Erase(arguments) => erase::erase(config, &arguments).await,
    }
    .map(|()| ExitCode::SUCCESS)
}

/// Writes one line to standard output. A reader that went away (`| head`) ends the command.
fn say(line: impl std::fmt::Display) -> Result<(), Failure> {
    writeln!(io::stdout(), "{line}").map_err(Failure::other)
}
