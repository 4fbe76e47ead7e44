//! Many accounts of another system at once.
//!
//! [`Engine::execute`] imports an account in a dozen steps, each a question of its own to the log or the keys, and
//! most of them find out what holds for nearly every row of an import: nothing is there yet. Here one question is
//! asked for all: a stream whose key was never made has no events, since a key is durable before the first event
//! that it seals. For those accounts the keys are made together, then the addresses are claimed, then the accounts
//! appended, each before the first version of its stream: whoever came between is met as a conflict, as everywhere.
//! What is not so plain, and what conflicts, goes through `execute`. So no rule is here, and what is appended is the
//! same.
//!
//! Commands of these accounts do not queue for it: nobody knows an account that was not there a moment ago, and
//! whoever does is met as a conflict too. Nothing is kept in memory either, since an import passes each account once.

use domain::{
    claim::{ClaimCommand, EmailClaim},
    commands::{AccountImport, Command},
    decision::{Context, Decider},
    entropy::Entropy,
    evidence::{AddressClaim, Claim, Evidence, Need, Question},
    ids::{AccountId, AddressHash, StreamId},
    state::Account,
    values::EmailAddress,
};
use futures::{
    future::try_join_all,
    stream::{self, StreamExt, TryStreamExt},
};

use vault::DataKey;

use crate::{Engine, ExecuteError, Executed, Loaded, Request, execute::Manner};
use event_store::port::WrappedKey;

/// Accounts of one call that are executed one by one, at a time.
const ONE_BY_ONE: usize = 64;

/// An account to be imported.
struct Row {
    account: AccountId,
    command: Command,
    request: Request,
    /// What came of it, when it was as plain as most.
    executed: Option<Executed>,
}

/// A row of which nothing is there.
struct New {
    /// Its place among the rows.
    place: usize,
    stream: StreamId,
    email: EmailAddress,
    address: StreamId,
}

/// The same with the keys of both streams.
struct Keyed {
    new: New,
    key: DataKey,
    address_key: DataKey,
}

impl Engine {
    /// Imports accounts: for each the same as [`Engine::execute`] with its command, in any order among them.
    /// Answers in the order of the rows, when all of them are durable.
    pub async fn import(&self, imports: Vec<(AccountImport, Request)>) -> Result<Vec<Executed>, ExecuteError> {
        let row = |(import, request): (AccountImport, Request)| Row {
            account: import.account_id,
            command: Command::ImportAccount { import: Box::new(import) },
            request,
            executed: None,
        };
        let mut rows: Vec<Row> = imports.into_iter().map(row).collect();
        let new = self.claimed_among(&rows, self.new_among(&rows).await?).await?;
        let appended = try_join_all(new.into_iter().map(|new| self.append_new(&rows, new))).await?;
        for (place, executed) in appended {
            if let Some(row) = rows.get_mut(place) {
                row.executed = executed;
            }
        }
        let answers = rows.into_iter().map(|row| async move {
            match row.executed {
                Some(executed) => Ok(executed),
                None => self.execute(row.account, row.command, &row.request).await,
            }
        });
        stream::iter(answers).buffered(ONE_BY_ONE).try_collect().await
    }

    /// The rows of which nothing is there, and against which no rule speaks.
    async fn new_among(&self, rows: &[Row]) -> Result<Vec<New>, ExecuteError> {
        let mut new = Vec::with_capacity(rows.len());
        let entropy = self.runtime().entropy()?;
        for (place, row) in rows.iter().enumerate() {
            if let Some(email) = self.address_to_claim(row, &entropy) {
                let address = StreamId::Email(AddressHash(self.address_hash(&email)));
                new.push(New { place, stream: StreamId::Account(row.account), email, address });
            }
        }
        let asked: Vec<_> = new.iter().filter_map(|new| Some((rows.get(new.place)?.account, &new.email))).collect();
        let mut untouched = self.untouched(&asked).await?.into_iter();
        new.retain(|_| untouched.next() == Some(true));
        Ok(new)
    }

    /// The address that the rule wants claimed before anything else; none when it refuses, or when there is an
    /// answer to be kept.
    fn address_to_claim(&self, row: &Row, entropy: &Entropy) -> Option<EmailAddress> {
        if row.request.idempotency.is_some() {
            return None;
        }
        let now = self.now();
        let context = Context {
            now,
            clock: now,
            caller: &row.request.caller,
            origin: &row.request.origin,
            policy: self.policy(),
            entropy,
        };
        match Account::default().decide(&row.command, &context, &Evidence::new()) {
            Err(Need::AddressClaim(AddressClaim(email))) => Some(email),
            Ok(_) | Err(_) => None,
        }
    }

    /// Makes the keys of the accounts and of their addresses, and claims the addresses; the rows that have both.
    async fn claimed_among(&self, rows: &[Row], new: Vec<New>) -> Result<Vec<Keyed>, ExecuteError> {
        let streams: Vec<StreamId> = new.iter().flat_map(New::streams).collect();
        let mut keys = self.keys().ensure_all(&streams).await?.into_iter();
        let keyed = new.into_iter().filter_map(|new| match (keys.next().flatten(), keys.next().flatten()) {
            (Some(key), Some(address_key)) => Some(Keyed { new, key, address_key }),
            _ => None,
        });
        let claims = try_join_all(keyed.map(|keyed| self.claim_new(rows, keyed))).await?;
        let mut claimed: Vec<Keyed> = claims.into_iter().flatten().collect();
        // An erasure that came between destroyed the claim together with the key.
        let addresses: Vec<StreamId> = claimed.iter().map(|keyed| keyed.new.address.clone()).collect();
        let mut kept = self.keys().kept(&addresses).await?.into_iter();
        claimed.retain(|_| matches!(kept.next(), Some(Some(WrappedKey::Wrapped { .. }))));
        Ok(claimed)
    }

    /// Claims the address of a row; none when something is there after all.
    async fn claim_new(&self, rows: &[Row], keyed: Keyed) -> Result<Option<Keyed>, ExecuteError> {
        let Some(row) = rows.get(keyed.new.place) else { return Ok(None) };
        let command = ClaimCommand::Claim { account_id: row.account, holder_completed: false };
        let (stream, key) = (&keyed.new.address, &keyed.address_key);
        let claimed = self.append_first::<EmailClaim>(stream, key, &command, &row.request, Evidence::new()).await?;
        Ok(claimed.map(|_| keyed))
    }

    /// Appends an account whose address is claimed; its place, and nothing more when something is there after all.
    async fn append_new(&self, rows: &[Row], keyed: Keyed) -> Result<(usize, Option<Executed>), ExecuteError> {
        let Keyed { new: New { place, stream, email, .. }, key, .. } = keyed;
        let Some(row) = rows.get(place) else { return Ok((place, None)) };
        let mut evidence = Evidence::new();
        evidence.add(AddressClaim(email).answered(Claim::Held { at: self.now() }));
        let executed = self.append_first::<Account>(&stream, &key, &row.command, &row.request, evidence).await?;
        Ok((place, executed))
    }

    /// Decides a command on a stream that is not there, and appends what it leads to. Nothing happens when that is
    /// nothing, or when the stream is there.
    async fn append_first<D: Decider>(
        &self,
        stream: &StreamId,
        key: &DataKey,
        command: &D::Command,
        request: &Request,
        mut evidence: Evidence,
    ) -> Result<Option<Executed>, ExecuteError> {
        let (entropy, loaded) = (self.runtime().entropy()?, Loaded::<D>::default());
        let (decision, now) = self.decided(stream, &loaded, command, request, &entropy, &mut evidence).await?;
        if decision.events.is_empty() {
            return Ok(None);
        }
        let (events, outcome) = (&decision.events, &decision.outcome);
        let manner = Manner::default();
        let sealed = self.sealed(stream, &loaded, events, outcome, request, &entropy, now, manner, Some(key)).await?;
        let Some(appended) = self.append(sealed.append).await? else { return Ok(None) };
        self.told(&decision.outcome, &evidence).await;
        Ok(Some(Executed { outcome: decision.outcome, position: appended.position, replayed: false }))
    }
}

impl New {
    fn streams(&self) -> [StreamId; 2] {
        [self.stream.clone(), self.address.clone()]
    }
}
