//! Given what happened, when someone asks, then this follows. The kit plays `execute`: it drives the rule, finds out
//! with fakes what the decision needs, and folds the events.

use std::fmt::Debug;

use domain::{
    commands::Command,
    decision::{Context, Decider, Decision},
    entropy::Entropy,
    events::{Event, RecoveryCodeHash, RecoveryCodeHashes},
    evidence::{Claim, Evidence, Fact, FreshRecoveryCodes, LongCode, Need, Question},
    ids::{AccountNumber, VerificationId},
    inquiry::{self, NeverEnough},
    limits::{Charge, LimitName},
    outcome::{Outcome, Refusal},
    policy::Policy,
    secret::{Secret, TokenSecret, to_hex},
    state::Account,
    time::{Seconds, Timestamp},
    values::{Caller, Challenge, EnteredCode, Origin, PasswordHash, TotpSecret, normalize_recovery_code},
};
use sha2::{Digest, Sha256};

/// When the stories begin: the start of a TOTP step.
pub const START: Timestamp = Timestamp::from_seconds(1_750_000_020);
/// The limiter's answer when it is full.
pub const LIMITER_WAIT: Seconds = Seconds(77);

/// One millisecond before.
pub fn just_before(at: Timestamp) -> Timestamp {
    Timestamp::from_millis(at.as_millis() - 1)
}
/// So long after the start.
pub fn after(span: Seconds) -> Timestamp {
    START.plus(span)
}

/// Six digits that depend on everything a code is derived from.
pub fn digits(challenge: &Challenge) -> String {
    let hash = Sha256::digest(format!("{challenge:?}"));
    let number = u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]]);
    format!("{:06}", number % 1_000_000)
}
/// Twelve characters that depend on everything a long code is derived from.
pub fn letters(code: &LongCode) -> String {
    let hash = to_hex(&Sha256::digest(format!("{code:?}"))).to_uppercase();
    format!("{}-{}-{}", &hash[0..4], &hash[4..8], &hash[8..12])
}
/// Six other digits.
pub fn other_than(code: &str) -> String {
    format!("{:06}", (code.parse::<u32>().unwrap() + 1) % 1_000_000)
}
pub fn entered(code: &str) -> EnteredCode {
    Secret::new(code.to_owned())
}
pub fn password_hash(password: &str) -> PasswordHash {
    PasswordHash(format!("hash of {password}"))
}
pub fn recovery_hash(salt: &str, code: &str) -> RecoveryCodeHash {
    let code = normalize_recovery_code(code).unwrap();
    domain::secret::TokenHash(Sha256::digest(format!("{salt}{}", code.expose())).into())
}
/// What only the mail to the old address knows.
pub fn undo_secret(change: VerificationId) -> TokenSecret {
    Secret::new(Sha256::digest(format!("undo {change}")).into())
}
/// The codes of one set, in clear, and their hashes.
pub fn recovery_codes(salt: &str, count: u32) -> (Vec<String>, RecoveryCodeHashes) {
    let codes: Vec<String> = (0..count)
        .map(|index| {
            let hash = to_hex(&Sha256::digest(format!("{salt} {index}"))).to_uppercase();
            format!("{}-{}-{}-{}", &hash[0..4], &hash[4..8], &hash[8..12], &hash[12..16])
        })
        .collect();
    let hashes = codes.iter().map(|code| recovery_hash(salt, code)).collect();
    (codes, RecoveryCodeHashes { salt: salt.to_owned(), memory_kib: 1, passes: 1, lanes: 1, hashes })
}

/// What was and what is around: the state of one stream, the moment, the caller, the fakes.
#[derive(Debug, Clone)]
pub struct Scene<D: Decider> {
    pub state: D,
    pub now: Timestamp,
    /// What the clock shows where that is not the stream's own time.
    pub clock: Option<Timestamp>,
    pub caller: Caller,
    pub policy: Policy,
    pub origin: Origin,
    /// The limiter refuses charges of this name.
    pub full: Option<LimitName>,
    /// How the claim of an address goes.
    pub claim: Claim,
    /// Whether someone signed in from the caller's network before.
    pub is_known_network: bool,
    /// Counts the commands: each has its own entropy.
    pub commands: u64,
}

/// The rules' numbers as they are unless someone says otherwise.
pub fn usual() -> Policy {
    Policy::default()
}

/// An account to which this happened at the start.
pub fn given(events: impl IntoIterator<Item = Event>) -> Scene<Account> {
    given_on(events)
}

/// Any stream to which this happened at the start.
pub fn given_on<D: Decider>(events: impl IntoIterator<Item = Event>) -> Scene<D> {
    Scene {
        state: D::default(),
        now: START,
        clock: None,
        caller: Caller::Anonymous,
        policy: Policy::default(),
        origin: Origin { ip: Some([192, 0, 2, 7].into()), ..Origin::default() },
        full: None,
        claim: Claim::Held { at: START },
        is_known_network: true,
        commands: 0,
    }
    .then_at(START, events)
}

impl<D: Decider> Scene<D> {
    /// And this happened then.
    pub fn then_at(mut self, at: Timestamp, events: impl IntoIterator<Item = Event>) -> Self {
        self.state = events.into_iter().fold(self.state, |state, event| state.evolve(&event, at));
        self.now = at;
        self.claim = self.claim_of(self.claim);
        self
    }
    /// The clock was set to this; the stream's own time stays.
    pub fn while_the_clock_shows(mut self, clock: Timestamp) -> Self {
        self.clock = Some(clock);
        self
    }
    /// Now it is this moment.
    pub fn at(mut self, now: Timestamp) -> Self {
        self.now = now;
        self.claim = self.claim_of(self.claim);
        self
    }
    /// So much later.
    pub fn wait(self, span: Seconds) -> Self {
        let later = self.now.plus(span);
        self.at(later)
    }
    /// A claim is as fresh as the moment, unless a test says otherwise afterwards.
    fn claim_of(&self, claim: Claim) -> Claim {
        match claim {
            Claim::Held { .. } => Claim::Held { at: self.now },
            Claim::HeldByAnother => Claim::HeldByAnother,
        }
    }
    pub fn by(mut self, caller: Caller) -> Self {
        self.caller = caller;
        self
    }
    pub fn with_policy(mut self, change: impl FnOnce(&mut Policy)) -> Self {
        change(&mut self.policy);
        self
    }
    /// The limiter refuses what is charged under this name.
    pub fn when_full(mut self, name: LimitName) -> Self {
        self.full = Some(name);
        self
    }
    pub fn when_claimed(mut self, claim: Claim) -> Self {
        self.claim = claim;
        self
    }
    pub fn entropy(&self) -> Entropy {
        Entropy::new(Sha256::digest(self.commands.to_be_bytes()).into())
    }

    /// The command runs, as `execute` runs it.
    #[expect(clippy::needless_pass_by_value, reason = "so that a test reads as a sentence")]
    pub fn when(mut self, command: D::Command) -> Told<D> {
        let (entropy, mut evidence) = (self.entropy(), Evidence::new());
        let context = Context {
            now: self.now,
            clock: self.clock.unwrap_or(self.now),
            caller: &self.caller,
            origin: &self.origin,
            policy: &self.policy,
            entropy: &entropy,
        };
        let (mut needs, mut judged, mut counted): (Vec<Need>, _, _) = (Vec::new(), 0, Vec::new());
        let find_out = |need: Need| -> Result<Fact, NeverEnough> {
            assert!(!needs.contains(&need), "what is known is not asked again: {need:?}");
            needs.push(need.clone());
            judged += u32::from(matches!(need, Need::TotpAttempt(_)));
            if let Need::WrongSecondFactor(wrong) = &need {
                counted.extend(wrong.0.0.clone());
            }
            Ok(self.find_out(need))
        };
        let decision = inquiry::decided(&self.state, &command, &context, &mut evidence, find_out).unwrap();
        let again = self.state.decide(&command, &context, &evidence);
        assert_eq!(again.as_ref(), Ok(&decision), "deciding again gives the same decision");
        self.state = decision.events.iter().fold(self.state, |state, event| state.evolve(event, self.now));
        self.commands += 1;
        let at_hand = |need: &Need| {
            matches!(need, Need::TotpAttempt(_) | Need::SecondFactorsLeft(_) | Need::WrongSecondFactor(_))
        };
        let asked_for_network = needs.iter().filter(|need| matches!(need, Need::KnownNetwork(_))).count();
        let asked = needs.into_iter().filter(|need| !at_hand(need) && !matches!(need, Need::KnownNetwork(_))).collect();
        Told { scene: self, decision, asked, judged, counted, asked_for_network }
    }

    fn find_out(&self, need: Need) -> Fact {
        match need {
            Need::PasswordMatches(question) => {
                let matches = question.hash == password_hash(question.entered.expose());
                question.answered(matches)
            }
            Need::GuessedSoon(question) => question.estimated(),
            Need::NewPasswordHash(question) => {
                let hash = password_hash(question.new.expose());
                question.answered(hash)
            }
            Need::SentCode(question) => {
                let code = entered(&digits(&question.0));
                question.answered(code)
            }
            Need::LongCode(question) => {
                let code = entered(&letters(&question));
                question.answered(code)
            }
            Need::TotpAttempt(attempt) => attempt.judged(),
            Need::EnteredCodeHash(question) => {
                let hash = recovery_hash(&question.set.salt, question.entered.expose());
                question.answered(hash)
            }
            Need::NewRecoveryCodes(question) => {
                let (codes, hashes) = recovery_codes(&format!("salt {}", self.commands), question.count);
                let codes = codes.into_iter().map(Secret::new).collect();
                question.answered(FreshRecoveryCodes { codes, hashes })
            }
            Need::Allowance(question) => {
                let refused = question.0.iter().any(|charge| Some(charge.name) == self.full);
                question.answered(if refused { Err(LIMITER_WAIT) } else { Ok(()) })
            }
            Need::ImportedCode(question) => {
                let entered = password_hash(question.entered.expose()).0;
                let place = question.hashes.iter().position(|hash| *hash == entered);
                question.answered(place.map(|place| u32::try_from(place).unwrap()))
            }
            Need::SecondFactorsLeft(question) => {
                let exhausted = question.0.0.iter().any(|charge| Some(charge.name) == self.full);
                question.answered(if exhausted { Err(LIMITER_WAIT) } else { Ok(()) })
            }
            Need::WrongSecondFactor(question) => question.answered(()),
            Need::OfferedTotpKey(question) => {
                let tag = Sha256::digest(format!("{question:?}"));
                let key = [&question.random[..], &question.ends.to_be_bytes(), &tag[..12]].concat();
                question.answered(TotpSecret::new(key))
            }
            Need::UndoSecret(question) => {
                let secret = undo_secret(question.0);
                question.answered(Some(secret))
            }
            Need::NextAccountNumber(question) => question.answered(AccountNumber(7)),
            Need::AddressClaim(question) => question.answered(self.claim),
            Need::KnownNetwork(question) => question.answered(self.is_known_network),
        }
    }
}

/// What followed, and what was asked for on the way.
#[derive(Debug)]
pub struct Told<D: Decider> {
    pub scene: Scene<D>,
    pub decision: Decision,
    pub asked: Vec<Need>,
    /// How many codes of authenticator apps were judged.
    pub judged: u32,
    /// Where a wrong second factor was counted.
    pub counted: Vec<Charge>,
    /// How often it was asked whether the network is known.
    pub asked_for_network: usize,
}

impl<D: Decider> Told<D> {
    /// Exactly these events happened, and the answer was yes.
    pub fn then(self, events: impl IntoIterator<Item = Event>) -> Self {
        let events: Vec<Event> = events.into_iter().collect();
        assert_eq!(self.decision.events, events);
        assert!(self.decision.outcome.is_ok(), "{:?}", self.decision.outcome);
        self
    }
    /// Events of these names happened, and the answer was yes.
    pub fn then_named(self, names: &[&str]) -> Self {
        assert_eq!(self.names(), names, "{:?}", self.decision.outcome);
        assert!(self.decision.outcome.is_ok(), "{:?}", self.decision.outcome);
        self
    }
    /// The answer was yes.
    pub fn accepted(self) -> Self {
        assert!(self.decision.outcome.is_ok(), "{:?}", self.decision.outcome);
        self
    }
    /// The answer was this.
    pub fn telling(self, outcome: &Outcome) -> Self {
        assert_eq!(self.decision.outcome.as_ref(), Ok(outcome));
        self
    }
    /// The answer was this refusal, and nothing happened.
    pub fn refused(self, refusal: Refusal) -> Self {
        assert_eq!(self.decision, Decision::refuse(refusal));
        self
    }
    /// It was refused for this field, and nothing happened.
    pub fn refused_for(self, field: &str) -> Self {
        match &self.decision {
            Decision { events, outcome: Err(Refusal::Invalid { field: named, .. }) } if events.is_empty() => {
                assert_eq!(named, field);
            }
            other => panic!("not refused for {field}: {other:?}"),
        }
        self
    }
    /// It was refused because of a limit, for so long, and nothing happened.
    pub fn rate_limited_for(self, seconds: u32) -> Self {
        self.refused(Refusal::RateLimited { retry_after: Seconds(seconds) })
    }
    /// The answer was this refusal, and it is history.
    pub fn rejected(self, refusal: Refusal, events: impl IntoIterator<Item = Event>) -> Self {
        let events: Vec<Event> = events.into_iter().collect();
        assert_eq!(self.decision, Decision::reject(events, refusal));
        self
    }
    /// It was a wrong code, counted as the n-th, which locked nothing.
    pub fn wrong_code(self, fail_count: u32) -> Self {
        assert_eq!(self.decision.outcome, Err(Refusal::WrongCode { fail_count, locked_until: None }));
        assert_eq!(self.names(), ["CodeRejected"]);
        self
    }
    /// It was a wrong code, counted as the n-th, which locked its kind.
    pub fn wrong_code_that_locks(self, fail_count: u32, until: Timestamp) -> Self {
        assert_eq!(self.decision.outcome, Err(Refusal::WrongCode { fail_count, locked_until: Some(until) }));
        assert_eq!(self.names(), ["CodeRejected", "MethodLocked"]);
        self
    }
    /// Nothing slow or outside was needed.
    pub fn needing_nothing(self) -> Self {
        assert_eq!(self.asked, []);
        self
    }
    /// These limits were charged.
    pub fn charging(self, names: &[LimitName]) -> Self {
        assert_eq!(self.charges().iter().map(|charge| charge.name).collect::<Vec<_>>(), names);
        self
    }
    pub fn charges(&self) -> Vec<Charge> {
        let charges = self.asked.iter().filter_map(|need| match need {
            Need::Allowance(allowance) => Some(allowance.0.clone()),
            _ => None,
        });
        charges.flatten().collect()
    }
    /// The names of what happened.
    pub fn names(&self) -> Vec<&'static str> {
        self.decision.events.iter().map(Event::name).collect()
    }
    pub fn outcome(&self) -> Outcome {
        self.decision.outcome.clone().unwrap()
    }
    /// And then …
    pub fn next(self) -> Scene<D> {
        self.scene
    }
    /// The one event of a kind.
    pub fn event<T: Clone>(&self, pick: impl Fn(&Event) -> Option<&T>) -> T {
        let mut found = self.decision.events.iter().filter_map(pick);
        let event = found.next().unwrap_or_else(|| panic!("no such event in {:?}", self.names()));
        assert!(found.next().is_none(), "several such events in {:?}", self.names());
        event.clone()
    }
}

/// The only event of a type: `event_of!(told, SignedIn)`.
#[macro_export]
macro_rules! event_of {
    ($told:expr, $name:ident) => {
        $told.event(|event| match event {
            domain::events::Event::$name(event) => Some(event),
            _ => None,
        })
    };
}

/// A scene before its first event.
pub fn nothing_yet() -> Scene<Account> {
    given([])
}

/// Runs a command of an account for its refusal, whatever it is.
pub fn refusal(scene: Scene<Account>, command: Command) -> Option<Refusal> {
    scene.when(command).decision.outcome.err()
}

/// What a text is charged for.
pub const TEXT_CHARGES: [LimitName; 4] =
    [LimitName::TextsPerNumber, LimitName::TextsPerNumber, LimitName::TextsPerPrefix, LimitName::SendsPerSource];
