//! Erasing: after `AccountErased` the keys go.

use domain::{
    events::{Event, RevocationReason},
    ids::{AccountId, CommandId, StreamId},
    values::{Caller, EmailAddress, Origin},
};
use schemas::envelope::{Position, Version};

use crate::{Engine, ExecuteError, Request};
use event_store::{codec, keys::KeyState};

const PAGE: usize = 500;

/// An account that is erased by its history, but whose key still opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnfinishedErasure {
    /// The account.
    pub account_id: AccountId,
    /// Where its erasure stands in the log.
    pub position: Position,
}

impl Engine {
    /// Destroys the keys of an erased account and of its address, and forgets what was opened. Does nothing
    /// for an account that is not erased; may be repeated until it succeeds.
    ///
    /// The account's own key goes last: until then the address can be read, so an interruption can be made good.
    pub async fn erase_after(&self, account: AccountId) -> Result<(), ExecuteError> {
        let stream = StreamId::Account(account);
        let (is_erased, addresses) = self.addresses(&stream).await?;
        if !is_erased {
            return Ok(());
        }
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
        Ok(())
    }

    /// Erased accounts whose key still opens; for `doctor`. Reads the whole log.
    pub async fn unfinished_erasures(&self) -> Result<Vec<UnfinishedErasure>, ExecuteError> {
        let mut found = Vec::new();
        let mut after = Position::START;
        loop {
            let page = self.log().read_all(after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(found) };
            after = last.position;
            for event in page.iter().filter(|event| &*event.event_type == "AccountErased") {
                let Ok(stream @ StreamId::Account(account_id)) = event.stream.parse() else { continue };
                if matches!(self.keys().state_in_store(&stream).await?, KeyState::Open(_)) {
                    found.push(UnfinishedErasure { account_id, position: event.position });
                }
            }
        }
    }

    /// Whether the account is erased, and the addresses that it ever had, as far as they can still be read: those
    /// that an undo could have brought back are held too.
    async fn addresses(&self, stream: &StreamId) -> Result<(bool, Vec<EmailAddress>), ExecuteError> {
        let key = self.keys().state_in_store(stream).await?;
        let key = if let KeyState::Open(key) = key { Some(key) } else { None };
        let (mut is_erased, mut addresses) = (false, Vec::new());
        let mut after = Version::NONE;
        loop {
            let page = self.log().read_stream(stream, after, PAGE).await?;
            let Some(last) = page.last() else { return Ok((is_erased, addresses)) };
            after = last.version;
            for stored in &page {
                match codec::decode_event(stored, key.as_ref())? {
                    Event::AccountRegistered(event) => add(&mut addresses, event.email.known()),
                    Event::AccountImported(event) => add(&mut addresses, event.email.known()),
                    Event::EmailChanged(event) => add(&mut addresses, event.email.known()),
                    Event::AccountErased(_) => is_erased = true,
                    _ => {}
                }
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
