//! Measures what Countersign must reach. Each measurement prints its number beside a baseline taken in the same
//! run on the same disk, since numbers of different machines cannot be compared and ratios can.
//!
//! ```sh
//! cargo build --release && cargo run --release -p bench -- all
//! cargo run --release -p bench -- --log postgres all
//! ```

mod appends;
mod attempts;
mod baseline;
mod catch_up;
mod cold_load;
mod commanded;
mod gateway;
mod http;
mod import;
mod large;
mod now;
mod place;
mod rebuild;
mod seed;
mod server;
mod startup;
mod strangers;

use std::{
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

use clap::{Parser, Subcommand};

use self::place::{Engine, Place};

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
    /// What keeps the log; a PostgreSQL server is started for the measurement
    #[arg(long, global = true, value_enum, default_value = "sqlite")]
    log: Engine,
    /// Other libraries, built in their own workspace
    #[arg(long, global = true, default_value = "bench/peers/target/release/peers")]
    peers: PathBuf,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Everything, in turn
    All,
    /// What disk and SQLite alone can do
    Baseline,
    /// Durable appends on PostgreSQL, beside pgbench and other libraries
    Appends(appends::Options),
    /// A subscription that catches up
    CatchUp {
        /// Events in the log
        #[arg(long, default_value_t = 500_000)]
        events: usize,
    },
    /// A store with many accounts beside an empty one
    Large {
        /// Accounts
        #[arg(long, default_value_t = 1_000_000)]
        accounts: usize,
        /// Events of each
        #[arg(long, default_value_t = 10)]
        events_per_account: usize,
    },
    /// Second-factor checks over HTTP, durably recorded: right TOTP codes on prepared step-ups of distinct accounts
    Attempts {
        /// How many checks
        #[arg(long, default_value_t = 30_000)]
        count: usize,
        /// Clients at a time, each with a connection
        #[arg(long, default_value_t = 32)]
        clients: usize,
    },
    /// Accounts of another system, imported; views excluded
    Import {
        /// How many
        #[arg(long, default_value_t = 60_000)]
        accounts: usize,
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
        /// Through a NATS server that is started for it
        #[arg(long)]
        nats: bool,
    },
    /// What an owner waits while 10,000 sources press
    Strangers(strangers::Options),
    /// A rebuild of all views in one pass
    Rebuild {
        /// Events in the log
        #[arg(long, default_value_t = 500_000)]
        events: usize,
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
    let place = async |name: &str| Place::new(cli.log, &folder.join(name)).await;
    match &cli.what {
        What::Baseline => baseline::measure(folder).map(|_| ()),
        What::Appends(options) => appends::measure(folder, &cli.peers, *options).await,
        What::CatchUp { events } => catch_up::measure(&place("data").await?, *events).await,
        What::Large { accounts, events_per_account } => {
            large::measure(&cli.binary, cli.log, folder, *accounts, *events_per_account).await
        }
        What::Attempts { count, clients } => {
            attempts::measure(&cli.binary, &place("data").await?, *count, *clients).await
        }
        What::Import { accounts } => import::measure(&cli.binary, &place("data").await?, *accounts).await,
        What::Startup { events } => startup::measure(&cli.binary, &place("data").await?, *events).await,
        What::Memory => startup::memory(&cli.binary, &place("data").await?).await,
        What::ColdLoad { events } => cold_load::measure(&place("data").await?, *events).await,
        What::Gateway { rate, seconds, nats } => gateway::measure(&place("data").await?, *nats, *rate, *seconds).await,
        What::Strangers(options) => strangers::measure(&cli.binary, &place("data").await?, options).await,
        What::Rebuild { events } => rebuild::measure(&place("data").await?, *events).await,
        What::All => {
            attempts::measure(&cli.binary, &place("attempts").await?, 30_000, 32).await?;
            if cli.log == Engine::Postgres {
                appends::measure(&folder.join("appends"), &cli.peers, appends::USUAL).await?;
            }
            import::measure(&cli.binary, &place("import").await?, 60_000).await?;
            catch_up::measure(&place("catch-up").await?, 500_000).await?;
            startup::measure(&cli.binary, &place("startup").await?, 0).await?;
            startup::measure(&cli.binary, &place("million").await?, 1_000_000).await?;
            startup::memory(&cli.binary, &place("memory").await?).await?;
            cold_load::measure(&place("cold").await?, 10_000).await?;
            rebuild::measure(&place("rebuild").await?, 500_000).await?;
            gateway::measure(&place("gateway").await?, false, 50, 10).await?;
            gateway::measure(&place("nats").await?, true, 50, 10).await?;
            strangers::measure(&cli.binary, &place("strangers").await?, &strangers::USUAL).await
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
