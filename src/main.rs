//! The binary `countersign`: command line, settings, telemetry, and the wiring of the rooms.

#[cfg(feature = "nats")]
mod broker;
mod cli;
mod clock;
mod commands;
mod config;
mod data_folder;
mod engines;
mod gateways;
mod http;
mod key_ring;
mod role;
mod serve;
mod telemetry;

use std::{
    io::{self, Write},
    process::ExitCode,
};

use clap::Parser;
use cli::{Cli, Command};
use config::{Config, ConfigError};
use domain::inquiry::NeverEnough;
use telemetry::Telemetry;

// glibc keeps what argon2 frees; this one gives it back.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Why the process ends badly.
#[derive(Debug, thiserror::Error)]
enum Failure {
    /// A setting: nothing was started. Exit code 2.
    #[error(transparent)]
    Setting(#[from] ConfigError),
    /// Anything else. Exit code 1.
    #[error("{0}")]
    Other(String),
}

impl From<NeverEnough> for Failure {
    fn from(error: NeverEnough) -> Self {
        Self::other(error)
    }
}

impl Failure {
    fn other(error: impl std::fmt::Display) -> Self {
        Self::Other(error.to_string())
    }
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli) {
        Ok(code) => code,
        Err(failure) => {
            let _ = writeln!(io::stderr(), "countersign: {failure}");
            ExitCode::from(if matches!(failure, Failure::Setting(_)) { 2 } else { 1 })
        }
    }
}

fn run(cli: Cli) -> Result<ExitCode, Failure> {
    // Two providers are in the dependency graph, so rustls would not choose by itself. An error says that one
    // was installed already.
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
    let command = cli.command.unwrap_or_else(|| Command::Serve(cli::ServeArgs::default()));
    match command {
        Command::Serve(arguments) => {
            let config = Config::load(&cli.place, &arguments)?;
            let telemetry = Telemetry::start(&config)?;
            let metrics = telemetry::count().map_err(Failure::Other)?;
            let result = runtime(&config)?.block_on(serve::serve(&config, metrics));
            telemetry.flush();
            result
        }
        command => {
            let mut config = Config::load(&cli.place, &cli::ServeArgs::default())?;
            config.administer();
            let telemetry = Telemetry::start(&config)?;
            let result = runtime(&config)?.block_on(commands::run(command, &config));
            telemetry.flush();
            result
        }
    }
}

/// Threads for what blocks, besides those of the hashes: a burst of sign-ins leaves them to the others.
const BLOCKING: usize = 8;

fn runtime(config: &Config) -> Result<tokio::runtime::Runtime, Failure> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.enable_all().thread_name("countersign").max_blocking_threads(BLOCKING + engines::hasher(config).threads);
    builder.build().map_err(Failure::other)
}
