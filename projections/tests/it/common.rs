//! A log in a directory of its own, views over it, and events by the handful.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use domain::{
    events::*,
    ids::*,
    personal::Personal,
    secret::{TokenHash, TokenSecret},
    time::{Seconds, Timestamp},
    values::*,
};
use event_store::{
    codec,
    keys::Keys,
    port::{Append, EventLog, Expected, KeyStore},
    sqlite::{SqliteOptions, SqliteStore},
    testing::ManualClock,
};
use projections::{ViewParts, Views};
use schemas::envelope::{Metadata, Position, Version};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;
use vault::KeyRing;

pub(crate) use servers::over_each_engine;
pub use servers::place::{On, Place};

pub const SOON: Duration = Duration::from_secs(20);
pub const ADDRESS: &str = "ada.lovelace@example.com";
pub const NUMBER: &str = "+436601234567";

pub struct World {
    pub place: Place,
    pub store: Arc<SqliteStore>,
    pub keys: Arc<Keys>,
    pub clock: Arc<ManualClock>,
    versions: Mutex<HashMap<String, Version>>,
    ids: AtomicU64,
    pub actor: Mutex<Actor>,
}

/// Views that are being kept current.
pub struct Running {
    pub views: Arc<Views>,
    cancel: CancellationToken,
    runner: JoinHandle<()>,
}

impl Running {
    pub async fn stop(self) {
        self.cancel.cancel();
        self.runner.await.unwrap();
        self.views.close().await;
    }
}

impl std::ops::Deref for Running {
    type Target = Views;
    fn deref(&self) -> &Views {
        &self.views
    }
}

impl World {
    pub async fn new(on: On) -> Self {
        Self::on(Place::new(on).await).await
    }

    pub async fn on(place: Place) -> Self {
        let store =
            Arc::new(SqliteStore::open(&place.dir.path().join("log.db"), SqliteOptions::default()).await.unwrap());
        let clock = Arc::<ManualClock>::default();
        let runtime = clock.runtime();
        let ring = Arc::new(KeyRing::generate(&runtime).unwrap());
        let keys = Arc::new(Keys::new(&runtime, Arc::clone(&store) as Arc<dyn KeyStore>, ring, 1_000));
        Self {
            place,
            store,
            keys,
            clock,
            versions: Mutex::default(),
            ids: AtomicU64::new(1),
            actor: Mutex::new(Actor::Anonymous),
        }
    }

    pub fn path(&self) -> PathBuf {
        self.place.views_file()
    }

    /// Opens the views, as one more process.
    pub async fn open(&self) -> Views {
        if self.place.database.is_some() {
            return Views::postgres(self.place.connect().await, self.parts()).await.unwrap();
        }
        Views::sqlite(&self.path(), self.parts()).await.unwrap()
    }

    /// Changes rows behind the views' back.
    pub async fn alter(&self, sql: &str) {
        self.place.alter(&self.path(), sql).await;
    }

    /// Names of tables and indexes that contain a text.
    pub async fn names(&self, part: &str) -> Vec<String> {
        self.place.names(&self.path(), part).await
    }

    pub fn parts(&self) -> ViewParts {
        ViewParts {
            log: Arc::clone(&self.store) as Arc<dyn EventLog>,
            keys: Arc::clone(&self.keys),
            runtime: self.clock.runtime(),
        }
    }

    /// Opens the views and keeps them current.
    pub async fn run(&self) -> Running {
        let views = Arc::new(self.open().await);
        let cancel = CancellationToken::new();
        let (running, until) = (Arc::clone(&views), cancel.clone());
        let runner = tokio::spawn(async move { running.run(until).await.unwrap() });
        Running { views, cancel, runner }
    }

    /// The views, current as of now.
    pub async fn current(&self) -> Running {
        let running = self.run().await;
        self.settle(&running).await;
        running
    }

    /// Waits until the views have everything.
    pub async fn settle(&self, running: &Running) -> Position {
        let head = self.store.last_position().await.unwrap();
        running.wait_for(head, SOON).await.unwrap()
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub fn later(&self, span: Seconds) -> Timestamp {
        self.now().plus(span)
    }

    pub fn advance(&self, span: Seconds) {
        self.clock.advance(span);
    }

    pub fn uuid(&self) -> Uuid {
        Uuid::from_u128(0x0192_0000_0000_7000_8000_0000_0000_0000 + u128::from(self.ids.fetch_add(1, Ordering::SeqCst)))
    }

    pub fn acts(&self, actor: Actor) {
        *self.actor.lock().unwrap() = actor;
    }

    /// Appends events to a stream; returns the last one's id.
    pub async fn append(&self, stream: &StreamId, events: impl IntoIterator<Item = Event>) -> EventId {
        let key = self.keys.ensure(stream).await.unwrap();
        let name = stream.to_string();
        let known = self.versions.lock().unwrap().get(&name).copied().unwrap_or(Version::NONE);
        let metadata = Metadata {
            at: self.now(),
            actor: *self.actor.lock().unwrap(),
            command_id: CommandId(self.uuid()),
            correlation_id: self.uuid(),
            causation_id: None,
            ip: Some(Personal::Known("203.0.113.77".parse().unwrap())),
            end_user_ip: None,
            user_agent: Some(Personal::Known("Lynx/2.9".to_owned())),
            trace_parent: None,
        };
        let mut last = EventId(Uuid::nil());
        let events: Vec<_> = events
            .into_iter()
            .map(|event| {
                last = EventId(self.uuid());
                codec::encode(&event, last, stream, &metadata, &key).unwrap()
            })
            .collect();
        if events.is_empty() {
            return last;
        }
        let expected = if known == Version::NONE { Expected::NoStream } else { Expected::Version(known) };
        let append = Append { stream: stream.clone(), expected, events, receipt: None };
        let appended = self.store.append(append).await.unwrap();
        self.versions.lock().unwrap().insert(name, appended.version);
        last
    }

    pub async fn given(&self, account: AccountId, events: impl IntoIterator<Item = Event>) -> EventId {
        self.append(&StreamId::Account(account), events).await
    }

    /// A registered and confirmed account.
    pub async fn account(&self) -> AccountId {
        self.account_with(ADDRESS).await
    }

    pub async fn account_with(&self, address: &str) -> AccountId {
        let account = AccountId(self.uuid());
        self.given(account, [self.registered(account, address), confirmed()]).await;
        account
    }

    pub fn registered(&self, account: AccountId, address: &str) -> Event {
        AccountRegistered {
            account_id: account,
            email: Personal::Known(EmailAddress::parse(address).unwrap()),
            password: Some(Personal::Known(PasswordHash("$argon2id$secret-of-the-test".to_owned()))),
            registered_by: None,
            expires_at: self.later(Seconds::hours(24)),
            number: None,
        }
        .into()
    }

    pub fn enrolling_totp(&self, method: u32) -> Event {
        TotpEnrollmentStarted {
            method_id: MethodId(method),
            verification_id: VerificationId(self.uuid()),
            secret: Personal::Known(TotpSecret::new(b"12345678901234567890".to_vec())),
            algorithm: TotpAlgorithm::Sha1,
            digits: 6,
            period: 30,
            started_by: Credential::Session(SessionId(self.uuid())),
            attempts: 5,
            expires_at: self.later(Seconds::hours(1)),
        }
        .into()
    }

    pub fn enrolling_sms(&self, method: u32) -> Event {
        let number = PhoneNumber::parse(NUMBER).unwrap();
        SmsEnrollmentStarted {
            method_id: MethodId(method),
            verification_id: VerificationId(self.uuid()),
            country: number.country(),
            prefix: number.prefix(),
            phone_number: Personal::Known(number),
            started_by: Credential::Session(SessionId(self.uuid())),
            attempts: 5,
            expires_at: self.later(Seconds::hours(1)),
        }
        .into()
    }

    pub fn enabled(&self, method: u32, kind: MethodKind, is_primary: bool) -> Event {
        MethodEnabled {
            method_id: MethodId(method),
            kind,
            label: Personal::Known(Label::parse(&format!("Label number {method}")).unwrap()),
            verification_id: VerificationId(self.uuid()),
            totp_step: None,
            is_primary,
        }
        .into()
    }

    pub fn disabled(&self, method: u32, kind: MethodKind) -> Event {
        MethodDisabled { method_id: MethodId(method), kind, verification_id: VerificationId(self.uuid()) }.into()
    }

    pub fn signed_in(&self, session: SessionId, aal: Aal) -> Event {
        SignedIn {
            session_id: session,
            token_hash: hash(),
            aal,
            amr: vec![Amr::Pwd],
            expires_at: self.later(Seconds::days(30)),
            idle_timeout: Seconds::hours(24),
            verification_id: None,
            api_key_id: None,
            access_token_id: None,
            is_limited: false,
            is_new_place: false,
        }
        .into()
    }

    pub fn issued(&self, verification: VerificationId, channel: Channel, purpose: Purpose) -> Event {
        let number = PhoneNumber::parse(NUMBER).unwrap();
        let is_sms = channel == Channel::Sms;
        CodeIssued {
            verification_id: verification,
            purpose,
            channel,
            method_id: is_sms.then_some(MethodId(1)),
            issue: 1,
            to: Personal::Known(if is_sms { NUMBER.to_owned() } else { ADDRESS.to_owned() }),
            country: is_sms.then(|| number.country()),
            prefix: is_sms.then(|| number.prefix()),
            expires_at: self.later(Seconds::minutes(10)),
            resend_after: self.later(Seconds(30)),
            automatic: false,
            form: domain::values::CodeForm::Digits,
        }
        .into()
    }

    pub fn send_started(&self, order: EventId, account: AccountId, channel: Channel, attempt: u32) -> Event {
        let number = PhoneNumber::parse(NUMBER).unwrap();
        let is_sms = channel == Channel::Sms;
        SendStarted {
            order_id: order,
            account_id: account,
            verification_id: None,
            subject: "sign_in".to_owned(),
            channel,
            country: is_sms.then(|| number.country()),
            prefix: is_sms.then(|| number.prefix()),
            provider: format!("gateway-{attempt}"),
            attempt,
            ordered_at: self.now(),
            deadline: self.later(Seconds::minutes(10)),
        }
        .into()
    }

    pub fn succeeded(&self, kind: FactorKind, method: Option<u32>) -> Event {
        succeeded_in(VerificationId(self.uuid()), Purpose::SignIn, kind, method, self.later(Seconds::minutes(10)))
    }

    pub fn rejected(&self, kind: FactorKind, failures: u32) -> Event {
        CodeRejected {
            verification_id: VerificationId(self.uuid()),
            purpose: Purpose::SignIn,
            kind,
            method_id: None,
            reason: RejectionReason::Wrong,
            verification_failures: failures,
            kind_failures: failures,
            account_failures: failures,
            account_locked: failures >= 100,
            ended: false,
            clock_drift_steps: None,
            side: domain::values::Side::Others,
            tell_owner: false,
        }
        .into()
    }

    pub fn code_used(&self, set: u32, index: u32, remaining: u32) -> Event {
        RecoveryCodeUsed { set, index, remaining, verification_id: VerificationId(self.uuid()) }.into()
    }
}

pub fn codes_generated(set: u32) -> Event {
    RecoveryCodesGenerated {
        set,
        codes: Personal::Known(RecoveryCodeHashes {
            salt: "00".to_owned(),
            memory_kib: 8,
            passes: 1,
            lanes: 1,
            hashes: vec![hash(); 10],
        }),
        count: 10,
        verification_id: None,
    }
    .into()
}

pub fn confirmed() -> Event {
    EmailVerified { verification_id: None, vouched_by: None }.into()
}

pub fn succeeded_in(
    verification_id: VerificationId,
    purpose: Purpose,
    kind: FactorKind,
    method: Option<u32>,
    usable_until: Timestamp,
) -> Event {
    VerificationSucceeded {
        verification_id,
        purpose,
        kind,
        method_id: method.map(MethodId),
        totp_step: None,
        usable_until,
        needs_second_factor: false,
        good_from: None,
        side: domain::values::Side::Others,
    }
    .into()
}

pub fn hash() -> TokenHash {
    TokenHash::of(&TokenSecret::new([7; 32]))
}

pub fn text(text: &str) -> Personal<FreeText> {
    Personal::Known(FreeText::parse(text).unwrap())
}
