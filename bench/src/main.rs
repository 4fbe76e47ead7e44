//! Measures what Countersign must reach. Each measurement prints its number beside a baseline taken in the same
//! run on the same disk, since numbers of different machines cannot be compared and ratios can.
//!
//! ```sh
//! cargo build --release && cargo run --release -p bench -- all
//! ```

mod attempts;
mod baseline;
mod cold_load;
mod gateway;
mod http;
mod now;
mod seed;
mod server;
mod startup;

use std::{
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

use clap::{Parser, Subcommand};

type Failure = Box<dyn std::error::Error + Send + Sync>;
type Measured = Result<(), Failure>;

/// Benchmarks of Countersign
#[derive(Debug, Parser)]
#[command(after_help = "Build the server first: cargo build --release")]
struct Cli {
    /// The server that is measured
    #[arg(long, global = true, default_value = "target/release/countersign")]
    binary: PathBuf,
    /// Folder for data: its disk is what is measured [default: the system's folder for temporary files]
    #[arg(long, global = true)]
    folder: Option<PathBuf>,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Everything, in turn
    All,
    /// What disk and SQLite alone can do
    Baseline,
    /// Second-factor checks over HTTP, durably recorded: right TOTP codes on prepared step-ups of distinct accounts
    Attempts {
        /// How many checks
        #[arg(long, default_value_t = 30_000)]
        count: usize,
        /// Clients at a time, each with a connection
        #[arg(long, default_value_t = 32)]
        clients: usize,
    },
    /// Time to start, and memory
    Startup {
        /// Events in the store
        #[arg(long, default_value_t = 0)]
        events: usize,
    },
    /// Memory 60 s after 100 sign-ins
    Memory,
    /// An account with a long history, cold, beside one with a short one
    ColdLoad {
        /// Events of the long one
        #[arg(long, default_value_t = 10_000)]
        events: u64,
    },
    /// From command to gateway
    Gateway {
        /// Codes a second
        #[arg(long, default_value_t = 50)]
        rate: u32,
        /// For how many seconds
        #[arg(long, default_value_t = 10)]
        seconds: u32,
    },
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let folder = match &cli.folder {
        Some(folder) => tempfile::tempdir_in(folder),
        None => tempfile::tempdir(),
    };
    let measured = folder.map_err(Failure::from).and_then(|folder| {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        runtime.block_on(measure(&cli, folder.path()))
    });
    match measured {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "bench: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn measure(cli: &Cli, folder: &std::path::Path) -> Measured {
    match &cli.what {
        What::Baseline => baseline::measure(folder).map(|_| ()),
        What::Attempts { count, clients } => attempts::measure(&cli.binary, folder, *count, *clients).await,
        What::Startup { events } => startup::measure(&cli.binary, folder, *events).await,
        What::Memory => startup::memory(&cli.binary, folder).await,
        What::ColdLoad { events } => cold_load::measure(folder, *events).await,
        What::Gateway { rate, seconds } => gateway::measure(folder, *rate, *seconds).await,
        What::All => {
            let sub = |name: &str| {
                let path = folder.join(name);
                std::fs::create_dir(&path).map(|()| path)
            };
            attempts::measure(&cli.binary, &sub("attempts")?, 30_000, 32).await?;
            startup::measure(&cli.binary, &sub("startup")?, 0).await?;
            startup::measure(&cli.binary, &sub("million")?, 1_000_000).await?;
            startup::memory(&cli.binary, &sub("memory")?).await?;
            cold_load::measure(&sub("cold")?, 10_000).await?;
            gateway::measure(&sub("gateway")?, 50, 10).await
        }
    }
}

/// Prints one result.
fn report(line: impl std::fmt::Display) {
    let _ = writeln!(io::stdout(), "{line}");
}

/// The value below which this part of a sorted list lies.
fn quantile(sorted: &[std::time::Duration], part: f64) -> std::time::Duration {
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an index"
    )]
    let index = ((sorted.len().saturating_sub(1)) as f64 * part).round() as usize;
    sorted.get(index).copied().unwrap_or_default()
}
