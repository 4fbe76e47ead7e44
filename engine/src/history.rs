//! Reading back: a stream's events, and an account as of a moment.

use domain::{
    decision::Decider,
    ids::{AccountId, StreamId},
    state::Account,
    time::Timestamp,
};
use schemas::envelope::{RecordedEvent, Version};
use vault::DataKey;

use crate::{Engine, ExecuteError};
use event_store::codec;

const PAGE: usize = 500;

impl Engine {
    /// Events of a stream after a version, opened.
    pub async fn history(
        &self,
        stream: &StreamId,
        after: Version,
        limit: usize,
    ) -> Result<Vec<RecordedEvent>, ExecuteError> {
        let stored = self.log().read_stream(stream, after, limit).await?;
        let key = self.key_to_read(stream).await?;
        Ok(stored.iter().map(|event| codec::decode(event, key.as_ref())).collect::<Result<_, _>>()?)
    }

    /// The key to read a stream with; for an account none only where its history says that it was erased.
    async fn key_to_read(&self, stream: &StreamId) -> Result<Option<DataKey>, ExecuteError> {
        let key = self.keys().key(stream).await?;
        if key.is_none() && matches!(stream, StreamId::Account(_)) {
            let loaded = self.load_now::<Account>(stream).await?;
            if loaded.version != Version::NONE && !loaded.state.is_erased() {
                return Err(ExecuteError::unreadable(stream));
            }
        }
        Ok(key)
    }

    /// An account as it was right before one of its events.
    pub async fn account_before(&self, account: AccountId, event: Version) -> Result<Account, ExecuteError> {
        let (state, _) = self.account_until(account, |version, _| version >= event).await?;
        Ok(state)
    }

    /// An account as it was at a moment, with the version it had; `None` before its first event.
    pub async fn account_as_of(
        &self,
        account: AccountId,
        at: Timestamp,
    ) -> Result<Option<(Account, Version)>, ExecuteError> {
        let (state, version) = self.account_until(account, |_, happened_at| happened_at > at).await?;
        Ok((version > Version::NONE).then_some((state, version)))
    }

    /// An account as its events make it up to the first that is past what is asked for, with the version it has there.
    async fn account_until(
        &self,
        account: AccountId,
        ends_before: impl Fn(Version, Timestamp) -> bool,
    ) -> Result<(Account, Version), ExecuteError> {
        let stream = StreamId::Account(account);
        let key = self.key_to_read(&stream).await?;
        let (mut state, mut version) = (Account::default(), Version::NONE);
        loop {
            let page = self.log().read_stream(&stream, version, PAGE).await?;
            let is_last = page.len() < PAGE;
            for stored in &page {
                let happened_at = codec::decode_metadata(stored, None)?.at;
                if ends_before(stored.version, happened_at) {
                    return Ok((state, version));
                }
                state = state.evolve(&codec::decode_event(stored, key.as_ref())?, happened_at);
                version = stored.version;
            }
            if is_last {
                return Ok((state, version));
            }
        }
    }
}
