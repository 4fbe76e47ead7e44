//! Runs a role: takes jobs, up to so many at once, and gives the source their verdicts. It has no opinion
//! of its own: a job says `done`, `retry` or `fail`, the runner obeys.

use std::{collections::HashMap, sync::Arc, time::Duration};

use event_store::port::LogError;
use tokio::task::{Id, JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::{
    jobs::{Handler, Job, Jobs, Verdict},
    meters,
};

/// A source that cannot be read is asked again after this long.
const SOURCE_PAUSE: Duration = Duration::from_millis(500);

/// How a role runs.
#[derive(Debug, Clone, Copy)]
pub struct RunnerOptions {
    /// Jobs that are carried out at the same time.
    pub concurrency: usize,
    /// On a stop, jobs in flight may take this long to finish.
    pub stop_within: Duration,
}

impl Default for RunnerOptions {
    fn default() -> Self {
        Self { concurrency: 32, stop_within: Duration::from_secs(30) }
    }
}

/// Runs until cancelled; then lets jobs in flight finish and makes durable what is over.
pub async fn run(
    role: &'static str,
    mut jobs: impl Jobs,
    handler: Arc<dyn Handler>,
    options: RunnerOptions,
    cancel: CancellationToken,
) {
    let mut in_flight = InFlight::default();
    loop {
        tokio::select! {
            biased;
            () = cancel.cancelled() => break,
            Some(ended) = in_flight.next() => settle(role, &mut jobs, ended).await,
            job = jobs.next(), if in_flight.tasks.len() < options.concurrency.max(1) => match job {
                Ok(job) => in_flight.start(&handler, job),
                Err(error) => {
                    tracing::warn!(role, %error, "jobs cannot be read, trying again");
                    tokio::select! {
                        () = cancel.cancelled() => break,
                        () = tokio::time::sleep(SOURCE_PAUSE) => {}
                    }
                }
            },
        }
    }
    let drained = tokio::time::timeout(options.stop_within, async {
        while let Some(ended) = in_flight.next().await {
            settle(role, &mut jobs, ended).await;
        }
    });
    if drained.await.is_err() {
        // Their claims stand without an outcome; whoever runs next repeats each of them once.
        tracing::warn!(role, count = in_flight.tasks.len(), "jobs did not finish before the stop");
        in_flight.tasks.abort_all();
    }
    if let Err(error) = jobs.flush().await {
        tracing::warn!(role, %error, "the checkpoint could not be saved; finished jobs will be looked at again");
    }
}

type Ended = (Job, Result<Verdict, JoinError>);

#[derive(Default)]
struct InFlight {
    tasks: JoinSet<Verdict>,
    jobs: HashMap<Id, Job>,
}

impl InFlight {
    fn start(&mut self, handler: &Arc<dyn Handler>, job: Job) {
        let (handler, own) = (Arc::clone(handler), job.clone());
        let task = self.tasks.spawn(async move { handler.handle(&own).await });
        self.jobs.insert(task.id(), job);
    }

    /// The next job that ends, or `None` when none is in flight. Cancel-safe, as `join_next_with_id` is.
    async fn next(&mut self) -> Option<Ended> {
        loop {
            let (id, ended) = match self.tasks.join_next_with_id().await? {
                Ok((id, verdict)) => (id, Ok(verdict)),
                Err(error) => (error.id(), Err(error)),
            };
            if let Some(job) = self.jobs.remove(&id) {
                return Some((job, ended));
            }
        }
    }
}

async fn settle(role: &'static str, jobs: &mut impl Jobs, (job, ended): Ended) {
    let verdict = ended.unwrap_or_else(|error| {
        tracing::error!(role, order = %job.order.id, panicked = error.is_panic(), "a job ended without a verdict");
        Verdict::Fail
    });
    meters::verdict(role, verdict);
    if verdict == Verdict::Fail {
        tracing::error!(role, order = %job.order.id, kind = %job.order.event_type, "an order cannot be carried out");
    }
    if let Err(error) = jobs.settle(&job, verdict).await {
        report(role, &error);
    }
}

fn report(role: &'static str, error: &LogError) {
    tracing::warn!(role, %error, "a verdict could not be kept; the job will be looked at again");
}
