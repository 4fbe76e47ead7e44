//! What an engine of views does for the runner, the queries and a rebuild. Everything else is written once.

use std::{borrow::Cow, time::Duration};

use async_trait::async_trait;
use schemas::envelope::Position;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{
    error::ViewError,
    feed::{Batch, ViewSet},
    row::{Row, Value},
    views::VIEWS,
};

/// Where each view stands, in the order of [`VIEWS`].
pub(crate) type Positions = [Position; VIEWS.len()];

/// The views that stand farthest: the runner keeps these, the others are rebuilt beside them.
pub(crate) fn foremost(all: &Positions) -> (ViewSet, Position) {
    let most = all.iter().copied().max().unwrap_or_default();
    let set = all.iter().enumerate().filter(|(_, position)| **position == most).map(|(view, _)| view).collect();
    (set, most)
}

/// Where a view stands, as its row says.
#[derive(Debug, Clone)]
pub(crate) struct Checkpoint {
    pub(crate) version: u32,
    pub(crate) position: Position,
    pub(crate) event_at: Option<i64>,
    pub(crate) rebuilt_at: Option<i64>,
    pub(crate) generation: i64,
}

/// What a shadow's tables, and its checkpoint, are called besides their view.
pub(crate) const SHADOW: &str = "__rebuild";

/// Where a batch goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    /// The live tables of these views.
    Live(ViewSet),
    /// The shadow tables of these views.
    Shadow(ViewSet),
}

impl Target {
    pub(crate) const fn views(self) -> ViewSet {
        match self {
            Self::Live(views) | Self::Shadow(views) => views,
        }
    }
    pub(crate) const fn suffix(self) -> &'static str {
        match self {
            Self::Live(_) => "",
            Self::Shadow(_) => SHADOW,
        }
    }
    /// The name of a view's checkpoint.
    pub(crate) fn checkpoint(self, view: usize) -> String {
        format!("{}{}", VIEWS[view].name, self.suffix())
    }
}

/// The digest of a view and the number of its rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Digested {
    pub(crate) digest: [u8; 32],
    pub(crate) rows: u64,
}

/// The last step of a rebuild: what is missing in the shadow, and the live tables make room for it.
pub(crate) struct Swap {
    pub(crate) set: ViewSet,
    /// Where the shadow stands.
    pub(crate) at: Position,
    /// The events that it lacks.
    pub(crate) rest: Option<Batch>,
    /// Where the live views must stand still; the shadow ends there or farther on.
    pub(crate) target: Position,
    /// The time, in milliseconds.
    pub(crate) now: i64,
}

/// A place that keeps the tables of views.
#[async_trait]
pub(crate) trait ViewEngine: Send + Sync + 'static {
    /// Asks one statement, in one snapshot.
    async fn read(&self, sql: Cow<'static, str>, values: Vec<Value>) -> Result<Vec<Row>, ViewError>;
    /// How often to ask where the views stand, when another process runs them.
    fn ask_every(&self) -> Duration;
    /// Whether filling a shadow is much faster than applying batch by batch.
    fn fills_faster(&self) -> bool;
    /// Tells of moves that other processes make, where the engine can; forever.
    async fn listen(&self, heard: &watch::Sender<Positions>);
    /// Readies the place for writes of this process.
    async fn begin_writing(&self) -> Result<(), ViewError>;
    /// Returns when this process is the one that applies; from then on until [`Self::resign`].
    async fn lead(&self) -> Result<(), ViewError>;
    /// Lets another process apply.
    async fn resign(&self);
    /// Applies a batch and moves the checkpoints, in one transaction. [`ViewError::Moved`] unless the views stand
    /// where it begins, and for live ones unless this process is the one that applies.
    async fn apply(&self, batch: Batch, target: Target) -> Result<(), ViewError>;
    /// Returns when the following of the log has to end, and why: a query has found the place damaged, or another
    /// process applies.
    async fn interrupted(&self) -> ViewError;
    /// Makes the place anew, empty.
    async fn recreate(&self) -> Result<(), ViewError>;
    /// Begins a shadow, empty. One that was left is dropped.
    async fn begin_shadow(&self, set: ViewSet) -> Result<(), ViewError>;
    /// Fills the shadow; it may be incomplete and without indexes until [`Self::complete_shadow`].
    async fn fill_shadow(&self, set: ViewSet, batch: Batch) -> Result<(), ViewError>;
    /// Completes the shadow: indexes, and a checkpoint at `at`. From then on it takes batches.
    async fn complete_shadow(&self, set: ViewSet, at: Position) -> Result<(), ViewError>;
    /// Lets the live views stand still for a moment, whichever process applies, or go on. The end of the rebuild lets
    /// them go on, too.
    async fn hold(&self, still: bool) -> Result<(), ViewError>;
    /// A snapshot in which the shadow and those live views that are to be compared stand at one position; none
    /// when they do not.
    async fn pin(&self, set: ViewSet, compared: ViewSet, at: Position) -> Result<Option<Box<dyn Pinned>>, ViewError>;
    /// Brings the shadow to where the live views stand, and puts it in their place.
    async fn swap(&self, swap: Swap) -> Result<(), ViewError>;
    /// Drops what a swap has set aside.
    async fn tidy(&self, set: ViewSet) -> Result<(), ViewError>;
    /// Drops the shadow of a rebuild that ended early, without waiting for it.
    fn discard_shadow(&self, set: ViewSet);
    /// Ends the reading and writing.
    async fn close(&self);
}

/// A snapshot of live views and their shadows.
#[async_trait]
pub(crate) trait Pinned: Send {
    /// The digest of a view's live or shadow tables in it.
    async fn digest(
        &mut self,
        view: usize,
        suffix: &'static str,
        cancel: &CancellationToken,
    ) -> Result<Digested, ViewError>;
}
