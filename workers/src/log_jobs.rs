//! Jobs straight from the log: the source for one process without a broker.
//!
//! The checkpoint stands before the oldest job that is not over, so a restart hands out again whatever was
//! in flight or waiting; the claims on the delivery streams see to it that nothing is sent twice for that.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use event_store::{
    port::{Checkpoints, EventLog, LogError},
    subscription::{Subscription, subscribe},
};
use runtime::{Instant, Runtime};
use schemas::envelope::{Position, StoredEvent};

use crate::{
    jobs::{Job, Jobs, Verdict},
    meters,
};

/// Events per read of the log.
const BATCH: usize = 256;
/// Jobs that may be in flight or waiting for another try; then the log is not read on.
const MOST_UNFINISHED: usize = 8_192;
/// The checkpoint is saved at most this often: one that is behind costs a look at finished orders.
const SAVE_EVERY: Duration = Duration::from_secs(1);

/// Jobs of the events of some types, from a checkpoint on.
pub struct LogJobs {
    runtime: Runtime,
    role: &'static str,
    types: BTreeSet<&'static str>,
    checkpoints: Arc<dyn Checkpoints>,
    checkpoint: String,
    log: Subscription,
    read: VecDeque<StoredEvent>,
    /// Position of the last event that was looked at.
    looked_at: Position,
    last_ticket: u64,
    unfinished: BTreeMap<u64, Unfinished>,
    waiting: BTreeSet<(Instant, u64)>,
    saved: Position,
    save_at: Instant,
}

struct Unfinished {
    job: Job,
    /// Position of the event before: the checkpoint while this is the oldest unfinished job.
    before: Position,
}

impl LogJobs {
    /// Takes up where the role's checkpoint stands.
    pub async fn open(
        runtime: &Runtime,
        role: &'static str,
        types: impl IntoIterator<Item = &'static str>,
        log: Arc<dyn EventLog>,
        checkpoints: Arc<dyn Checkpoints>,
    ) -> Result<Self, LogError> {
        let checkpoint = format!("workers.{role}");
        let saved = checkpoints.load(&checkpoint).await?;
        Ok(Self {
            runtime: runtime.clone(),
            role,
            types: types.into_iter().collect(),
            checkpoints,
            checkpoint,
            log: subscribe(runtime, log, saved, BATCH),
            read: VecDeque::new(),
            looked_at: saved,
            last_ticket: 0,
            unfinished: BTreeMap::new(),
            waiting: BTreeSet::new(),
            saved,
            save_at: runtime.instant(),
        })
    }

    /// Everything up to here is over.
    fn finished(&self) -> Position {
        self.unfinished.first_key_value().map_or(self.looked_at, |(_, oldest)| oldest.before)
    }

    fn take_due(&mut self) -> Option<Job> {
        let (at, ticket) = *self.waiting.first()?;
        if at > self.runtime.instant() {
            return None;
        }
        self.waiting.pop_first();
        self.unfinished.get(&ticket).map(|unfinished| unfinished.job.clone())
    }

    fn take_read(&mut self) -> Option<Job> {
        while let Some(event) = self.read.pop_front() {
            let before = std::mem::replace(&mut self.looked_at, event.position);
            if self.types.contains(&*event.event_type) {
                self.last_ticket += 1;
                let job = Job { ticket: self.last_ticket, order: Arc::new(event), tries: 0 };
                self.unfinished.insert(job.ticket, Unfinished { job: job.clone(), before });
                meters::unfinished(self.role, self.unfinished.len());
                return Some(job);
            }
        }
        None
    }

    async fn save(&mut self) -> Result<(), LogError> {
        let finished = self.finished();
        self.save_at = self.runtime.instant() + SAVE_EVERY;
        if finished > self.saved {
            self.checkpoints.save(&self.checkpoint, finished).await?;
            self.saved = finished;
        }
        Ok(())
    }
}

#[async_trait]
impl Jobs for LogJobs {
    async fn next(&mut self) -> Result<Job, LogError> {
        loop {
            if let Some(job) = self.take_due() {
                return Ok(job);
            }
            if self.unfinished.len() < MOST_UNFINISHED
                && let Some(job) = self.take_read()
            {
                return Ok(job);
            }
            let is_behind = self.finished() > self.saved;
            if is_behind && self.runtime.instant() >= self.save_at {
                self.save().await?;
            }
            let due = self.waiting.first().map(|(at, _)| *at);
            let save = (self.finished() > self.saved).then_some(self.save_at);
            let wake = due.into_iter().chain(save).min();
            let has_room = self.read.is_empty() && self.unfinished.len() < MOST_UNFINISHED;
            tokio::select! {
                biased;
                events = self.log.next(), if has_room => self.read.extend(events?),
                () = until(&self.runtime, wake) => {}
            }
        }
    }

    async fn settle(&mut self, job: &Job, verdict: Verdict) -> Result<(), LogError> {
        match verdict {
            Verdict::Retry(after) => {
                if let Some(unfinished) = self.unfinished.get_mut(&job.ticket) {
                    unfinished.job.tries = unfinished.job.tries.saturating_add(1);
                    self.waiting.insert((self.runtime.instant() + after, job.ticket));
                }
            }
            Verdict::Done | Verdict::Fail => {
                self.unfinished.remove(&job.ticket);
                meters::unfinished(self.role, self.unfinished.len());
            }
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), LogError> {
        self.save().await
    }
}

async fn until(runtime: &Runtime, at: Option<Instant>) {
    match at {
        Some(at) => runtime.sleep_until(at).await,
        None => std::future::pending().await,
    }
}
