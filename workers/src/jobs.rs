//! Where jobs come from: the port of the sources. A job is one event that orders something; the source
//! decides what becomes of it when its [`Verdict`] is in.
//!
//! The in-process source is [`LogJobs`](crate::log_jobs::LogJobs). A broker's consumer (`nats::JetStreamJobs`)
//! fits the same way: `next` is its fetch (with the order's event read back from the log), `Done` its
//! acknowledgement, `Retry` a negative one with a delay, `Fail` the move to the dead letters.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use event_store::port::LogError;
use schemas::envelope::StoredEvent;

/// One order to be carried out.
#[derive(Debug, Clone)]
pub struct Job {
    /// The source's own name of this job.
    pub ticket: u64,
    /// The event that orders it, sealed as it is in the log.
    pub order: Arc<StoredEvent>,
    /// How often it was handed out before.
    pub tries: u32,
}

/// What becomes of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is over, whatever its outcome: that is on record elsewhere.
    Done,
    /// It is to be handed out again after this long.
    Retry(Duration),
    /// It cannot be carried out and never will be: the reason is in the log output.
    Fail,
}

impl Verdict {
    /// Short stable word for metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Retry(_) => "retry",
            Self::Fail => "fail",
        }
    }

    /// The verdict of two parts of one job: it is over when both are, and comes back for whichever is first.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Retry(a), Self::Retry(b)) => Self::Retry(a.min(b)),
            (Self::Retry(wait), _) | (_, Self::Retry(wait)) => Self::Retry(wait),
            (Self::Fail, _) | (_, Self::Fail) => Self::Fail,
            (Self::Done, Self::Done) => Self::Done,
        }
    }
}

/// A source of jobs for one role.
#[async_trait]
pub trait Jobs: Send + 'static {
    /// Waits for the next job. Cancel-safe: a job that was not returned is returned by the next call.
    async fn next(&mut self) -> Result<Job, LogError>;
    /// Takes a job's verdict.
    async fn settle(&mut self, job: &Job, verdict: Verdict) -> Result<(), LogError>;
    /// Makes durable what is known to be over. Called on a stop.
    async fn flush(&mut self) -> Result<(), LogError>;
}

#[async_trait]
impl Jobs for Box<dyn Jobs> {
    async fn next(&mut self) -> Result<Job, LogError> {
        (**self).next().await
    }
    async fn settle(&mut self, job: &Job, verdict: Verdict) -> Result<(), LogError> {
        (**self).settle(job, verdict).await
    }
    async fn flush(&mut self) -> Result<(), LogError> {
        (**self).flush().await
    }
}

/// Carries out the jobs of one role.
#[async_trait]
pub trait Handler: Send + Sync + 'static {
    /// Carries out one job.
    async fn handle(&self, job: &Job) -> Verdict;
}
