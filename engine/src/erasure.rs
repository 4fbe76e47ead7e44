//! Erasing: after `AccountErased` the keys go. Before them the notice to the owner is ordered, under a key of its own
//! (ADR 28).

use domain::{
    decision::Decider,
    events::{Event, RevocationReason},
    farewell::{Farewell, OrderFarewell},
    ids::{AccountId, CommandId, StreamId},
    state::{Account, Phase},
    time::Timestamp,
    values::{Caller, EmailAddress, Origin},
};
use schemas::envelope::{Position, Version};

use crate::{Engine, ExecuteError, Request};
use event_store::{codec, keys::KeyState};

const PAGE: usize = 500;

/// An account that is erased by its history, but whose key still opens, or that of its farewell past its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnfinishedErasure {
    /// The account.
    pub account_id: AccountId,
    /// Where its erasure stands in the log.
    pub position: Position,
}

/// What an erased account leaves.
struct Remains {
    /// How it stood before.
    last: Account,
    /// The addresses that it ever had: those that an undo could have brought back are held too.
    addresses: Vec<EmailAddress>,
}

impl Engine {
    /// Destroys the keys of an erased account and of its address, and forgets what was opened. Does nothing
    /// for an account that is not erased; may be repeated until it succeeds.
    ///
    /// The account's own key goes last: until then the address can be read, so an interruption can be made good.
    pub async fn erase_after(&self, account: AccountId) -> Result<(), ExecuteError> {
        let stream = StreamId::Account(account);
        let Some(Remains { last, addresses }) = self.remains(&stream).await? else { return Ok(()) };
        self.order_farewell(account, &last).await?;
        for address in addresses {
            let request = self.own_request()?;
            let claim = self.release(&address, account, RevocationReason::Erased, &request).await?;
            // Only a claim that was this account's: someone else may hold the address by now.
            let is_free = self.load_now::<domain::claim::EmailClaim>(&claim).await?.state.holder.is_none();
            if is_free && matches!(self.keys().state_in_store(&claim).await?, KeyState::Open(_)) {
                self.keys().erase(&claim).await?;
                self.inner.states.forget(&claim);
            }
        }
        self.inner.parts.snapshots.delete(&stream).await?;
        self.keys().erase(&stream).await?;
        self.inner.states.forget(&stream);
        self.end_late_farewell(account).await
    }

    /// The owner of an erased account was told, or cannot be any more: the address goes too.
    pub async fn end_farewell(&self, account: AccountId) -> Result<(), ExecuteError> {
        let stream = StreamId::Farewell(account);
        self.keys().erase(&stream).await?;
        self.inner.states.forget(&stream);
        Ok(())
    }

    async fn order_farewell(&self, account_id: AccountId, last: &Account) -> Result<(), ExecuteError> {
        let command = OrderFarewell { account_id, to: told(last, self.now()) };
        // Boxed: executing an account's command erases it, which executes a command.
        let executing =
            Box::pin(self.execute_on::<Farewell>(&StreamId::Farewell(account_id), &command, &self.own_request()?))
                .await;
        match executing?.outcome {
            Ok(_) => Ok(()),
            Err(refusal) => Err(ExecuteError::Internal(format!("a farewell was refused: {refusal}"))),
        }
    }

    /// One that nobody carried out in time: its worker did not run.
    async fn end_late_farewell(&self, account: AccountId) -> Result<(), ExecuteError> {
        let farewell = self.load_now::<Farewell>(&StreamId::Farewell(account)).await?;
        match farewell.state.expires_at {
            Some(end) if end <= self.now() => self.end_farewell(account).await,
            _ => Ok(()),
        }
    }

    /// Erased accounts whose key still opens; for `doctor`. Reads the whole log.
    pub async fn unfinished_erasures(&self) -> Result<Vec<UnfinishedErasure>, ExecuteError> {
        let mut found = Vec::new();
        let mut after = Position::START;
        loop {
            let page = self.log().read_all(after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(found) };
            after = last.position;
            for event in &page {
                if !matches!(&*event.event_type, "AccountErased" | "FarewellOrdered") {
                    continue;
                }
                let Ok(stream) = event.stream.parse() else { continue };
                let account_id = match stream {
                    StreamId::Account(account_id) => account_id,
                    StreamId::Farewell(account_id) => match codec::decode_event(event, None)? {
                        Event::FarewellOrdered(ordered) if ordered.expires_at <= self.now() => account_id,
                        _ => continue,
                    },
                    _ => continue,
                };
                if matches!(self.keys().state_in_store(&stream).await?, KeyState::Open(_)) {
                    found.push(UnfinishedErasure { account_id, position: event.position });
                }
            }
        }
    }

    /// What is left to be done of an erased account, as far as it can still be read; none where it is not erased.
    async fn remains(&self, stream: &StreamId) -> Result<Option<Remains>, ExecuteError> {
        let key = self.keys().state_in_store(stream).await?;
        let key = if let KeyState::Open(key) = key { Some(key) } else { None };
        let (mut last, mut addresses, mut after) = (Account::default(), Vec::new(), Version::NONE);
        loop {
            let page = self.log().read_stream(stream, after, PAGE).await?;
            let Some(end) = page.last() else { return Ok(None) };
            after = end.version;
            for stored in &page {
                let event = codec::decode_event(stored, key.as_ref())?;
                match &event {
                    Event::AccountRegistered(event) => add(&mut addresses, event.email.known()),
                    Event::AccountImported(event) => add(&mut addresses, event.email.known()),
                    Event::EmailChanged(event) => add(&mut addresses, event.email.known()),
                    Event::AccountErased(_) => return Ok(Some(Remains { last, addresses })),
                    _ => {}
                }
                last = last.evolve(&event, codec::decode_metadata(stored, None)?.at);
            }
        }
    }

    /// A request of the system itself.
    fn own_request(&self) -> Result<Request, ExecuteError> {
        let id = self.runtime().entropy()?.uuid(self.now(), "request");
        Ok(Request {
            caller: Caller::Worker,
            origin: Origin::default(),
            command_id: CommandId(id),
            idempotency: None,
            correlation_id: id,
            causation_id: None,
            trace_parent: None,
        })
    }
}

fn add(addresses: &mut Vec<EmailAddress>, address: Option<&EmailAddress>) {
    if let Some(address) = address.filter(|address| !addresses.contains(address)) {
        addresses.push(address.clone());
    }
}

/// Who hears of the erasure: whoever may be the owner by now. Nobody hears of an account at an address that never was
/// its own.
fn told(last: &Account, now: Timestamp) -> Vec<EmailAddress> {
    let mut addresses = Vec::new();
    if last.phase == Phase::Confirmed {
        let before = last.undoable(now).filter_map(|change| change.before.email.as_ref());
        for address in last.email.iter().chain(before) {
            add(&mut addresses, address.known());
        }
    }
    addresses
}
