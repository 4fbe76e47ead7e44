//! Deciding and appending.

use std::{sync::Arc, time::Duration};

use domain::{
    commands::Command,
    decision::{Context, Decider, Decision},
    entropy::Entropy,
    events::Event,
    evidence::Evidence,
    ids::{AccountId, EventId, StreamId},
    inquiry::Inquiry,
    outcome::{Outcome, Refusal},
    state::Account,
    time::Timestamp,
};
use schemas::envelope::{NewEvent, Version};
use vault::DataKey;

use crate::{Engine, ExecuteError, Executed, Loaded, Request};
use event_store::{
    codec::Draft,
    keys::{KeyState, KeysError},
    port::{Append, AppendError, Appended, Expected, Receipt},
};

/// A conflict with another process is decided again this often.
const ATTEMPTS: u32 = 10;
/// From the third conflict on a command waits, each time twice as long: who has just won is ready for its next
/// command sooner than who lost, and would win again and again.
const PATIENT_AFTER: u32 = 2;
/// The first of those pauses.
const PAUSE: Duration = Duration::from_millis(1);
/// An append of unknown outcome is repeated, unchanged, after these pauses.
const REPEATS: [Duration; 3] = [Duration::from_millis(10), Duration::from_millis(50), Duration::from_millis(250)];

/// How one command is carried out.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Manner {
    /// A refusal leaves no receipt: it must not be told apart from that of an account that does not exist.
    pub(crate) keep_no_refusal: bool,
}

/// A decision that was appended, with what it was made on.
pub(crate) struct Carried<D> {
    pub(crate) executed: Executed,
    /// The state before, and the events; none when nothing was appended.
    pub(crate) appended: Option<(Arc<Loaded<D>>, Vec<Event>)>,
}

impl Engine {
    /// Executes a command of an account.
    pub async fn execute(
        &self,
        account: AccountId,
        command: Command,
        request: &Request,
    ) -> Result<Executed, ExecuteError> {
        self.execute_account(account, &command, request, Manner::default()).await
    }

    pub(crate) async fn execute_account(
        &self,
        account: AccountId,
        command: &Command,
        request: &Request,
        manner: Manner,
    ) -> Result<Executed, ExecuteError> {
        self.execute_knowing(account, command, request, manner, Evidence::new()).await
    }

    /// The same where something that the decision may need was found out before.
    pub(crate) async fn execute_knowing(
        &self,
        account: AccountId,
        command: &Command,
        request: &Request,
        manner: Manner,
        evidence: Evidence,
    ) -> Result<Executed, ExecuteError> {
        let stream = StreamId::Account(account);
        let carried = self.carry_out::<Account>(&stream, command, request, manner, evidence).await?;
        if let Some((before, events)) = &carried.appended {
            self.follow_up(account, &before.state, events, request).await;
        }
        Ok(carried.executed)
    }

    /// Executes a command of any other stream.
    pub async fn execute_on<D: Decider>(
        &self,
        stream: &StreamId,
        command: &D::Command,
        request: &Request,
    ) -> Result<Executed, ExecuteError> {
        Ok(self.carry_out::<D>(stream, command, request, Manner::default(), Evidence::new()).await?.executed)
    }

    async fn carry_out<D: Decider>(
        &self,
        stream: &StreamId,
        command: &D::Command,
        request: &Request,
        manner: Manner,
        mut evidence: Evidence,
    ) -> Result<Carried<D>, ExecuteError> {
        let _turn = self.inner.queues.turn(stream).await;
        if let Some(executed) = self.replay(request).await? {
            return Ok(Carried { executed, appended: None });
        }
        let pass = self.inner.states.enter(stream);
        // One command, one entropy: decided again, it makes the same ids and secrets.
        let entropy = self.runtime().entropy()?;
        let mut loaded = self.known_or_loaded::<D>(stream, &pass).await?;
        for attempt in 0..ATTEMPTS {
            if attempt > 0 {
                metrics::counter!("countersign_conflicts").increment(1);
                if attempt > PATIENT_AFTER {
                    self.runtime().sleep(PAUSE * (1 << (attempt - PATIENT_AFTER - 1))).await;
                }
                loaded = self.caught_up(stream, Some(loaded), &pass).await?;
                if let Some(executed) = self.replay(request).await? {
                    return Ok(Carried { executed, appended: None });
                }
            }
            let (decision, now) = self.decided(stream, &loaded, command, request, &entropy, &mut evidence).await?;
            let Decision { events, outcome } = decision;
            if outcome == Err(Refusal::Unreadable) {
                return Err(ExecuteError::unreadable(stream));
            }
            if events.is_empty() {
                if self.log().head(stream).await? != loaded.version {
                    continue;
                }
                self.told(&outcome, &evidence).await;
                let executed = Executed { outcome, position: loaded.position, replayed: false };
                return Ok(Carried { executed, appended: None });
            }
            let append = self.sealed(stream, &loaded, &events, &outcome, request, &entropy, now, manner, None).await?;
            let has_key = append.has_key;
            let learned = self.runtime().running();
            let Some(appended) = self.append(append.append).await? else { continue };
            if has_key {
                let after = self.with_snapshot_when_due(stream, evolved(&loaded, &events, appended, (now, learned)));
                pass.keep(&after);
            } else {
                self.inner.states.forget(stream);
            }
            self.told(&outcome, &evidence).await;
            let executed = Executed { outcome, position: appended.position, replayed: false };
            return Ok(Carried { executed, appended: Some((loaded, events)) });
        }
        Err(ExecuteError::Unavailable("the stream never stood still".to_owned()))
    }

    /// The decision, with each thing that it needs found out on the way: [`domain::inquiry::decided`] for one who
    /// waits.
    pub(crate) async fn decided<D: Decider>(
        &self,
        stream: &StreamId,
        loaded: &Loaded<D>,
        command: &D::Command,
        request: &Request,
        entropy: &Entropy,
        evidence: &mut Evidence,
    ) -> Result<(Decision, Timestamp), ExecuteError> {
        let clock = self.now();
        let now = loaded.now(self.runtime());
        let context =
            Context { now, clock, caller: &request.caller, origin: &request.origin, policy: self.policy(), entropy };
        let mut inquiry = Inquiry::new(&*loaded.state, command, &context, evidence);
        loop {
            match inquiry.decision() {
                Ok(decision) => return Ok((decision, now)),
                Err(need) => inquiry.learn(self.found_out(stream, need, request, now).await?)?,
            }
        }
    }

    /// Encodes and seals the events and the receipt, under the stream's key when it is at hand.
    #[expect(clippy::too_many_arguments, reason = "the parts of one append, used once")]
    pub(crate) async fn sealed<D: Decider>(
        &self,
        stream: &StreamId,
        loaded: &Loaded<D>,
        events: &[Event],
        outcome: &Result<Outcome, Refusal>,
        request: &Request,
        entropy: &Entropy,
        now: Timestamp,
        manner: Manner,
        known: Option<&DataKey>,
    ) -> Result<Sealed, ExecuteError> {
        let metadata = request.metadata(now);
        let drafts: Vec<Draft> = events
            .iter()
            .enumerate()
            .map(|(n, event)| {
                // The version keeps the ids of a decision that was made again apart.
                let id = EventId(entropy.uuid(now, &format!("event {} {n}", loaded.version.0)));
                Draft::new(event, id, &metadata)
            })
            .collect::<Result<_, _>>()?;
        let keeps = request.idempotency.filter(|_| outcome.is_ok() || !manner.keep_no_refusal);
        let needs_key = keeps.is_some() || drafts.iter().any(Draft::is_personal);
        let key = match known {
            Some(known) => Some(known.clone()),
            None if needs_key => self.key_for_writing(stream, loaded.version).await?,
            None => None,
        };
        let receipt = match (&keeps, &key) {
            (Some(idempotency), Some(key)) => Some(receipt(stream, key, idempotency, outcome, now)?),
            _ => None,
        };
        let name = stream.to_string();
        let events: Vec<NewEvent> =
            drafts.into_iter().map(|draft| draft.seal(&name, key.as_ref())).collect::<Result<_, _>>()?;
        let expected =
            if loaded.version == Version::NONE { Expected::NoStream } else { Expected::Version(loaded.version) };
        let append = Append { stream: stream.clone(), expected, events, receipt };
        Ok(Sealed { append, has_key: key.is_some() || !needs_key })
    }

    /// The stream's key, or none when it was erased: what is personal is then written as erased. A history whose key is
    /// gone gets no second one, under which the first would be forgotten for good.
    async fn key_for_writing(&self, stream: &StreamId, version: Version) -> Result<Option<DataKey>, ExecuteError> {
        if version != Version::NONE && begins_sealed(stream) {
            return self.key_of_a_history(stream).await;
        }
        match self.keys().ensure(stream).await {
            Ok(key) => Ok(Some(key)),
            Err(KeysError::Erased) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The key of a stream that has events, or none when it was erased.
    pub(crate) async fn key_of_a_history(&self, stream: &StreamId) -> Result<Option<DataKey>, ExecuteError> {
        match self.keys().state(stream).await? {
            KeyState::Open(key) => Ok(Some(key)),
            KeyState::Erased => Ok(None),
            KeyState::Absent => Err(ExecuteError::unreadable(format!("the data key of {stream} is missing"))),
        }
    }

    /// Appends; `None` is a conflict. An unknown outcome is cleared up before anything else happens.
    pub(crate) async fn append(&self, append: Append) -> Result<Option<Appended>, ExecuteError> {
        let begun = self.runtime().instant();
        let mut pauses = REPEATS.iter();
        loop {
            match self.log().append(append.clone()).await {
                Ok(appended) => {
                    metrics::histogram!("countersign_append_seconds").record(self.runtime().since(begun).as_secs_f64());
                    return Ok(Some(appended));
                }
                Err(AppendError::Conflict) => return Ok(None),
                Err(AppendError::Log(error)) => return Err(error.into()),
                Err(AppendError::Unknown(error)) => match pauses.next() {
                    Some(pause) => self.runtime().sleep(*pause).await,
                    None => return Err(ExecuteError::Unavailable(format!("outcome unknown: {error}"))),
                },
            }
        }
    }

    /// What follows from having told the outcome: counted refusals, charges given back.
    pub(crate) async fn told(&self, outcome: &Result<Outcome, Refusal>, evidence: &Evidence) {
        if let Err(refusal) = outcome {
            metrics::counter!("countersign_refusals", "code" => name(refusal)).increment(1);
            return;
        }
        let refundable = evidence.refundable();
        if !refundable.is_empty()
            && let Err(error) = self.limiter().refund(&refundable, self.now()).await
        {
            tracing::warn!(%error, "charges were not given back");
        }
    }
}

/// Whether the first event of such a stream holds something personal, so that a key was made before it.
const fn begins_sealed(stream: &StreamId) -> bool {
    matches!(stream, StreamId::Account(_) | StreamId::Email(_))
}

/// What is ready to be appended.
pub(crate) struct Sealed {
    pub(crate) append: Append,
    /// Whether the events hold what was decided, and not erased values in its place.
    has_key: bool,
}

fn receipt(
    stream: &StreamId,
    key: &DataKey,
    idempotency: &super::Idempotency,
    outcome: &Result<Outcome, Refusal>,
    now: Timestamp,
) -> Result<Receipt, ExecuteError> {
    Ok(Receipt {
        key: idempotency.key,
        body: idempotency.body,
        stream: stream.clone(),
        answer: super::receipts::sealed(stream, key, &idempotency.key, outcome)?,
        at: now,
        expires_at: now.plus(idempotency.lives),
    })
}

fn evolved<D: Decider>(
    before: &Loaded<D>,
    events: &[Event],
    appended: Appended,
    (at, learned): (Timestamp, Duration),
) -> Loaded<D> {
    let state = events.iter().fold((*before.state).clone(), |state, event| state.evolve(event, at));
    Loaded {
        state: Arc::new(state),
        version: appended.version,
        position: appended.position,
        at,
        learned,
        snapshot: before.snapshot,
        is_unopened: before.is_unopened,
    }
}

/// A refusal's stable name, for metrics.
pub(crate) fn name(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::Unauthenticated => "unauthenticated",
        Refusal::WrongCredentials => "wrong_credentials",
        Refusal::EmailNotVerified => "email_not_verified",
        Refusal::VerificationRequired { .. } => "verification_required",
        Refusal::Forbidden => "forbidden",
        Refusal::NotFound => "not_found",
        Refusal::DuplicateMethod => "duplicate_method",
        Refusal::AlreadyEnabled => "already_enabled",
        Refusal::Conflict => "conflict",
        Refusal::VerificationExpired => "verification_expired",
        Refusal::CodeExpired => "code_expired",
        Refusal::NoCodeSent | Refusal::Invalid { .. } => "invalid_request",
        Refusal::WrongCode { .. } => "wrong_code",
        Refusal::MethodLocked { .. } => "method_locked",
        Refusal::ResendTooSoon { .. } => "resend_too_soon",
        Refusal::RateLimited { .. } => "rate_limited",
        Refusal::AddressIsNew { .. } => "address_is_new",
        Refusal::Unreadable => "unreadable",
        Refusal::AccountLocked => "account_locked",
    }
}
