//! The one path by which a command becomes events: load, find out what the decision needs, decide, append.
//!
//! Commands for one stream queue in arrival order within the process; another process is met as a
//! conflict, and the command is decided again on what it left. Nothing is told before it is durable, and
//! a refusal without events only after the stream's head confirmed that it was decided on the present.
//!
//! The accounts of an import go that path together, as far as nothing is there of them yet ([`Engine::import`]).

mod addresses;
mod cut_off;
mod erasure;
mod execute;
mod follow;
mod history;
mod import;
mod load;
mod needs;
mod numbers;
mod password_reset;
mod queues;
mod receipts;
mod sign_in;
mod states;
#[cfg(feature = "testing")]
pub mod testing;

use std::{sync::Arc, time::Duration};

use domain::{
    decision::Decider,
    delivery::CodeOrder,
    ids::{CommandId, EventId},
    inquiry::NeverEnough,
    outcome::{Outcome, Refusal},
    policy::Policy,
    secret::SecretText,
    time::{Seconds, Timestamp},
    values::{Caller, CodeForm, EmailAddress, Origin, Purpose},
};
use runtime::{NoRandomness, Runtime};
use schemas::envelope::{Metadata, Position, Version};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;
use vault::{DataKey, Hasher, VaultError};

use self::{cut_off::KnownCutOff, follow::Follower, numbers::Numbers, queues::Queues, states::States};
use event_store::{
    codec::CodecError,
    keys::{Keys, KeysError},
    port::{Answers, EventLog, Limiter, LogError, SnapshotStore},
};

pub use self::{
    erasure::UnfinishedErasure,
    password_reset::{ResetAttempt, ResetTicket},
    sign_in::PasswordSignIn,
};

/// What an engine works with.
#[derive(Clone)]
pub struct EngineParts {
    /// The log.
    pub log: Arc<dyn EventLog>,
    /// The data keys.
    pub keys: Arc<Keys>,
    /// The snapshots.
    pub snapshots: Arc<dyn SnapshotStore>,
    /// Slow hashes.
    pub hasher: Hasher,
    /// Limits over accounts.
    pub limiter: Arc<dyn Limiter>,
    /// Answers that are kept though nothing is appended.
    pub answers: Arc<dyn Answers>,
    /// What runs it: the time, waiting, tasks, randomness.
    pub runtime: Runtime,
    /// The rules' numbers.
    pub policy: Arc<Policy>,
    /// What is kept in memory.
    pub cache: CacheOptions,
}

/// What is kept in memory, and how often a snapshot is written. All of it may be lost at any time.
#[derive(Debug, Clone, Copy)]
pub struct CacheOptions {
    /// States of streams. 10,000; with 0 none is kept.
    pub states: usize,
    /// A snapshot is written once a stream has grown by this many events. 20: decoding the events between
    /// two snapshots must stay cheaper than opening the snapshot, or long streams load slower than short ones.
    pub snapshot_every: u64,
}

impl Default for CacheOptions {
    fn default() -> Self {
        Self { states: 10_000, snapshot_every: 20 }
    }
}

/// Who sends a command, and what is to be remembered with it.
#[derive(Debug, Clone)]
pub struct Request {
    /// Who asks.
    pub caller: Caller,
    /// From where.
    pub origin: Origin,
    /// The command.
    pub command_id: CommandId,
    /// The key under which its answer is kept.
    pub idempotency: Option<Idempotency>,
    /// Ties together everything that one request led to.
    pub correlation_id: Uuid,
    /// The event that caused it.
    pub causation_id: Option<EventId>,
    /// W3C trace context.
    pub trace_parent: Option<String>,
}

impl Request {
    /// The same request for a step that has no answer of its own to keep.
    pub(crate) fn inner(&self) -> Self {
        Self { idempotency: None, ..self.clone() }
    }

    pub(crate) fn metadata(&self, at: Timestamp) -> Metadata {
        use domain::personal::Personal::Known;
        Metadata {
            at,
            actor: self.caller.actor(),
            command_id: self.command_id,
            correlation_id: self.correlation_id,
            causation_id: self.causation_id,
            ip: self.origin.ip.map(Known),
            end_user_ip: self.origin.end_user_ip.map(Known),
            user_agent: self.origin.user_agent.clone().map(Known),
            trace_parent: self.trace_parent.clone(),
        }
    }
}

/// A key under which the answer of a command is kept, so that the same command again gets the first answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Idempotency {
    /// Keyed hash of credential (or source) and key.
    pub key: [u8; 32],
    /// Keyed hash of the body.
    pub body: [u8; 32],
    /// How long the answer is kept.
    pub lives: Seconds,
}

/// A command that was carried out, or refused by the rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Executed {
    /// What its sender is told.
    pub outcome: Result<Outcome, Refusal>,
    /// What the stream reached: a view that is there has seen the command.
    pub position: Position,
    /// Whether this is the first answer, repeated.
    pub replayed: bool,
}

/// Why nothing can be told. The texts are for logs, not for callers.
#[derive(Debug, thiserror::Error)]
pub enum ExecuteError {
    /// A part cannot be reached, or the stream never stood still: another try may work.
    #[error("unavailable: {0}")]
    Unavailable(String),
    /// Too many slow hashes at once.
    #[error("too many passwords are being checked at once")]
    Busy,
    /// The key was used for another command.
    #[error("the idempotency key was used for another command")]
    IdempotencyConflict,
    /// It should not happen.
    #[error("internal: {0}")]
    Internal(String),
}

impl ExecuteError {
    /// A personal value does not open, though nothing was erased. It is an alert, and nobody's fault but ours: no rule
    /// may take the value for absent, so nothing is decided until it opens again.
    fn unreadable(what: impl std::fmt::Display) -> Self {
        metrics::counter!("countersign_unreadable").increment(1);
        tracing::error!(%what, "a personal value does not open, and its history does not say that it was erased");
        Self::Unavailable(what.to_string())
    }
}

impl From<LogError> for ExecuteError {
    fn from(error: LogError) -> Self {
        match error {
            LogError::Unavailable(_) => Self::Unavailable(error.to_string()),
            LogError::Unreadable(_) => Self::Internal(error.to_string()),
        }
    }
}

impl From<KeysError> for ExecuteError {
    fn from(error: KeysError) -> Self {
        match error {
            KeysError::Store(error) => error.into(),
            KeysError::Vault(_) => Self::unreadable(error),
            KeysError::Erased => Self::Internal(error.to_string()),
        }
    }
}

impl From<VaultError> for ExecuteError {
    fn from(error: VaultError) -> Self {
        match error {
            VaultError::Busy => Self::Busy,
            error => Self::Internal(error.to_string()),
        }
    }
}

impl From<NoRandomness> for ExecuteError {
    fn from(error: NoRandomness) -> Self {
        Self::Internal(error.to_string())
    }
}

impl From<NeverEnough> for ExecuteError {
    fn from(error: NeverEnough) -> Self {
        Self::Internal(error.to_string())
    }
}

impl From<CodecError> for ExecuteError {
    fn from(error: CodecError) -> Self {
        match error {
            CodecError::Sealed(..) => Self::unreadable(error),
            error => Self::Internal(error.to_string()),
        }
    }
}

/// A stream's state, as of a version.
#[derive(Debug, Clone)]
pub struct Loaded<D> {
    /// The state.
    pub state: Arc<D>,
    /// The stream's last event.
    pub version: Version,
    /// Its position.
    pub position: Position,
    /// Its time.
    pub at: Timestamp,
    /// How long the clock had run when this process learned of that event.
    pub(crate) learned: Duration,
    /// Version of the last snapshot that is known of.
    pub(crate) snapshot: Version,
    /// Whether it was read without a key from events that hold sealed values: right for what was erased alone.
    pub(crate) is_unopened: bool,
}

impl<D: Decider> Default for Loaded<D> {
    fn default() -> Self {
        Self {
            state: Arc::new(D::default()),
            version: Version::NONE,
            position: Position::START,
            at: Timestamp::EPOCH,
            learned: Duration::MAX,
            snapshot: Version::NONE,
            is_unopened: false,
        }
    }
}

impl<D> Loaded<D> {
    /// The stream's own time: the clock's, and never before the last event. Where the clock was set back after
    /// that event the time goes on from it, as it passed since this process learned of it: locks end and codes
    /// expire after as long as ever, and no history runs backwards. A process that begins to look only now counts
    /// from now: what has to pass passes in full, never less.
    pub(crate) fn now(&self, runtime: &Runtime) -> Timestamp {
        let passed = runtime.running().saturating_sub(self.learned).as_millis();
        let passed = i64::try_from(passed).unwrap_or(i64::MAX);
        runtime.now().max(Timestamp::from_millis(self.at.as_millis().saturating_add(passed)))
    }
}

/// Executes commands and loads states. Cheap to clone.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) parts: EngineParts,
    pub(crate) states: States,
    pub(crate) queues: Queues,
    /// Numbers of accounts that this process may give away.
    pub(crate) numbers: Numbers,
    /// Before when all sessions are over.
    pub(crate) cut_off: KnownCutOff,
    pub(crate) follower: Follower,
}

impl Engine {
    /// An engine over these parts. Its task follows the log, to keep what is in memory current, until `cancel`.
    pub async fn start(parts: EngineParts, cancel: CancellationToken) -> Result<Self, ExecuteError> {
        let from = parts.log.last_position().await?;
        let states = States::new(&parts.runtime, parts.cache.states);
        let follower = Follower::default();
        let engine = Self {
            inner: Arc::new(Inner {
                states,
                queues: Queues::default(),
                numbers: Numbers::default(),
                cut_off: KnownCutOff::default(),
                follower,
                parts,
            }),
        };
        follow::spawn(&engine, from, cancel);
        Ok(engine)
    }

    /// Now.
    pub fn now(&self) -> Timestamp {
        self.inner.parts.runtime.now()
    }
    /// What runs it.
    pub fn runtime(&self) -> &Runtime {
        &self.inner.parts.runtime
    }
    /// The rules' numbers.
    pub fn policy(&self) -> &Policy {
        &self.inner.parts.policy
    }
    /// The data keys.
    pub fn keys(&self) -> &Arc<Keys> {
        &self.inner.parts.keys
    }
    /// The log.
    pub fn log(&self) -> &Arc<dyn EventLog> {
        &self.inner.parts.log
    }
    /// The characters of a code that was ordered for an account with this key, as they are shown.
    pub fn ordered_code(&self, key: &DataKey, order: &CodeOrder) -> Option<SecretText> {
        match (order.form, order.challenge.purpose) {
            (CodeForm::Digits, _) => Some(key.one_time_code(&order.challenge)),
            (CodeForm::Letters, Purpose::ConfirmEmail) => {
                let to = EmailAddress::parse(order.to.known()?).ok()?;
                Some(self.keys().ring().confirmation_code(&to, order.challenge.issue))
            }
            (CodeForm::Letters, _) => Some(key.long_code(&order.challenge)),
        }
    }
    /// The limiter.
    pub fn limiter(&self) -> &Arc<dyn Limiter> {
        &self.inner.parts.limiter
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").finish_non_exhaustive()
    }
}
