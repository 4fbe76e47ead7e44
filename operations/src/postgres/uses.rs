//! Last uses of sessions that nobody waits for: those of a moment are one statement.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use domain::{ids::SessionId, time::Timestamp};
use event_store::{port::LogError, postgres::Database};
use tokio::{sync::mpsc, task::JoinHandle};
use uuid::Uuid;

use super::write;

/// How long the first of them waits for others.
const GATHER: Duration = Duration::from_millis(100);
/// Those of one statement, at most.
const BATCH: usize = 1_000;

type Written = (Vec<(SessionId, Timestamp)>, Option<Timestamp>);

/// Where they are handed in.
pub(super) struct Uses {
    waiting: Mutex<Option<mpsc::UnboundedSender<Written>>>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Uses {
    pub(super) fn start(database: Arc<Database>) -> Self {
        let (waiting, mut written) = mpsc::unbounded_channel::<Written>();
        let task = tokio::spawn(async move {
            while let Some((mut uses, mut forget)) = written.recv().await {
                let gathered = async {
                    while uses.len() < BATCH {
                        let Some((more, then)) = written.recv().await else { return };
                        uses.extend(more);
                        forget = forget.max(then);
                    }
                };
                drop(tokio::time::timeout(GATHER, gathered).await);
                if let Err(error) = write_uses(&database, uses, forget).await {
                    tracing::warn!(%error, "a write in the background failed");
                }
            }
        });
        Self { waiting: Mutex::new(Some(waiting)), task: Mutex::new(Some(task)) }
    }

    pub(super) fn hand_in(&self, uses: Vec<(SessionId, Timestamp)>, forget: Option<Timestamp>) {
        if let Some(waiting) = &*self.waiting.lock().unwrap_or_else(PoisonError::into_inner) {
            drop(waiting.send((uses, forget)));
        }
    }

    /// Ends after what was handed in.
    pub(super) async fn close(&self) {
        drop(self.waiting.lock().unwrap_or_else(PoisonError::into_inner).take());
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task {
            drop(task.await);
        }
    }
}

/// Writes later uses only, each session once, in the order of their ids: two processes never wait in a circle.
pub(super) async fn write_uses(
    database: &Database,
    uses: Vec<(SessionId, Timestamp)>,
    forget: Option<Timestamp>,
) -> Result<(), LogError> {
    const WRITE: &str = "INSERT INTO session_activity (session_id, last_used_at)
        SELECT given.id, given.at FROM unnest($1::uuid[], $2::bigint[]) AS given (id, at)
        ON CONFLICT (session_id) DO UPDATE SET last_used_at = excluded.last_used_at
            WHERE session_activity.last_used_at < excluded.last_used_at";
    const FORGET: &str = "DELETE FROM session_activity WHERE session_id IN
        (SELECT session_id FROM session_activity WHERE last_used_at < $1 LIMIT 256 FOR UPDATE SKIP LOCKED)";
    let mut latest: BTreeMap<Uuid, i64> = BTreeMap::new();
    for (session, at) in uses {
        let known = latest.entry(session.0).or_insert(i64::MIN);
        *known = at.as_millis().max(*known);
    }
    let (ids, times): (Vec<Uuid>, Vec<i64>) = latest.into_iter().unzip();
    match forget.map(Timestamp::as_millis) {
        Some(forget) => write(database, &[(FORGET, &[&forget]), (WRITE, &[&ids, &times])]).await,
        None => write(database, &[(WRITE, &[&ids, &times])]).await,
    }
}
