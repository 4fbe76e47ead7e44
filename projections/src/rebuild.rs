//! Rebuilding views beside the live ones: shadow tables are filled from the start of the log, brought to where
//! the live ones stand, compared with them by digest, and swapped in. The live views go on all the while, but
//! for the moments in which both must stand at one position.

use std::time::Duration;

use domain::secret::to_hex;
use schemas::envelope::Position;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::{
    change::View,
    engine::{Digested, Pinned, SHADOW, Swap, Target, foremost},
    error::ViewError,
    feed::{self, Batch, ViewSet},
    live::Views,
    views::VIEWS,
};

/// Events of one transaction of a rebuild: short enough that live batches hardly wait behind one.
const BATCH: usize = 2_000;
/// Tries to catch the live views standing still, when another process moves them.
const TRIES: u32 = 500;
/// Pause between those.
const AGAIN: Duration = Duration::from_millis(5);
/// How far a rebuild is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RebuildProgress {
    /// Events replayed.
    pub events: u64,
    /// The position it has reached.
    pub position: Position,
    /// The position that the live views stand at.
    pub target: Position,
}

/// What a rebuild found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RebuildReport {
    /// Each view.
    pub views: Vec<RebuiltView>,
    /// Events replayed.
    pub events: u64,
    /// The position at which both were compared.
    pub position: u64,
    /// How long the replay took, without the comparison.
    pub seconds: f64,
    /// Events replayed a second.
    pub events_per_second: f64,
}

impl RebuildReport {
    /// Whether every view that could be compared was equal to its replay.
    pub fn is_equal(&self) -> bool {
        self.views.iter().all(|view| view.equal)
    }
}

/// One view that was rebuilt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RebuiltView {
    /// Its name.
    pub view: &'static str,
    /// Rows of the rebuilt one.
    pub rows: u64,
    /// Digest of the live one; none when that had another shape.
    pub live_digest: Option<String>,
    /// Digest of the rebuilt one.
    pub rebuilt_digest: String,
    /// Whether they are the same.
    pub equal: bool,
}

/// How a rebuild tells how far it is.
pub type OnProgress<'a> = &'a (dyn Fn(RebuildProgress) + Send + Sync);

/// Drops the shadow tables when a rebuild ends early.
struct Shadow<'a> {
    views: &'a Views,
    set: ViewSet,
    is_done: bool,
}

impl Drop for Shadow<'_> {
    fn drop(&mut self) {
        if !self.is_done {
            self.views.engine.discard_shadow(self.set);
        }
    }
}

impl Views {
    /// Rebuilds a view, or `all`, beside the live one, compares both and swaps it in.
    pub async fn rebuild(
        &self,
        view: &str,
        progress: OnProgress<'_>,
        cancel: &CancellationToken,
    ) -> Result<RebuildReport, ViewError> {
        let set: ViewSet = VIEWS
            .iter()
            .enumerate()
            .filter(|(_, known)| view == "all" || known.name == view)
            .map(|(index, _)| index)
            .collect();
        if set.is_empty() {
            return Err(ViewError::UnknownView(view.to_owned()));
        }
        self.engine.begin_writing().await?;
        cancel
            .run_until_cancelled(self.rebuild_set(set, Position::START, progress, cancel))
            .await
            .unwrap_or(Err(ViewError::Cancelled))
    }

    /// Rebuilds views up to where the live ones stand, or to `head` when that is farther.
    pub(crate) async fn rebuild_set(
        &self,
        set: ViewSet,
        head: Position,
        progress: OnProgress<'_>,
        cancel: &CancellationToken,
    ) -> Result<RebuildReport, ViewError> {
        let _one = self.rebuilding.lock().await;
        let begun = self.parts.runtime.instant();
        let mut shadow = Shadow { views: self, set, is_done: false };
        self.engine.begin_shadow(set).await?;
        let (mut at, mut events) = self.replay(set, head, progress).await?;
        let seconds = self.parts.runtime.since(begun).as_secs_f64();
        self.engine.complete_shadow(set, at).await?;

        // Compared where both stand at one position.
        let mut pinned = None;
        for _ in 0..TRIES {
            (at, events) = self.follow_live(set, at, events).await?;
            let _gate = self.gate.lock().await;
            self.engine.hold(true).await?;
            let (live, target) = foremost(&self.ask().await?);
            let (reached, more) = self.level(set, at, target).await?;
            (at, events) = (reached, events + more);
            // Live ones that the shadow has passed are none to compare with.
            let compared: ViewSet = set.iter().filter(|view| live.contains(*view) && at == target).collect();
            let snapshot = self.engine.pin(set, compared, at).await?;
            self.engine.hold(false).await?;
            if let Some(snapshot) = snapshot {
                pinned = Some((snapshot, compared));
                break;
            }
            self.parts.runtime.sleep(AGAIN).await;
        }
        let views = compare(set, pinned.ok_or(ViewError::Moved)?, cancel).await?;
        let position = at.0;

        let mut is_swapped = false;
        for _ in 0..TRIES {
            (at, events) = self.follow_live(set, at, events).await?;
            let _gate = self.gate.lock().await;
            self.engine.hold(true).await?;
            let (_, target) = foremost(&self.ask().await?);
            let rest = self.batch(set, at, target).await?;
            let now = self.parts.runtime.now().as_millis();
            let swapped = self.engine.swap(Swap { set, at, rest, target, now }).await;
            self.engine.hold(false).await?;
            match swapped {
                Ok(()) => {
                    is_swapped = true;
                    break;
                }
                Err(ViewError::Moved) => self.parts.runtime.sleep(AGAIN).await,
                Err(error) => return Err(error),
            }
        }
        if !is_swapped {
            return Err(ViewError::Moved);
        }
        shadow.is_done = true;
        self.engine.tidy(set).await?;
        #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
        let events_per_second = events as f64 / seconds.max(1e-9);
        Ok(RebuildReport { views, events, position, seconds, events_per_second })
    }

    /// Replays the log up to where the live views stand. The next batch is read and decoded while one is written.
    async fn replay(
        &self,
        set: ViewSet,
        head: Position,
        progress: OnProgress<'_>,
    ) -> Result<(Position, u64), ViewError> {
        let (mut at, mut events) = (Position::START, 0);
        let mut target = foremost(&self.ask().await?).1.max(head);
        let mut next = self.batch(set, at, target).await?;
        while let Some(batch) = next {
            (at, events) = (batch.last, events + batch.events as u64);
            // The end of a short batch is near enough: who writes all the time would never be caught up with.
            if at >= target && batch.events == BATCH {
                target = foremost(&self.ask().await?).1.max(head);
            }
            let write = self.engine.fill_shadow(set, batch);
            ((), next) = tokio::try_join!(write, self.batch(set, at, target))?;
            progress(RebuildProgress { events, position: at, target });
        }
        Ok((at, events))
    }

    /// The next events for the shadow, none of them after `target`.
    async fn batch(&self, set: ViewSet, after: Position, target: Position) -> Result<Option<Batch>, ViewError> {
        if after >= target {
            return Ok(None);
        }
        let mut events = self.parts.log.read_all(after, BATCH).await?;
        events.retain(|event| event.position <= target);
        if events.is_empty() {
            return Ok(None);
        }
        feed::batch(&self.parts.runtime, &self.parts.keys, set, after, events).await.map(Some)
    }

    /// Brings the shadow near the live views while they go on, so that they stand still for the rest alone.
    async fn follow_live(&self, set: ViewSet, at: Position, events: u64) -> Result<(Position, u64), ViewError> {
        let (_, target) = foremost(&self.ask().await?);
        let (reached, more) = self.level(set, at, target).await?;
        Ok((reached, events + more))
    }

    /// Brings the shadow to `target`.
    async fn level(&self, set: ViewSet, mut at: Position, target: Position) -> Result<(Position, u64), ViewError> {
        let mut events = 0;
        while let Some(batch) = self.batch(set, at, target).await? {
            (at, events) = (batch.last, events + batch.events as u64);
            self.engine.apply(batch, Target::Shadow(set)).await?;
        }
        Ok((at, events))
    }
}

async fn compare(
    set: ViewSet,
    (mut snapshot, comparable): (Box<dyn Pinned>, ViewSet),
    cancel: &CancellationToken,
) -> Result<Vec<RebuiltView>, ViewError> {
    let mut all = Vec::new();
    for index in set.iter() {
        let rebuilt = snapshot.digest(index, SHADOW, cancel).await?;
        let live = if comparable.contains(index) { Some(snapshot.digest(index, "", cancel).await?) } else { None };
        all.push(compared(VIEWS[index], live.as_ref(), &rebuilt));
    }
    Ok(all)
}

fn compared(view: &View, live: Option<&Digested>, rebuilt: &Digested) -> RebuiltView {
    let equal = live.is_none_or(|live| live == rebuilt);
    if !equal {
        tracing::error!(view = view.name, "the live view differs from a replay of the log; the replay takes its place");
    }
    RebuiltView {
        view: view.name,
        rows: rebuilt.rows,
        live_digest: live.map(|live| to_hex(&live.digest)),
        rebuilt_digest: to_hex(&rebuilt.digest),
        equal,
    }
}
