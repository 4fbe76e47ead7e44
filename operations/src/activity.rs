//! When sessions were last used: in memory first, in the store at most every ten minutes each.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use domain::{
    ids::SessionId,
    time::{Seconds, Timestamp},
};
use event_store::port::LogError;

use crate::Operations;

/// A session's last use is written at most this often.
const WRITTEN_EVERY: Seconds = Seconds::minutes(10);
/// Sessions that are remembered in memory; beyond it what is written is forgotten there.
const REMEMBERED: usize = 50_000;
/// No session lives longer.
const KEPT: Seconds = Seconds::days(90);

#[derive(Clone, Copy, Default)]
struct Use {
    last: Option<Timestamp>,
    written: Option<Timestamp>,
}

/// What this process knows of the last uses.
#[derive(Default)]
pub(super) struct Activity {
    uses: Mutex<BTreeMap<SessionId, Use>>,
}

impl Operations {
    /// When a session was last used, as far as it is known; a crash may lose ten minutes of it.
    pub async fn last_used(&self, session: SessionId, now: Timestamp) -> Result<Option<Timestamp>, LogError> {
        Ok(self.last_uses(&[session], now).await?.remove(&session))
    }

    /// The same for several, in one question. Memory answers for those that this process saw within the last ten
    /// minutes; for the others it asks the store, since another process may have seen them.
    pub async fn last_uses(
        &self,
        sessions: &[SessionId],
        now: Timestamp,
    ) -> Result<BTreeMap<SessionId, Timestamp>, LogError> {
        let mut found = BTreeMap::new();
        let mut asked = Vec::new();
        {
            let uses = self.activity.uses.lock().unwrap_or_else(PoisonError::into_inner);
            for session in sessions {
                let last = uses.get(session).and_then(|known| known.last);
                found.extend(last.map(|last| (*session, last)));
                if last.is_none_or(|last| now >= last.plus(WRITTEN_EVERY)) {
                    asked.push(*session);
                }
            }
        }
        if asked.is_empty() {
            return Ok(found);
        }
        let written = self.keeper.uses(&asked).await?;
        let mut uses = self.activity.uses.lock().unwrap_or_else(PoisonError::into_inner);
        for (session, at) in written {
            let known = uses.entry(session).or_default();
            known.last = known.last.max(Some(at));
            known.written = known.written.max(Some(at));
            found.extend(known.last.map(|last| (session, last)));
        }
        Ok(found)
    }

    /// Notes that a session was used.
    pub fn touch(&self, session: SessionId, now: Timestamp) {
        let mut uses = self.activity.uses.lock().unwrap_or_else(PoisonError::into_inner);
        if uses.len() >= REMEMBERED && !uses.contains_key(&session) {
            let unwritten = unwritten(&uses);
            uses.clear();
            self.keeper.write_uses_later(unwritten, None);
        }
        let seen = uses.entry(session).or_default();
        seen.last = seen.last.max(Some(now));
        if seen.written.is_none_or(|written| now >= written.plus(WRITTEN_EVERY)) {
            seen.written = Some(now);
            drop(uses);
            self.keeper.write_uses_later(vec![(session, now)], Some(now.minus(KEPT)));
        }
    }

    /// Writes what is only in memory.
    pub async fn flush(&self) -> Result<(), LogError> {
        let unwritten = {
            let mut uses = self.activity.uses.lock().unwrap_or_else(PoisonError::into_inner);
            let unwritten = unwritten(&uses);
            uses.values_mut().for_each(|seen| seen.written = seen.last);
            unwritten
        };
        if unwritten.is_empty() {
            return Ok(());
        }
        self.keeper.write_uses(unwritten, None).await
    }
}

fn unwritten(uses: &BTreeMap<SessionId, Use>) -> Vec<(SessionId, Timestamp)> {
    uses.iter().filter(|(_, seen)| seen.last > seen.written).filter_map(|(id, seen)| Some((*id, seen.last?))).collect()
}
