//! Finishes erasures. The command that erases an account destroys its keys itself; whoever follows the log
//! makes good what an interruption between the event and the keys left undone.

use async_trait::async_trait;
use domain::ids::StreamId;

use crate::{
    jobs::{Handler, Job, Verdict},
    sending::Office,
};

/// Name of its checkpoint and in metrics.
pub(crate) const NAME: &str = "erasures";
/// Stored types of the events that it reads.
pub(crate) const ORDERS: [&str; 1] = ["AccountErased"];

/// Destroys the keys of erased accounts, as often as it takes.
pub(crate) struct Erasures {
    pub office: Office,
}

#[async_trait]
impl Handler for Erasures {
    async fn handle(&self, job: &Job) -> Verdict {
        let Ok(StreamId::Account(account)) = job.order.stream.parse() else { return Verdict::Done };
        match self.office.engine.erase_after(account).await {
            Ok(()) => Verdict::Done,
            Err(error) => {
                tracing::warn!(%error, account_id = %account, "an erasure is unfinished, trying again");
                let failures = job.tries.saturating_add(1);
                Verdict::Retry(self.office.options.log_backoff.after(failures, job.order.id.0))
            }
        }
    }
}
