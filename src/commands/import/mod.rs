//! `import`: accounts of another system, one event each.
//!
//! An account's id is derived from its address under the look-up key, so the same row is the same account however
//! often and wherever the import is run: an interrupted import is run again, and what is there is passed over.
//!
//! Some hundred lines at a time are read, understood, imported and reported, and a few such windows are under way at
//! once: while one waits for the disk the next is worked on. The report has the order of the file all the same.

mod lines;
mod rows;
mod taking;
mod window;

use std::{fs::File, io::BufReader, pin::pin, process::ExitCode, sync::Arc, time::Duration};

use futures::{
    future,
    stream::{self, StreamExt, TryStreamExt},
};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use self::{
    lines::Chunks,
    taking::{Alone, Desk, Told, taken},
    window::{Joiner, Parsed, Window},
};
use super::say;
use crate::{
    Failure,
    cli::ImportArgs,
    config::{Config, ConfigError},
    engines::{Opened, Opening},
};

/// Windows whose lines are being understood, ahead of those that are being imported.
const READ_AHEAD: usize = 2;
/// Windows that are being imported at once: while some wait for a commit, others are sealed or answered.
const AT_ONCE: usize = 8;

/// What became of the rows so far.
#[derive(Default)]
struct Totals {
    imported: u64,
    there: u64,
    refused: u64,
}

/// Imports a file, row by row; with `--dry-run` only says what would happen.
pub async fn import(config: &Config, arguments: &ImportArgs) -> Result<ExitCode, Failure> {
    let file = File::open(&arguments.file).map_err(|error| {
        let problem = format!("{} cannot be read: {error}", arguments.file.display());
        ConfigError::new("FILE", problem, "name a file of JSON Lines or otpauth:// URIs")
    })?;
    let desk = Arc::new(if !arguments.dry_run {
        Desk::Import(Opened::open(config, Opening::Create).await?)
    } else if Opened::must_be_there(config).is_ok() {
        Desk::Rehearse(Opened::open(config, Opening::Existing).await?)
    } else {
        // Nothing is made for a look; but a folder's name that was mistyped must show.
        let place = config.data.display();
        say(format_args!("{place} holds no data yet: each row is looked at by itself"))?;
        Desk::Alone(Alone::new(config)?)
    });
    let Totals { imported, there, refused } = through(file, &desk).await?;
    let verb = if desk.is_rehearsal() { "would be imported" } else { "imported" };
    say(format_args!("{imported} {verb}, {there} there already, {refused} refused"))?;
    if let Some(desk) = Arc::into_inner(desk) {
        desk.close().await;
    }
    Ok(if refused == 0 { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// Goes through the file, and reports every row in its order.
async fn through(file: File, desk: &Arc<Desk>) -> Result<Totals, Failure> {
    let bar = bar(file.metadata().map_or(0, |about| about.len()));
    let (mut joiner, mut totals) = (Joiner::default(), Totals::default());
    let ring = desk.ring();
    let parsed = stream::iter(Chunks::new(BufReader::new(file))).map(|lines| {
        let ring = Arc::clone(&ring);
        async move {
            let lines = lines.map_err(Failure::other)?;
            tokio::task::spawn_blocking(move || Parsed::of(lines, &ring)).await.map_err(Failure::other)
        }
    });
    let parsed = parsed.buffered(READ_AHEAD).map(Some).chain(stream::once(future::ready(None)));
    let windows = parsed.map(|parsed| match parsed {
        Some(parsed) => Ok(joiner.window(parsed?)),
        None => Ok(joiner.end()),
    });
    let done = windows.map(|window: Result<Window, Failure>| {
        let desk = Arc::clone(desk);
        async move {
            let window = window?;
            let length = window.length;
            let taking = tokio::spawn(async move { taken(&desk, window.items).await });
            Ok::<_, Failure>((taking.await.map_err(Failure::other)??, length))
        }
    });
    let mut done = pin!(done.buffered(AT_ONCE));
    while let Some((rows, length)) = done.try_next().await? {
        report(&bar, &mut totals, &rows)?;
        bar.inc(length);
        let rows = totals.imported + totals.there + totals.refused;
        bar.set_message(format!("{rows} rows, {}/s", a_second(rows, bar.elapsed())));
    }
    bar.finish_and_clear();
    Ok(totals)
}

fn bar(length: u64) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(length), ProgressDrawTarget::stderr_with_hz(5));
    let style = ProgressStyle::with_template("{bar:40} {percent}%  {msg}  {elapsed} of about {duration}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}

fn a_second(count: u64, elapsed: Duration) -> u128 {
    u128::from(count) * 1_000 / elapsed.as_millis().max(1)
}

/// A line of the report for each row. Neither the address nor anything else of the row is in it.
fn report(bar: &ProgressBar, totals: &mut Totals, rows: &[(usize, Told)]) -> Result<(), Failure> {
    let lines: Vec<String> = rows
        .iter()
        .map(|(line, told)| match told {
            Told::Imported { account, weak } => {
                totals.imported += 1;
                let account = account.map(|account| format!(" as {account}")).unwrap_or_default();
                let weak: Vec<_> = weak.iter().map(|bits| format!(", weak TOTP key of {bits} bits")).collect();
                format!("line {line}: imported{account}{}", weak.concat())
            }
            Told::There(account) => {
                totals.there += 1;
                format!("line {line}: there already as {account}")
            }
            Told::Refused(reason) => {
                totals.refused += 1;
                format!("line {line}: refused: {reason}")
            }
        })
        .collect();
    if lines.is_empty() { Ok(()) } else { bar.suspend(|| say(lines.join("\n"))) }
}
