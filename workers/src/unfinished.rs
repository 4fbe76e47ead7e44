//! Notes sign-ins that nobody finished: a right password without its second factor, of which the owner is told.
//!
//! Nothing happens when a sign-in is not finished, so nothing orders this: a reader of its own goes through the log as
//! far behind as a sign-in lives. All live equally long, so those that began later end later, and one reader that waits
//! for each end keeps none waiting. Whether there is anything to note is the account's rule, so any number of them may
//! run, and read anything again.

use std::{sync::Arc, time::Duration};

use domain::{
    account::{UNFINISHED_IS_NEWS, sign_in_begun},
    commands::Command,
    ids::{AccountId, StreamId, VerificationId},
    time::Timestamp,
    values::{Caller, Origin},
};
use engine::{ExecuteError, Request};
use event_store::{codec, port::Checkpoints, subscription::subscribe};
use schemas::envelope::{Position, StoredEvent};
use tokio_util::sync::CancellationToken;

use crate::{sending::Office, steps};

/// Its name among the tasks.
pub(crate) const NAME: &str = "unfinished-sign-ins";
/// Its checkpoint.
pub(crate) const CHECKPOINT: &str = "workers.unfinished-sign-ins";

/// Stored type of the events that begin a sign-in, among others.
const BEGUN: &str = "VerificationStarted";
/// Events per read of the log.
const BATCH: usize = 256;
/// The time of the log need not run like this machine's: it is looked at again after this long at most.
const LOOK_AGAIN: Duration = Duration::from_millis(500);
/// Tries of one sign-in, while everything else answers: one account that cannot be read keeps no other from being told.
const TRIES: u32 = 12;
/// The checkpoint is saved at most this often.
const SAVE_EVERY: Duration = Duration::from_secs(1);

/// Follows the log until cancelled.
pub(crate) async fn run(office: Office, checkpoints: Arc<dyn Checkpoints>, cancel: CancellationToken) {
    let mut reader = Reader { office, checkpoints, done: Position::START, saved: Position::START, failures: 0 };
    tokio::select! {
        biased;
        () = cancel.cancelled() => {}
        () = reader.follow() => {}
    }
    if let Err(error) = reader.save().await {
        tracing::warn!(%error, "the checkpoint of unfinished sign-ins could not be saved; they will be looked at again");
    }
}

struct Reader {
    office: Office,
    checkpoints: Arc<dyn Checkpoints>,
    /// Everything up to here is noted.
    done: Position,
    saved: Position,
    failures: u32,
}

impl Reader {
    async fn follow(&mut self) {
        loop {
            let Err(error) = self.read_on().await;
            self.failures = self.failures.saturating_add(1);
            tracing::warn!(%error, "unfinished sign-ins cannot be looked for now, trying again");
            self.pause(self.failures).await;
        }
    }

    async fn pause(&self, failures: u32) {
        let wait = self.office.options.log_backoff.after(failures, uuid::Uuid::nil());
        self.office.engine.runtime().sleep(wait).await;
    }

    async fn read_on(&mut self) -> Result<std::convert::Infallible, ExecuteError> {
        let runtime = self.office.engine.runtime().clone();
        // What this process has done already is not looked at again after an error.
        self.saved = self.checkpoints.load(CHECKPOINT).await?;
        self.done = self.done.max(self.saved);
        let mut log = subscribe(&runtime, Arc::clone(self.office.engine.log()), self.done, BATCH);
        let mut save_at = runtime.instant() + SAVE_EVERY;
        loop {
            let events = tokio::select! {
                biased;
                events = log.next() => events?,
                () = runtime.sleep_until(save_at), if self.done > self.saved => Vec::new(),
            };
            for event in events {
                match sign_in(&event) {
                    Ok(Some(begun)) => self.look_at(&event, begun).await,
                    Ok(None) => {}
                    // It was written by a later version, whose own reader knows what it is.
                    Err(error) => tracing::error!(%error, event = %event.id, "a sign-in cannot be read"),
                }
                self.done = event.position;
            }
            if runtime.instant() >= save_at {
                self.save().await?;
                save_at = runtime.instant() + SAVE_EVERY;
            }
            self.failures = 0;
        }
    }

    /// Waits for its end, and has it noted if nobody finished it by then.
    async fn look_at(&mut self, event: &StoredEvent, begun: Begun) {
        // What is long past is nobody's news: a log is gone through from its beginning at no cost.
        if self.office.engine.now() >= begun.end.plus(UNFINISHED_IS_NEWS) {
            return;
        }
        self.wait_for(begun.end).await;
        let mut tries = 0;
        while let Err(error) = self.note(event, &begun).await {
            tries += 1;
            tracing::warn!(%error, tries, account_id = %begun.account, "whether a sign-in was finished cannot be told now");
            if tries >= TRIES && self.all_else_answers().await {
                tracing::error!(account_id = %begun.account, "whether a sign-in was finished cannot be told");
                return;
            }
            self.pause(tries).await;
        }
    }

    async fn all_else_answers(&self) -> bool {
        let log = self.office.engine.log().last_position().await;
        log.is_ok() && self.checkpoints.load(CHECKPOINT).await.is_ok()
    }

    async fn wait_for(&mut self, end: Timestamp) {
        let engine = self.office.engine.clone();
        // While it waits nothing is done, so what was is made durable before.
        if engine.now() < end
            && let Err(error) = self.save().await
        {
            tracing::debug!(%error, "a checkpoint was not saved");
        }
        while engine.now() < end {
            let left = u64::try_from(end.as_millis().saturating_sub(engine.now().as_millis())).unwrap_or_default();
            engine.runtime().sleep(Duration::from_millis(left.max(1)).min(LOOK_AGAIN)).await;
        }
    }

    async fn note(&self, event: &StoredEvent, begun: &Begun) -> Result<(), ExecuteError> {
        let engine = &self.office.engine;
        // Most are finished: that is seen without a command. The rule decides on what is confirmed.
        if !engine.load(begun.account).await?.state.left_unfinished(begun.id, engine.now()) {
            return Ok(());
        }
        let metadata = codec::decode_metadata(event, None)?;
        let request = Request {
            caller: Caller::Worker,
            origin: Origin::default(),
            command_id: steps::unfinished(event.id),
            idempotency: None,
            correlation_id: metadata.correlation_id,
            causation_id: Some(event.id),
            trace_parent: metadata.trace_parent,
        };
        let command = Command::NoteUnfinishedSignIn { verification_id: begun.id };
        // A refusal says that the account is gone: there is nobody to tell.
        let _told = engine.execute(begun.account, command, &request).await?;
        Ok(())
    }

    async fn save(&mut self) -> Result<(), ExecuteError> {
        if self.done > self.saved {
            self.checkpoints.save(CHECKPOINT, self.done).await?;
            self.saved = self.done;
        }
        Ok(())
    }
}

/// A sign-in with a password.
struct Begun {
    account: AccountId,
    id: VerificationId,
    end: Timestamp,
}

/// The one that an event began. Nothing that is looked at is personal.
fn sign_in(event: &StoredEvent) -> Result<Option<Begun>, ExecuteError> {
    if &*event.event_type != BEGUN {
        return Ok(None);
    }
    let Ok(StreamId::Account(account)) = event.stream.parse() else { return Ok(None) };
    let begun = sign_in_begun(&codec::decode_event(event, None)?);
    Ok(begun.map(|(id, end)| Begun { account, id, end }))
}
