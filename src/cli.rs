//! The command line: what can be asked of the binary, with examples.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, Parser, Subcommand};
use domain::{ids::AccountId, time::Timestamp, values::Scope};

use crate::role::Role;

/// Self-hosted two-factor authentication. Without a command it serves.
#[derive(Debug, Parser)]
#[command(name = "countersign", version, about, after_help = EXAMPLES)]
pub struct Cli {
    /// Where data is and which settings apply.
    #[command(flatten)]
    pub place: Place,
    /// What to do.
    #[command(subcommand)]
    pub command: Option<Command>,
}

const EXAMPLES: &str = "\
Examples:
  countersign                                          serve on http://127.0.0.1:8080, data in ./countersign-data
  countersign serve --listen 127.0.0.1:9000            serve elsewhere
  countersign keys create --name shop --scopes accounts:write,introspect
  countersign replay 0198c5f0-6b1e-7c80-9a52-0d5f3a3c2b11
  countersign doctor                                   what is wrong, and what to do about it

Settings come from the file of --config, then from the environment: COUNTERSIGN__LISTEN=127.0.0.1:9000,
COUNTERSIGN__POLICY__CODE_LIVES=300. docs/configuration.md lists them.";

/// Where data is and which settings apply.
#[derive(Debug, Clone, Default, Args)]
pub struct Place {
    /// Folder of the log, the views and the keys [default: ./countersign-data]
    #[arg(long, global = true, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Settings file (TOML)
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve HTTP and do the work behind it (the default)
    #[command(after_help = "\
Examples:
  countersign serve
  countersign serve --data /var/lib/countersign --listen 127.0.0.1:8080
  countersign serve --config /etc/countersign.toml --roles api,projections

The first Ctrl-C (or SIGTERM) finishes what is in flight; a second one, or 30 seconds, stops at once.")]
    Serve(ServeArgs),
    /// API keys of programs
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Sessions of all accounts
    #[command(subcommand)]
    Sessions(SessionsCommand),
    /// Read models
    #[command(subcommand)]
    Projections(ProjectionsCommand),
    /// What the workers could not carry out: look at it, and send it again
    #[cfg(feature = "nats")]
    #[command(subcommand)]
    DeadLetters(DeadLettersCommand),
    /// Show an account's history step by step, with what each event changed
    #[command(after_help = "\
Examples:
  countersign replay 0198c5f0-6b1e-7c80-9a52-0d5f3a3c2b11
  countersign replay 0198c5f0-6b1e-7c80-9a52-0d5f3a3c2b11 --at 2026-11-24T10:00:00Z
  countersign replay 0198c5f0-6b1e-7c80-9a52-0d5f3a3c2b11 --json | jq .changes

Personal values are never shown. The replay itself is recorded in the history.")]
    Replay(ReplayArgs),
    /// Look at everything Countersign depends on, and say what to do
    #[command(after_help = "\
Examples:
  countersign doctor
  countersign doctor --data /var/lib/countersign

Exit code 0: all well. 1: something needs a hand; each line says what.")]
    Doctor,
    /// Ask the process with these settings whether it works: for the health checks of containers
    #[command(after_help = "\
Example:
  countersign healthcheck --config /etc/countersign.toml

Exit code 0: it works. 1: it does not answer, or says that it is not ready.")]
    Healthcheck,
    /// Import accounts of another system with their second factors
    #[command(after_help = "\
Examples:
  countersign import accounts.jsonl --dry-run
  countersign import accounts.jsonl > report.txt

A line is a JSON object (email, methods, recovery_codes as hashes, password as a hash) or an otpauth:// URI, with its
address in it or before it. docs/moving-from-vast-ai.md has the format. One line of report per row; nothing is imported
of a row that is wrong. Run it again after an interruption: what is there already is passed over.

Exit code 0: all rows are in. 1: some were refused; each line says why.")]
    Import(ImportArgs),
    /// The key ring
    #[command(subcommand)]
    Keyring(KeyringCommand),
    /// Erase an account: its personal data can never be read again
    #[command(after_help = "\
Example:
  countersign erase 0198c5f0-6b1e-7c80-9a52-0d5f3a3c2b11 --yes

Its history stays and can be replayed; every personal value in it reads as erased.")]
    Erase(EraseArgs),
}

/// How to serve.
#[derive(Debug, Clone, Default, Args)]
pub struct ServeArgs {
    /// Address of the HTTP interface [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<SocketAddr>,
    /// What this process does, separated by commas [default: all]
    #[arg(long, value_name = "ROLES", value_delimiter = ',', value_enum)]
    pub roles: Option<Vec<Role>>,
}

/// API keys.
#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// Create a key and print it, alone, on standard output; it is shown this once
    #[command(after_help = "\
Examples:
  countersign keys create --name shop --scopes accounts:write,sessions:issue
  KEY=$(countersign keys create --name auditor --scopes audit:read --expires 2027-01-01T00:00:00Z)

It works beside a running server. Scopes: admin, accounts:write, sessions:issue, introspect, security:read,
support:write, audit:read, audit:pii.")]
    Create(CreateKey),
}

/// A key to be.
#[derive(Debug, Args)]
pub struct CreateKey {
    /// What it is called
    #[arg(long)]
    pub name: String,
    /// What it may do, separated by commas
    #[arg(long, value_delimiter = ',', required = true, value_parser = scope)]
    pub scopes: Vec<Scope>,
    /// When it ends (RFC 3339) [default: never]
    #[arg(long, value_name = "TIME")]
    pub expires: Option<Timestamp>,
}

fn scope(text: &str) -> Result<Scope, String> {
    let names: Vec<&str> = Scope::ALL.iter().map(|(_, name)| *name).collect();
    Scope::parse(text).ok_or_else(|| format!("the scopes are {}", names.join(", ")))
}

/// Sessions of all accounts.
#[derive(Debug, Subcommand)]
pub enum SessionsCommand {
    /// End all sessions and access tokens that began before a moment, of every account
    #[command(after_help = "\
Example:
  countersign sessions cut-off --before 2026-11-24T10:00:00Z --reason 'a proxy was broken into'

It works beside a running server, which respects it within a second. API keys stay. The moment must not be in the
future, and an earlier one than before changes nothing.")]
    CutOff(CutOff),
}

/// From when, and why.
#[derive(Debug, Args)]
pub struct CutOff {
    /// What began before this moment (RFC 3339) is over
    #[arg(long, value_name = "TIME")]
    pub before: Timestamp,
    /// Why; it stands in the history
    #[arg(long)]
    pub reason: String,
}

/// Read models.
#[derive(Debug, Subcommand)]
pub enum ProjectionsCommand {
    /// How far each view is, and how far behind the log
    Status {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Build a view again from the log beside the live one, compare the two, and swap it in
    #[command(after_help = "\
Examples:
  countersign projections rebuild accounts
  countersign projections rebuild all

Prints the digest of the live view and of the rebuilt one. They are equal unless the view was damaged.")]
    Rebuild {
        /// Name of the view, or `all`
        name: String,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
}

/// What the workers could not carry out, where a broker is between them and the log.
#[cfg(feature = "nats")]
#[derive(Debug, Subcommand)]
pub enum DeadLettersCommand {
    /// List them, oldest first
    #[command(after_help = "\
Examples:
  countersign dead-letters list --config /etc/countersign.toml
  countersign dead-letters list --config /etc/countersign.toml --json | jq -r .reason | sort | uniq -c

Reasons: unreadable_message (not one of the relay's), unknown_type, event_not_in_log, other_event_in_log,
unreadable_event (written by a later version), given_up (the worker's log says why), too_many_deliveries.")]
    List {
        /// At most so many
        #[arg(long, default_value_t = 1_000)]
        limit: usize,
        /// One JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// Show one with its message and headers, as JSON
    #[command(after_help = "\
Example:
  countersign dead-letters show 7 --config /etc/countersign.toml

A message names an event and holds nothing personal; `countersign replay` shows the account's history around it.")]
    Show {
        /// Its number, as `list` shows it
        #[arg(value_name = "SEQ")]
        sequence: u64,
    },
    /// Send one or all of them again, once what they failed on is mended
    #[command(after_help = "\
Examples:
  countersign dead-letters redrive 7 --config /etc/countersign.toml
  countersign dead-letters redrive --all --config /etc/countersign.toml

What was carried out meanwhile is not carried out twice, and a code past its end is not sent.")]
    Redrive(Redrive),
}

/// Which dead letters to send again.
#[cfg(feature = "nats")]
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct Redrive {
    /// Its number, as `list` shows it
    #[arg(value_name = "SEQ")]
    pub sequence: Option<u64>,
    /// All that are there now
    #[arg(long)]
    pub all: bool,
}

/// Which history to show.
#[derive(Debug, Args)]
pub struct ReplayArgs {
    /// The account's id
    pub account: AccountId,
    /// Stop at this moment (RFC 3339)
    #[arg(long, value_name = "TIME")]
    pub at: Option<Timestamp>,
    /// One JSON object a line
    #[arg(long)]
    pub json: bool,
}

/// The key ring.
#[derive(Debug, Subcommand)]
pub enum KeyringCommand {
    /// Make a key ring in a file, for a set-up whose data is not in a folder of its own
    #[command(after_help = "\
Example:
  countersign keyring create /etc/countersign/keyring.toml

Name it with key_ring_file, and back it up apart from the database: without it nothing can be read. A file that
is there already is left alone.")]
    Create {
        /// The file
        file: PathBuf,
    },
    /// Add a key, make it the current one, and wrap all data keys with it
    #[command(after_help = "\
Example:
  countersign keyring rotate

Old keys stay on the ring: what was wrapped with them before a backup can still be opened. It works beside a
running server, which reads the ring again when it meets the new key.")]
    Rotate,
}

/// What to import.
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// JSON Lines, or a list of otpauth:// URIs
    pub file: PathBuf,
    /// Only say what would happen
    #[arg(long)]
    pub dry_run: bool,
}

/// Whom to erase.
#[derive(Debug, Args)]
pub struct EraseArgs {
    /// The account's id
    pub account: AccountId,
    /// Do it: there is no way back
    #[arg(long)]
    pub yes: bool,
}
