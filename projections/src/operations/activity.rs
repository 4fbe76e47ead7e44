//! When sessions were last used: in memory first, in the file at most every ten minutes each.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use domain::{
    ids::SessionId,
    time::{Seconds, Timestamp},
};
use event_store::port::LogError;
use rusqlite::{Connection, OptionalExtension, params};

use super::Operations;

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

pub(super) struct Activity {
    uses: Mutex<HashMap<SessionId, Use>>,
    reading: Mutex<Connection>,
}

impl Activity {
    pub(super) fn new(reading: Connection) -> Self {
        Self { uses: Mutex::default(), reading: Mutex::new(reading) }
    }

    fn in_file(&self, session: SessionId) -> Option<Timestamp> {
        let reading = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        let found = reading
            .prepare_cached("SELECT last_used_at FROM session_activity WHERE session_id = $1")
            .and_then(|mut find| find.query_row([session.0.as_bytes()], |row| row.get::<_, i64>(0)).optional());
        found
            .unwrap_or_else(|error| {
                tracing::warn!(%error, "the last use of a session cannot be read");
                None
            })
            .map(Timestamp::from_millis)
    }
}

fn write(connection: &Connection, session: SessionId, at: Timestamp) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO session_activity (session_id, last_used_at) VALUES ($1, $2)
             ON CONFLICT (session_id) DO UPDATE SET last_used_at = max(session_activity.last_used_at, excluded.last_used_at)",
        )?
        .execute(params![session.0.as_bytes(), at.as_millis()])
        .map(drop)
}

impl Operations {
    /// When a session was last used, as far as it is known; a restart may lose ten minutes of it. Asks memory,
    /// and the file (a look-up of some microseconds) at most once per session.
    pub fn last_used(&self, session: SessionId) -> Option<Timestamp> {
        let known = |uses: &HashMap<SessionId, Use>| uses.get(&session).copied();
        if let Some(found) = known(&self.activity.uses.lock().unwrap_or_else(PoisonError::into_inner)) {
            return found.last;
        }
        let written = self.activity.in_file(session);
        let mut uses = self.activity.uses.lock().unwrap_or_else(PoisonError::into_inner);
        let found = uses.entry(session).or_insert(Use { last: written, written });
        found.last
    }

    /// Notes that a session was used.
    pub fn touch(&self, session: SessionId, now: Timestamp) {
        let mut uses = self.activity.uses.lock().unwrap_or_else(PoisonError::into_inner);
        if uses.len() >= REMEMBERED && !uses.contains_key(&session) {
            let unwritten = unwritten(&uses);
            uses.clear();
            self.writer.run_unheard(move |connection| {
                unwritten.iter().try_for_each(|(session, at)| write(connection, *session, *at))
            });
        }
        let seen = uses.entry(session).or_default();
        seen.last = seen.last.max(Some(now));
        if seen.written.is_none_or(|written| now >= written.plus(WRITTEN_EVERY)) {
            seen.written = Some(now);
            drop(uses);
            self.writer.run_unheard(move |connection| {
                connection
                    .prepare_cached("DELETE FROM session_activity WHERE last_used_at < $1")?
                    .execute([now.minus(KEPT).as_millis()])?;
                write(connection, session, now)
            });
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
        self.writer
            .run(move |connection| unwritten.iter().try_for_each(|(session, at)| write(connection, *session, *at)))
            .await
    }
}

fn unwritten(uses: &HashMap<SessionId, Use>) -> Vec<(SessionId, Timestamp)> {
    uses.iter().filter(|(_, seen)| seen.last > seen.written).filter_map(|(id, seen)| Some((*id, seen.last?))).collect()
}
