//! The catch-up runner: from the log to the views, catching up and then live.

use std::{
    pin::pin,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use event_store::subscription::subscribe;
use schemas::envelope::Position;
use tokio_util::sync::CancellationToken;

use crate::{
    engine::{Target, foremost},
    error::ViewError,
    feed::{self, Batch, ViewSet},
    live::Views,
    views::VIEWS,
};

/// Events of one transaction, at most.
const BATCH: usize = 1_000;
/// So many events are a long log.
const LONG: usize = 5_000;
/// After a batch the runner waits so long for more to come together, unless someone waits for it: at a
/// thousand events a second a transaction for each would cost more than its changes.
const LINGER: Duration = Duration::from_millis(5);
/// First and longest pause after a failure.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

impl Views {
    /// Keeps the views current until it is cancelled. Ends with an error only when an event cannot be read. Where
    /// several processes share the views, one of them applies and the others wait to take its place.
    pub async fn run(self: Arc<Self>, cancel: CancellationToken) -> Result<(), ViewError> {
        self.engine.begin_writing().await?;
        let ended = self.run_on(&cancel).await;
        self.runs(false);
        self.engine.resign().await;
        ended
    }

    /// Says whether the runner of this process keeps the views; whoever waits looks again.
    fn runs(&self, is_running: bool) {
        if self.is_running.swap(is_running, Ordering::Relaxed) != is_running {
            self.positions.send_modify(|_| ());
        }
    }

    async fn run_on(&self, cancel: &CancellationToken) -> Result<(), ViewError> {
        let mut pause = BACK_OFF.0;
        loop {
            let begun = self.parts.runtime.instant();
            let follow = async {
                tokio::select! {
                biased;
                        followed = self.follow() => followed,
                        error = self.engine.interrupted() => Err(error),
                    }
            };
            let Some(followed) = cancel.run_until_cancelled(follow).await else { return Ok(()) };
            self.runs(false);
            match followed {
                Ok(()) | Err(ViewError::Moved) => {}
                Err(ViewError::Damaged(reason)) => {
                    tracing::warn!(reason, "the views' file is damaged: it is rebuilt from the log");
                    self.engine.recreate().await?;
                    self.moved(self.ask().await?);
                }
                Err(error @ (ViewError::Undecodable { .. } | ViewError::Closed)) => {
                    tracing::error!(%error, "the views have stopped");
                    return Err(error);
                }
                Err(error) => {
                    if self.parts.runtime.since(begun) > BACK_OFF.1 {
                        pause = BACK_OFF.0;
                    }
                    tracing::warn!(%error, "the views cannot follow the log; trying again");
                    if cancel.run_until_cancelled(self.parts.runtime.sleep(pause)).await.is_none() {
                        return Ok(());
                    }
                    pause = (pause * 2).min(BACK_OFF.1);
                }
            }
        }
    }

    /// Follows the log with the views that stand farthest; rebuilds the others beside them, then takes them in.
    async fn follow(&self) -> Result<(), ViewError> {
        self.engine.lead().await?;
        let all = self.ask().await?;
        self.moved(all);
        self.runs(true);
        let (live, position) = foremost(&all);
        if position == Position::START && self.engine.fills_faster() {
            // A long log behind empty views: they are filled in one go and put in place, not batch by batch.
            let head = self.parts.log.last_position().await?;
            if self.parts.log.read_all(position, LONG).await?.len() >= LONG {
                tracing::info!("the views are filled from the log");
                return self.rebuild_set(ViewSet::ALL, head, &|_| (), &CancellationToken::new()).await.map(drop);
            }
        }
        let behind = ViewSet::ALL.without(live);
        let mut rebuilt = pin!(async {
            if behind.is_empty() {
                std::future::pending::<()>().await;
            }
            let names: Vec<&str> = behind.iter().map(|view| VIEWS[view].name).collect();
            tracing::info!(views = ?names, "views of an older shape are rebuilt beside the others");
            self.rebuild_set(behind, Position::START, &|_| (), &CancellationToken::new()).await.map(drop)
        });
        // On success the next round follows with all of them.
        tokio::select! {
            biased;
            followed = self.follow_with(live, position) => followed,
            done = &mut rebuilt => done,
        }
    }

    async fn follow_with(&self, live: ViewSet, position: Position) -> Result<(), ViewError> {
        let mut events = subscribe(&self.parts.runtime, Arc::clone(&self.parts.log), position, BATCH);
        let mut after = position;
        // The next batch is read and decoded while the last one is written.
        let mut next = self.prepare(live, after, events.next().await?).await?;
        loop {
            let batch = next;
            let is_full = batch.events == BATCH;
            after = batch.last;
            if is_full {
                ((), next) = tokio::try_join!(self.write(live, batch), async {
                    self.prepare(live, after, events.next().await?).await
                })?;
            } else {
                self.write(live, batch).await?;
                let _ = self.parts.runtime.timeout(LINGER, self.hurry.notified()).await;
                next = self.prepare(live, after, events.next().await?).await?;
            }
        }
    }

    async fn prepare(
        &self,
        live: ViewSet,
        after: Position,
        events: Vec<schemas::envelope::StoredEvent>,
    ) -> Result<Batch, ViewError> {
        feed::batch(&self.parts.runtime, &self.parts.keys, live, after, events).await
    }

    async fn write(&self, live: ViewSet, batch: Batch) -> Result<(), ViewError> {
        let begun = self.parts.runtime.instant();
        let (last, last_at, count) = (batch.last, batch.last_at, batch.events);
        {
            let _gate = self.gate.lock().await;
            self.engine.apply(batch, Target::Live(live)).await?;
            self.positions.send_modify(|all| live.iter().for_each(|view| all[view] = last));
        }
        let head = *self.parts.log.watch().borrow();
        let lag = head.0.saturating_sub(last.0);
        let seconds = if lag == 0 { 0 } else { self.parts.runtime.now().seconds_since(last_at) };
        metrics::histogram!("countersign_projection_batch_seconds")
            .record(self.parts.runtime.since(begun).as_secs_f64());
        metrics::counter!("countersign_projection_events_total").increment(count as u64);
        #[expect(clippy::cast_precision_loss, reason = "a gauge")]
        metrics::gauge!("countersign_projection_lag_positions").set(lag as f64);
        metrics::gauge!("countersign_projection_lag_seconds").set(f64::from(seconds));
        Ok(())
    }
}
