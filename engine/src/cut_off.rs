//! The cut-off of all sessions, at hand in every process: it is asked for with every request of a person.

use std::sync::{Mutex, MutexGuard, PoisonError};

use domain::{
    cut_off::{CutOff, CutOffSessions},
    events::Event,
    ids::StreamId,
    time::Timestamp,
};
use schemas::envelope::StoredEvent;

use crate::{Engine, ExecuteError, Executed, Request};
use event_store::codec;

/// Stored type of the event that moves it.
const MOVED: &str = "SessionsCutOff";

/// What this process knows of it. It only ever rises, so what is learned in any order comes to the same.
#[derive(Default)]
pub(crate) struct KnownCutOff(Mutex<Known>);

#[derive(Default)]
struct Known {
    /// Whether the stream was read since the start: what came after is followed.
    is_read: bool,
    before: Option<Timestamp>,
    /// An event was followed that this version cannot read: the stream is asked each time, and says so.
    is_unreadable: bool,
}

impl KnownCutOff {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn at_hand(&self) -> Option<CutOff> {
        let known = self.known();
        (known.is_read && !known.is_unreadable).then_some(CutOff { before: known.before })
    }

    fn read(&self, before: Option<Timestamp>) -> Option<Timestamp> {
        let mut known = self.known();
        known.is_read = true;
        known.before = known.before.max(before);
        known.before
    }

    /// An event was followed.
    pub(crate) fn followed(&self, stored: &StoredEvent) {
        if &*stored.event_type != MOVED {
            return;
        }
        // The moment stands in clear: no key is asked for.
        match codec::decode_event(stored, None) {
            Ok(Event::SessionsCutOff(cut_off)) => {
                let mut known = self.known();
                known.before = known.before.max(Some(cut_off.before));
            }
            _ => self.known().is_unreadable = true,
        }
    }
}

impl Engine {
    /// Sessions and access tokens that began before this are over; at most a second behind the log.
    pub async fn cut_off(&self) -> Result<Option<Timestamp>, ExecuteError> {
        if self.inner.follower.is_current(self.runtime())
            && let Some(known) = self.inner.cut_off.at_hand()
        {
            return Ok(known.before);
        }
        let loaded = self.load_now::<CutOff>(&StreamId::Installation).await?;
        Ok(self.inner.cut_off.read(loaded.state.before))
    }

    /// Ends all sessions and access tokens that began before a moment. This process respects it with the answer, any
    /// other within a second.
    pub async fn cut_off_sessions(
        &self,
        command: &CutOffSessions,
        request: &Request,
    ) -> Result<Executed, ExecuteError> {
        let executed = self.execute_on::<CutOff>(&StreamId::Installation, command, request).await?;
        if executed.outcome.is_ok() {
            let loaded = self.load_now::<CutOff>(&StreamId::Installation).await?;
            self.inner.cut_off.read(loaded.state.before);
        }
        Ok(executed)
    }
}
