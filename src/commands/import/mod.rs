//! `import`: accounts of another system, one event each.
//!
//! An account's id is derived from its address under the look-up key, so the same row is the same account however
//! often and wherever the import is run: an interrupted import is run again, and what is there is passed over.

mod rows;

use std::{
    collections::HashMap,
    fs::File,
    io::{BufRead, BufReader},
    process::ExitCode,
    sync::Arc,
};

use domain::{
    commands::Command,
    decision::{Context, Decider},
    evidence::{Claim, Evidence, Fact, Need},
    ids::{AccountId, AccountNumber},
    outcome::Refusal,
    state::{Account, Phase},
};
use event_store::engine::Request;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::{sync::Semaphore, task::JoinSet};

use self::rows::Row;
use super::say;
use crate::{
    Failure,
    cli::ImportArgs,
    config::{Config, ConfigError},
    engines::{Opened, Opening},
};

/// Rows that are on their way at once: appends share a commit, so many together cost little more than one.
const AT_ONCE: usize = 256;

/// What became of a row.
enum Told {
    Imported { account: AccountId, weak: Vec<usize> },
    There(AccountId),
    Refused(String),
}

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
    let length = file.metadata().map_or(0, |about| about.len());
    let opening = if arguments.dry_run { Opening::Existing } else { Opening::Create };
    let opened = Arc::new(Opened::open(config, opening).await?);
    let bar = bar(length);
    let (mut work, places) = (JoinSet::new(), Arc::new(Semaphore::new(AT_ONCE)));
    let (mut seen, mut totals) = (HashMap::new(), Totals::default());
    let mut waiting: Option<Row> = None;
    let mut number = 0;
    let mut lines = BufReader::new(file).split(b'\n');
    loop {
        let line = lines.next().transpose().map_err(Failure::other)?;
        let is_end = line.is_none();
        number += 1;
        let next = line.and_then(|bytes| {
            bar.inc(bytes.len() as u64 + 1);
            match String::from_utf8(bytes) {
                Ok(text) => Row::read(number, &text),
                Err(_) => Some(Err("is no UTF-8".to_owned())),
            }
        });
        let finished = match next {
            None if !is_end => continue,
            None => waiting.take(),
            Some(Err(reason)) => {
                tell(&bar, &mut totals, number, &Told::Refused(reason))?;
                waiting.take()
            }
            Some(Ok(next)) => match &mut waiting {
                Some(row) if row.goes_on_with(&next) => {
                    row.join(next);
                    continue;
                }
                waiting => waiting.replace(next),
            },
        };
        if let Some(row) = finished {
            let account = account_of(&opened, &row);
            if let Some(first) = seen.insert(account, row.line) {
                seen.insert(account, first);
                let reason = format!("has the address of line {first}: put what belongs together into one row");
                tell(&bar, &mut totals, row.line, &Told::Refused(reason))?;
            } else {
                let place = Arc::clone(&places).acquire_owned().await.map_err(Failure::other)?;
                let (opened, dry_run, line) = (Arc::clone(&opened), arguments.dry_run, row.line);
                work.spawn(async move {
                    let told = if dry_run {
                        rehearsed(&opened, account, row).await
                    } else {
                        taken(&opened, account, row).await
                    };
                    drop(place);
                    (line, told)
                });
            }
        }
        while let Some(done) = if is_end { work.join_next().await } else { work.try_join_next() } {
            let (line, told) = done.map_err(Failure::other)?;
            tell(&bar, &mut totals, line, &told?)?;
        }
        if is_end {
            break;
        }
    }
    bar.finish_and_clear();
    let Totals { imported, there, refused } = totals;
    let verb = if arguments.dry_run { "would be imported" } else { "imported" };
    say(format_args!("{imported} {verb}, {there} there already, {refused} refused"))?;
    if let Some(opened) = Arc::into_inner(opened) {
        opened.close().await;
    }
    Ok(if refused == 0 { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn bar(length: u64) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(length), ProgressDrawTarget::stderr_with_hz(5));
    let style = ProgressStyle::with_template("{bar:40} {percent}%  {elapsed} of about {duration}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}

/// A line of the report. Neither the address nor anything else of the row is in it.
fn tell(bar: &ProgressBar, totals: &mut Totals, line: usize, told: &Told) -> Result<(), Failure> {
    let text = match told {
        Told::Imported { account, weak } => {
            totals.imported += 1;
            let weak = weak.iter().map(|bits| format!(", weak TOTP key of {bits} bits")).collect::<Vec<_>>().concat();
            format!("line {line}: imported as {account}{weak}")
        }
        Told::There(account) => {
            totals.there += 1;
            format!("line {line}: there already as {account}")
        }
        Told::Refused(reason) => {
            totals.refused += 1;
            format!("line {line}: refused: {reason}")
        }
    };
    bar.suspend(|| say(text))
}

fn account_of(opened: &Opened, row: &Row) -> AccountId {
    let hash = opened.keys.ring().lookup_hash("imported account", &row.email.canonical());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash[..16]);
    AccountId(uuid::Builder::from_custom_bytes(bytes).into_uuid())
}

/// Imports one row, or nothing of it.
async fn taken(opened: &Opened, account: AccountId, row: Row) -> Result<Told, Failure> {
    if let Err(reason) = row.check_hashes() {
        return Ok(Told::Refused(reason));
    }
    let weak = row.weak_keys();
    let command = Command::ImportAccount { import: Box::new(row.into_import(account)) };
    let executed = opened.engine.execute(account, command, &opened.operator()?).await.map_err(Failure::other)?;
    match executed.outcome {
        Ok(_) => Ok(Told::Imported { account, weak }),
        Err(Refusal::Conflict) => stands_against(opened, account).await,
        Err(refusal) => Ok(Told::Refused(refusal.to_string())),
    }
}

/// Why an account is not imported: it was before, or its address is another's.
async fn stands_against(opened: &Opened, account: AccountId) -> Result<Told, Failure> {
    let state = opened.engine.load(account).await.map_err(Failure::other)?.state;
    Ok(match state.phase {
        Phase::Absent => Told::Refused("another account has this address".to_owned()),
        Phase::Erased => Told::Refused("was imported before and erased since".to_owned()),
        Phase::Confirmed | Phase::Unconfirmed { .. } => Told::There(account),
    })
}

/// What would happen to one row: the same rule, and nothing appended.
async fn rehearsed(opened: &Opened, account: AccountId, row: Row) -> Result<Told, Failure> {
    if let Err(reason) = row.check_hashes() {
        return Ok(Told::Refused(reason));
    }
    let known = opened.engine.load(account).await.map_err(Failure::other)?.state;
    if known.phase != Phase::Absent {
        return stands_against(opened, account).await;
    }
    if opened.engine.account_of(&row.email).await.map_err(Failure::other)?.is_some_and(|holder| holder != account) {
        return stands_against(opened, account).await;
    }
    let (weak, email, now) = (row.weak_keys(), row.email.clone(), opened.engine.now());
    let command = Command::ImportAccount { import: Box::new(row.into_import(account)) };
    let mut evidence = Evidence::new();
    evidence.add(Need::EmailClaim(email), Fact::EmailClaim(Claim::Held { at: now }));
    evidence.add(Need::AccountNumber, Fact::AccountNumber(AccountNumber(1)));
    let Request { caller, origin, .. } = opened.operator()?;
    let entropy = vault::random_entropy().map_err(Failure::other)?;
    let policy = opened.engine.policy();
    let context = Context { now, caller: &caller, origin: &origin, policy, entropy: &entropy, evidence: &evidence };
    Ok(match Account::default().decide(&command, &context).outcome {
        Ok(_) => Told::Imported { account, weak },
        Err(refusal) => Told::Refused(refusal.to_string()),
    })
}
