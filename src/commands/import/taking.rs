//! What becomes of rows: imported together, or looked at.

use domain::{
    commands::{AccountImport, Command},
    decision::{Context, Decider},
    evidence::{Claim, Evidence, Fact, Need},
    ids::{AccountId, AccountNumber},
    outcome::Refusal,
    state::{Account, Phase},
};
use event_store::engine::Request;
use futures::stream::{self, StreamExt, TryStreamExt};

use super::window::Item;
use crate::{Failure, engines::Opened};

/// Rows that are looked at one by one, at a time.
const ONE_BY_ONE: usize = 64;

/// What became of a row.
pub enum Told {
    /// It is an account now.
    Imported {
        /// The account.
        account: AccountId,
        /// Bits of its keys that are weak.
        weak: Vec<usize>,
    },
    /// It was before.
    There(AccountId),
    /// Nothing of it was imported.
    Refused(String),
}

/// Imports rows, each whole or nothing of it, or says what would happen to them; with their lines, in their order.
pub async fn taken(opened: &Opened, items: Vec<Item>, dry_run: bool) -> Result<Vec<(usize, Told)>, Failure> {
    let mut rows = Vec::with_capacity(items.len());
    let mut accepted = Vec::with_capacity(items.len());
    for item in items {
        match item {
            Item::Refused { line, reason } => rows.push((line, Some(Told::Refused(reason)))),
            Item::Import(row, account) => {
                rows.push((row.line, None));
                accepted.push((row.weak_keys(), row.into_import(account)));
            }
        }
    }
    let told = if dry_run { rehearsed_all(opened, accepted).await? } else { imported_all(opened, accepted).await? };
    let mut told = told.into_iter();
    Ok(rows.into_iter().filter_map(|(line, refused)| Some((line, refused.or_else(|| told.next())?))).collect())
}

type Accepted = (Vec<usize>, AccountImport);

async fn imported_all(opened: &Opened, accepted: Vec<Accepted>) -> Result<Vec<Told>, Failure> {
    let (weak, imports): (Vec<_>, Vec<_>) = accepted.into_iter().unzip();
    let accounts: Vec<AccountId> = imports.iter().map(|import| import.account_id).collect();
    let imports = imports.into_iter().map(|import| Ok((import, opened.operator()?)));
    let executed = opened.engine.import(imports.collect::<Result<_, Failure>>()?).await.map_err(Failure::other)?;
    let told = executed.into_iter().zip(accounts).zip(weak).map(|((executed, account), weak)| async move {
        match executed.outcome {
            Ok(_) => Ok(Told::Imported { account, weak }),
            Err(Refusal::Conflict) => stands_against(opened, account).await,
            Err(refusal) => Ok(Told::Refused(refusal.to_string())),
        }
    });
    stream::iter(told).buffered(ONE_BY_ONE).try_collect().await
}

async fn rehearsed_all(opened: &Opened, accepted: Vec<Accepted>) -> Result<Vec<Told>, Failure> {
    let told = accepted.into_iter().map(|(weak, import)| rehearsed(opened, weak, import));
    stream::iter(told).buffered(ONE_BY_ONE).try_collect().await
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
async fn rehearsed(opened: &Opened, weak: Vec<usize>, import: AccountImport) -> Result<Told, Failure> {
    let account = import.account_id;
    let known = opened.engine.load(account).await.map_err(Failure::other)?.state;
    if known.phase != Phase::Absent {
        return stands_against(opened, account).await;
    }
    let email = import.email.clone();
    if opened.engine.account_of(&email).await.map_err(Failure::other)?.is_some_and(|holder| holder != account) {
        return stands_against(opened, account).await;
    }
    let now = opened.engine.now();
    let command = Command::ImportAccount { import: Box::new(import) };
    let mut evidence = Evidence::new();
    evidence.add(Need::EmailClaim(email), Fact::EmailClaim(Claim::Held { at: now }));
    evidence.add(Need::AccountNumber, Fact::AccountNumber(AccountNumber(1)));
    let Request { caller, origin, .. } = opened.operator()?;
    let entropy = vault::random_entropy().map_err(Failure::other)?;
    let policy = opened.engine.policy();
    let context =
        Context { now, clock: now, caller: &caller, origin: &origin, policy, entropy: &entropy, evidence: &evidence };
    Ok(match Account::default().decide(&command, &context).outcome {
        Ok(_) => Told::Imported { account, weak },
        Err(refusal) => Told::Refused(refusal.to_string()),
    })
}
