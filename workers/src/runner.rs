//! Runs a role: takes jobs, up to so many at once, and gives the source their verdicts. It has no opinion
//! of its own: a job says `done`, `retry` or `fail`, the runner obeys.

use std::{sync::Arc, time::Duration};

use event_store::port::LogError;
use runtime::{Ended, Runtime, Tasks};
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
    runtime: Runtime,
    role: &'static str,
    mut jobs: impl Jobs,
    handler: Arc<dyn Handler>,
    options: RunnerOptions,
    cancel: CancellationToken,
) {
    let mut in_flight = Tasks::new();
    loop {
        tokio::select! {
            biased;
            () = cancel.cancelled() => break,
            Some(ended) = in_flight.next() => settle(role, &mut jobs, ended).await,
            job = jobs.next(), if in_flight.len() < options.concurrency.max(1) => match job {
                Ok(job) => {
                    let (handler, own) = (Arc::clone(&handler), job.clone());
                    in_flight.spawn(&runtime, role, job, async move { handler.handle(&own).await });
                }
                Err(error) => {
                    tracing::warn!(role, %error, "jobs cannot be read, trying again");
                    tokio::select! {
                        biased;
                        () = cancel.cancelled() => break,
                        () = runtime.sleep(SOURCE_PAUSE) => {}
                    }
                }
            },
        }
    }
    let drained = runtime.timeout(options.stop_within, async {
        while let Some(ended) = in_flight.next().await {
            settle(role, &mut jobs, ended).await;
        }
    });
    if drained.await.is_err() {
        // Their claims stand without an outcome; whoever runs next repeats each of them once.
        tracing::warn!(role, count = in_flight.len(), "jobs did not finish before the stop");
        in_flight.abort_all();
    }
    if let Err(error) = jobs.flush().await {
        tracing::warn!(role, %error, "the checkpoint could not be saved; finished jobs will be looked at again");
    }
}

async fn settle(role: &'static str, jobs: &mut impl Jobs, (job, ended): (Job, Result<Verdict, Ended>)) {
    let verdict = ended.unwrap_or_else(|error| {
        tracing::error!(role, order = %job.order.id, %error, "a job ended without a verdict");
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
