//! Addresses: who holds one, claiming it, giving it back.
//!
//! The stream of an address is named by its keyed hash. Erasing the account that holds an address
//! destroys the key of that stream, and no key is ever made again for a stream; so whoever uses the
//! address next gets the next stream of the same hash: `email-<hash>`, `email-<hash>-2`, and so on.
//! The current one is the first whose key was not destroyed.

use std::future::Future;

use domain::{
    claim::{ClaimCommand, EmailClaim},
    decision::Decider as _,
    events::{Event, RevocationReason},
    evidence::Claim,
    ids::{AccountId, AddressHash, StreamId},
    outcome::Refusal,
    secret::to_hex,
    state::Account,
    time::Timestamp,
    values::EmailAddress,
};

use crate::{Engine, ExecuteError, Request};
use event_store::keys::{KeyState, KeysError};

/// Erasures of one address that are looked through before something must be wrong.
const STREAMS_OF_AN_ADDRESS: u32 = 1_000;

impl Engine {
    /// The account that an address signs in to. One that is reserved for an undo, or that was not given back yet,
    /// signs nobody in.
    pub async fn account_of(&self, email: &EmailAddress) -> Result<Option<AccountId>, ExecuteError> {
        let Some(holder) = self.holder_of(email).await? else { return Ok(None) };
        Ok(self.load(holder).await?.state.answers_to(email).then_some(holder))
    }

    /// The account that holds an address.
    pub async fn holder_of(&self, email: &EmailAddress) -> Result<Option<AccountId>, ExecuteError> {
        let stream = self.stream_of(email).await?;
        Ok(self.load_stream::<EmailClaim>(&stream).await?.state.account())
    }

    /// Of which of these accounts and addresses nothing was ever stored; one question for all. A stream whose key was
    /// never made has no events, since a key is durable before the first event that it seals.
    pub async fn untouched(&self, asked: &[(AccountId, &EmailAddress)]) -> Result<Vec<bool>, ExecuteError> {
        let streams = asked.iter().flat_map(|(account, email)| {
            [StreamId::Account(*account), StreamId::Email(AddressHash(self.address_hash(email)))]
        });
        let kept = self.keys().kept(&streams.collect::<Vec<_>>()).await?;
        Ok(kept.chunks(2).map(|kept| kept.iter().all(Option::is_none)).collect())
    }

    /// The current stream of an address; a minute after an erasure at the latest.
    pub(crate) async fn stream_of(&self, email: &EmailAddress) -> Result<StreamId, ExecuteError> {
        let hash = self.address_hash(email);
        first_living(&hash, |stream| async move { self.keys().state(&stream).await }).await
    }

    async fn stream_of_now(&self, email: &EmailAddress) -> Result<StreamId, ExecuteError> {
        let hash = self.address_hash(email);
        first_living(&hash, |stream| async move { self.keys().state_in_store(&stream).await }).await
    }

    /// Keyed hash of an address.
    pub(crate) fn address_hash(&self, email: &EmailAddress) -> String {
        to_hex(&self.keys().ring().lookup_hash("email", &email.canonical()))
    }

    /// Claims an address for an account, at this moment of the account's own time.
    pub(crate) async fn claim(
        &self,
        email: &EmailAddress,
        account: AccountId,
        request: &Request,
        at: Timestamp,
    ) -> Result<Claim, ExecuteError> {
        loop {
            let stream = self.stream_of_now(email).await?;
            let holder = self.load_now::<EmailClaim>(&stream).await?.state.account();
            let holder_completed = match holder {
                Some(holder) => self.keeps(holder, email).await?,
                None => false,
            };
            let command = ClaimCommand::Claim { account_id: account, holder_completed };
            // Boxed: executing an account's command claims an address, which executes a command.
            let executed = Box::pin(self.execute_on::<EmailClaim>(&stream, &command, &request.inner())).await?;
            match executed.outcome {
                // An erasure that came between destroyed the claim together with the key.
                Ok(_) if matches!(self.keys().state_in_store(&stream).await?, KeyState::Erased) => {}
                Ok(_) => return Ok(Claim::Held { at }),
                Err(Refusal::Conflict) => return Ok(Claim::HeldByAnother),
                Err(refusal) => return Err(ExecuteError::Internal(format!("a claim was refused: {refusal}"))),
            }
        }
    }

    /// Whether an account has confirmed this address, or keeps it for an undo, as of now. So an address whose release
    /// failed is taken over by whoever confirms it next.
    async fn keeps(&self, account: AccountId, email: &EmailAddress) -> Result<bool, ExecuteError> {
        let loaded = self.load_now::<Account>(&StreamId::Account(account)).await?;
        Ok(loaded.state.keeps(email, loaded.now(self.runtime())))
    }

    /// Gives an address back, when the account holds it.
    pub(crate) async fn release(
        &self,
        email: &EmailAddress,
        account: AccountId,
        reason: RevocationReason,
        request: &Request,
    ) -> Result<StreamId, ExecuteError> {
        let stream = self.stream_of(email).await?;
        let command = ClaimCommand::Release { account_id: account, reason };
        let executed = Box::pin(self.execute_on::<EmailClaim>(&stream, &command, &request.inner())).await?;
        match executed.outcome {
            Ok(_) => Ok(stream),
            Err(refusal) => Err(ExecuteError::Internal(format!("a release was refused: {refusal}"))),
        }
    }

    /// What an account's events mean for its addresses and keys. They are on record; an erasure that fails here is
    /// shown by `doctor`, and an address that is not given back here is taken over by whoever confirms it next.
    pub(crate) async fn follow_up(&self, account: AccountId, before: &Account, events: &[Event], request: &Request) {
        for event in events {
            let done = match event {
                // What an API client began is finished by its server, whose network is no place of the user's.
                Event::SignedIn(signed_in)
                    if signed_in.api_key_id.is_some() && request.origin.end_user_ip.is_none() =>
                {
                    Ok(())
                }
                Event::SignedIn(_) => match before.email.as_ref().and_then(|address| address.known()) {
                    Some(email) => self.remember_place(email, request).await,
                    None => Ok(()),
                },
                Event::AccountErased(_) => self.erase_after(account).await,
                _ => continue,
            };
            if let Err(error) = done {
                tracing::error!(%error, account_id = %account, event = event.name(), "what follows an event failed");
            }
        }
        if let Some(change) = before.address_changes.first()
            && let Err(error) = self.give_back(account, before, events, request).await
        {
            tracing::error!(%error, account_id = %account, change = %change.id.0, "an address was not given back");
        }
    }

    /// Gives back what the account kept until now and keeps no longer.
    async fn give_back(
        &self,
        account: AccountId,
        before: &Account,
        events: &[Event],
        request: &Request,
    ) -> Result<(), ExecuteError> {
        for address in no_longer_kept(before, events, self.now()) {
            self.release(&address, account, RevocationReason::EmailChanged, request).await?;
        }
        Ok(())
    }
}

/// The addresses that are over with the first event after the end of an undo, and with an undo itself.
fn no_longer_kept(before: &Account, events: &[Event], now: Timestamp) -> Vec<EmailAddress> {
    let is_undone = events.iter().any(|event| matches!(event, Event::EmailChangeUndone(_)));
    let has_ended = |until| until <= now && before.last_event_at.is_none_or(|last| last < until);
    if !is_undone && !before.address_changes.iter().any(|change| has_ended(change.undo_until)) {
        return Vec::new();
    }
    let after = events.iter().fold(before.clone(), |state, event| state.evolve(event, now));
    let kept = before.address_changes.iter().map(|change| &change.before.email).chain([&before.email]);
    let known = kept.flatten().filter_map(|address| address.known());
    known.filter(|address| !after.keeps(address, now)).cloned().collect()
}

async fn first_living<F>(hash: &str, state: impl Fn(StreamId) -> F) -> Result<StreamId, ExecuteError>
where
    F: Future<Output = Result<KeyState, KeysError>>,
{
    for number in 1..=STREAMS_OF_AN_ADDRESS {
        let name = if number == 1 { hash.to_owned() } else { format!("{hash}-{number}") };
        let stream = StreamId::Email(AddressHash(name));
        if !matches!(state(stream.clone()).await?, KeyState::Erased) {
            return Ok(stream);
        }
    }
    Err(ExecuteError::Internal("an address was erased too often".to_owned()))
}
