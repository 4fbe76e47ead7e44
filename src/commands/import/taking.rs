//! What becomes of rows: imported together, or looked at.

use std::sync::Arc;

use domain::{
    commands::{AccountImport, Command},
    decision::Context,
    evidence::{Claim, Evidence, Need, Question},
    ids::{AccountId, AccountNumber},
    inquiry,
    outcome::Refusal,
    policy::Policy,
    state::{Account, Phase},
    values::{Caller, Origin},
};
use futures::stream::{self, StreamExt, TryStreamExt};
use runtime::Runtime;
use vault::KeyRing;

use super::window::Item;
use crate::{Failure, clock, config::Config, engines::Opened};

/// Rows that are looked at one by one, at a time.
const ONE_BY_ONE: usize = 64;

/// Where rows are taken to.
#[expect(clippy::large_enum_variant, reason = "one of them for a whole run")]
pub enum Desk {
    /// What is there: rows are imported.
    Import(Opened),
    /// The same, and rows are only held against it.
    Rehearse(Opened),
    /// Nothing is there, and nothing is made: rows are judged by themselves.
    Alone(Alone),
}

/// What rows are judged by where nothing is.
pub struct Alone {
    /// Rows of one address are told by it.
    ring: Arc<KeyRing>,
    policy: Policy,
    runtime: Runtime,
}

impl Alone {
    /// By these settings. The ring is of this run alone: an import will make another, or read the one that is named.
    pub fn new(config: &Config) -> Result<Self, Failure> {
        let runtime = clock::runtime()?;
        let ring = Arc::new(KeyRing::generate(&runtime).map_err(Failure::other)?);
        Ok(Self { ring, policy: config.policy.clone(), runtime })
    }
}

impl Desk {
    /// Whether nothing is imported, whatever the rows say.
    pub const fn is_rehearsal(&self) -> bool {
        !matches!(self, Self::Import(_))
    }

    /// By what the account of an address is found.
    pub fn ring(&self) -> Arc<KeyRing> {
        match self {
            Self::Import(opened) | Self::Rehearse(opened) => opened.keys.ring(),
            Self::Alone(alone) => Arc::clone(&alone.ring),
        }
    }

    /// Closes what was opened.
    pub async fn close(self) {
        if let Self::Import(opened) | Self::Rehearse(opened) = self {
            opened.close().await;
        }
    }
}

/// What became of a row.
pub enum Told {
    /// It is an account now.
    Imported {
        /// The account; none where its id is not known before the key ring is made.
        account: Option<AccountId>,
        /// Bits of its keys that are weak.
        weak: Vec<usize>,
    },
    /// It was before.
    There(AccountId),
    /// Nothing of it was imported.
    Refused(String),
}

/// Imports rows, each whole or nothing of it, or says what would happen to them; with their lines, in their order.
pub async fn taken(desk: &Desk, items: Vec<Item>) -> Result<Vec<(usize, Told)>, Failure> {
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
    let told = match desk {
        Desk::Import(opened) => imported_all(opened, accepted).await?,
        Desk::Rehearse(opened) => rehearsed_all(opened, accepted).await?,
        Desk::Alone(Alone { policy, runtime, .. }) => {
            let judged = accepted.into_iter().map(|(weak, import)| judged(runtime, policy, weak, None, import));
            judged.collect::<Result<_, Failure>>()?
        }
    };
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
            Ok(_) => Ok(Told::Imported { account: Some(account), weak }),
            Err(Refusal::Conflict) => Ok(stands_against(account, phase(opened, account).await?)),
            Err(refusal) => Ok(Told::Refused(refusal.to_string())),
        }
    });
    stream::iter(told).buffered(ONE_BY_ONE).try_collect().await
}

async fn rehearsed_all(opened: &Opened, accepted: Vec<Accepted>) -> Result<Vec<Told>, Failure> {
    let asked: Vec<_> = accepted.iter().map(|(_, import)| (import.account_id, &import.email)).collect();
    let untouched = opened.engine.untouched(&asked).await.map_err(Failure::other)?;
    let told = accepted.into_iter().zip(untouched).map(|((weak, import), is_new)| async move {
        let stands_against = if is_new { None } else { against(opened, &import).await? };
        match stands_against {
            Some(told) => Ok(told),
            None => judged(&opened.runtime, opened.engine.policy(), weak, Some(import.account_id), import),
        }
    });
    stream::iter(told).buffered(ONE_BY_ONE).try_collect().await
}

/// What would stand against a row of which something was stored before.
async fn against(opened: &Opened, import: &AccountImport) -> Result<Option<Told>, Failure> {
    let account = import.account_id;
    let phase = phase(opened, account).await?;
    let is_free = phase == Phase::Absent
        && opened.engine.holder_of(&import.email).await.map_err(Failure::other)?.is_none_or(|holder| holder == account);
    Ok((!is_free).then(|| stands_against(account, phase)))
}

async fn phase(opened: &Opened, account: AccountId) -> Result<Phase, Failure> {
    Ok(opened.engine.load(account).await.map_err(Failure::other)?.state.phase)
}

/// Why an account is not imported: it was before, or its address is another's.
fn stands_against(account: AccountId, phase: Phase) -> Told {
    match phase {
        Phase::Absent => Told::Refused("another account has this address".to_owned()),
        Phase::Erased => Told::Refused("was imported before and erased since".to_owned()),
        Phase::Confirmed | Phase::Unconfirmed { .. } => Told::There(account),
    }
}

/// What the rule says to a row whose address is free.
fn judged(
    runtime: &Runtime,
    policy: &Policy,
    weak: Vec<usize>,
    account: Option<AccountId>,
    import: AccountImport,
) -> Result<Told, Failure> {
    let now = runtime.now();
    let command = Command::ImportAccount { import: Box::new(import) };
    let entropy = runtime.entropy().map_err(Failure::other)?;
    let (caller, origin) = (&Caller::Operator, &Origin::default());
    let context = Context { now, clock: now, caller, origin, policy, entropy: &entropy };
    let find_out = |need| match need {
        Need::AddressClaim(question) => Ok(question.answered(Claim::Held { at: now })),
        Need::NextAccountNumber(question) => Ok(question.answered(AccountNumber(1))),
        _ => Err(Failure::other("an import needs nothing else")),
    };
    let decision = inquiry::decided(&Account::default(), &command, &context, &mut Evidence::new(), find_out)?;
    Ok(match decision.outcome {
        Ok(_) => Told::Imported { account, weak },
        Err(refusal) => Told::Refused(refusal.to_string()),
    })
}
