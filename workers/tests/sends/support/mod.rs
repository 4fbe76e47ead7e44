//! An engine over a log of its own, workers over fake gateways, and what the tests ask of them.

pub mod gateway;
pub mod http_server;
pub mod smtp_server;

use std::{sync::Arc, time::Duration};

use domain::{
    delivery::CodeOrder,
    events::{AccountRegistered, CodeIssued, CodeResent, EmailClaimed, EmailVerified, Event},
    ids::{AccountId, AddressHash, CommandId, EventId, MethodId, StreamId, VerificationId},
    personal::Personal::Known,
    policy::Policy,
    secret::to_hex,
    time::{Seconds, Timestamp},
    values::{Actor, Channel, CodeForm, Country, EmailAddress, NumberPrefix, Purpose},
};
use engine::{
    Engine,
    testing::{Fixture, FixtureOptions},
};
use event_store::{
    codec,
    port::{Append, Checkpoints, Expected},
    testing::{ManualClock, MemoryCheckpoints, eventually},
};
use schemas::envelope::{Metadata, Position, Version};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;
use workers::{
    Catalogue, Gateways, Language, Role, RunnerOptions, SendOptions, Source, WorkersConfig, backoff::Backoff,
};

use self::gateway::{Answer, Book, FakeGateway, Given};

pub const NUMBER: &str = "+436601234567";

/// An event that was appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ordered {
    pub id: EventId,
    pub position: Position,
}

pub struct World {
    pub fixture: Fixture,
    pub engine: Engine,
    pub clock: Arc<ManualClock>,
    pub book: Book,
    pub checkpoints: Arc<MemoryCheckpoints>,
}

impl World {
    pub async fn new() -> Self {
        Self::over(Fixture::start().await, Book::default())
    }

    /// The same with other numbers of the rules.
    pub async fn with_policy(policy: Policy) -> Self {
        let options = FixtureOptions { policy, ..FixtureOptions::default() };
        Self::over(Fixture::with(options).await, Book::default())
    }

    /// The same world seen by another process: a store, an engine and checkpoints of its own.
    pub async fn other_process(&self) -> Self {
        Self::over(self.fixture.beside().await, self.book.clone())
    }

    fn over(fixture: Fixture, book: Book) -> Self {
        let (engine, clock) = (fixture.engine.clone(), fixture.clock.clone());
        Self { fixture, engine, clock, book, checkpoints: Arc::default() }
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// A gateway that writes into this world's book.
    pub fn gateway(&self, name: &'static str, script: impl IntoIterator<Item = Answer>) -> Arc<FakeGateway> {
        FakeGateway::new(name, &self.book, script)
    }

    /// A gateway for both channels that takes everything.
    pub fn willing(&self) -> Gateways {
        let gateway = self.gateway("willing", []);
        Gateways { sms: vec![gateway.clone()], email: vec![gateway] }
    }

    /// Runs these roles.
    pub fn run(&self, roles: &[Role], gateways: Gateways) -> Running {
        self.run_with(roles, gateways, Duration::from_secs(20))
    }

    /// Runs these roles with a time-out for gateways. Waits between tries are cut short.
    pub fn run_with(&self, roles: &[Role], gateways: Gateways, gateway_timeout: Duration) -> Running {
        self.run_from(Source::Log, roles, gateways, gateway_timeout)
    }

    /// Runs these roles with jobs from there.
    pub fn run_from(&self, source: Source, roles: &[Role], gateways: Gateways, gateway_timeout: Duration) -> Running {
        let short = Backoff { first: Duration::from_millis(10), most: Duration::from_millis(20) };
        let config = WorkersConfig {
            roles: roles.to_vec(),
            source,
            gateways,
            catalogue: Catalogue::new(Language::En, "Example", None),
            send: SendOptions { gateway_timeout, code_backoff: short, notice_backoff: short, log_backoff: short },
            runner: RunnerOptions { concurrency: 16, stop_within: Duration::from_secs(5) },
        };
        let (engine, checkpoints) = (self.engine.clone(), self.checkpoints.clone());
        Running::new(|cancel| async move { workers::run(config, engine, checkpoints, cancel).await.unwrap() })
    }

    pub fn given(&self) -> Vec<Given> {
        self.book.lock().unwrap().clone()
    }

    /// Appends to a stream what a command would have led to.
    pub async fn append(&self, stream: &StreamId, events: Vec<Event>) -> Vec<Ordered> {
        self.append_as(Actor::Anonymous, stream, events).await
    }

    /// The same, by somebody.
    pub async fn append_as(&self, actor: Actor, stream: &StreamId, events: Vec<Event>) -> Vec<Ordered> {
        let key = self.engine.keys().ensure(stream).await.unwrap();
        let metadata = Metadata {
            at: self.now(),
            actor,
            command_id: CommandId(fresh()),
            correlation_id: fresh(),
            causation_id: None,
            ip: None,
            end_user_ip: None,
            user_agent: None,
            trace_parent: None,
        };
        let new: Vec<_> = events
            .iter()
            .map(|event| codec::encode(event, EventId(fresh()), stream, &metadata, &key).unwrap())
            .collect();
        let ids: Vec<_> = new.iter().map(|event| event.id).collect();
        let head = self.engine.log().head(stream).await.unwrap();
        let expected = if head == Version::NONE { Expected::NoStream } else { Expected::Version(head) };
        let append = Append { stream: stream.clone(), expected, events: new, receipt: None };
        let last = self.engine.log().append(append).await.unwrap().position;
        ids.into_iter().map(|id| Ordered { id, position: last }).collect()
    }

    /// An account whose address is confirmed.
    pub async fn account(&self, email: &str) -> AccountId {
        let account_id = self.unconfirmed(email).await;
        let verified = EmailVerified { verification_id: None, vouched_by: None };
        self.append(&StreamId::Account(account_id), vec![verified.into()]).await;
        let claimed = EmailClaimed { account_id: Known(account_id) };
        self.append(&self.claim_stream(email), vec![claimed.into()]).await;
        account_id
    }

    pub async fn unconfirmed(&self, email: &str) -> AccountId {
        let account_id = AccountId(fresh());
        let registered = AccountRegistered {
            account_id,
            email: Known(EmailAddress::parse(email).unwrap()),
            password: None,
            registered_by: None,
            expires_at: self.now().plus(Seconds::hours(24)),
            number: None,
        };
        self.append(&StreamId::Account(account_id), vec![registered.into()]).await;
        account_id
    }

    pub fn claim_stream(&self, email: &str) -> StreamId {
        let canonical = EmailAddress::parse(email).unwrap().canonical();
        StreamId::Email(AddressHash(to_hex(&self.engine.keys().ring().lookup_hash("email", &canonical))))
    }

    /// Orders a text to [`NUMBER`].
    pub async fn order_text(&self, account: AccountId) -> Ordered {
        self.order(account, &self.text(Purpose::SignIn)).await
    }

    pub fn text(&self, purpose: Purpose) -> CodeIssued {
        CodeIssued {
            verification_id: VerificationId(fresh()),
            purpose,
            channel: Channel::Sms,
            method_id: Some(MethodId(1)),
            issue: 1,
            to: Known(NUMBER.to_owned()),
            country: Some(Country("AT".to_owned())),
            prefix: Some(NumberPrefix("+43660".to_owned())),
            expires_at: self.now().plus(Seconds::minutes(10)),
            resend_after: self.now().plus(Seconds(30)),
            automatic: false,
            form: CodeForm::Digits,
            side: domain::values::Side::KnownDevices,
        }
    }

    pub fn mail(&self, purpose: Purpose, to: &str) -> CodeIssued {
        CodeIssued {
            channel: Channel::Email,
            method_id: None,
            to: Known(to.to_owned()),
            country: None,
            prefix: None,
            ..self.text(purpose)
        }
    }

    pub async fn order(&self, account: AccountId, issued: &CodeIssued) -> Ordered {
        self.append(&StreamId::Account(account), vec![issued.clone().into()]).await[0]
    }

    pub async fn order_again(&self, account: AccountId, issued: &CodeIssued) -> Ordered {
        let resent = CodeResent {
            verification_id: issued.verification_id,
            purpose: issued.purpose,
            channel: issued.channel,
            method_id: issued.method_id,
            issue: issued.issue,
            to: issued.to.clone(),
            country: issued.country.clone(),
            prefix: issued.prefix.clone(),
            expires_at: issued.expires_at,
            resend_after: self.now().plus(Seconds(30)),
            side: issued.side,
        };
        self.append(&StreamId::Account(account), vec![resent.into()]).await[0]
    }

    /// The digits that the account's holder is to read.
    pub async fn digits(&self, account: AccountId, issued: &CodeIssued) -> String {
        let key = self.engine.keys().key(&StreamId::Account(account)).await.unwrap().unwrap();
        let order = CodeOrder::of(&issued.clone().into()).unwrap();
        self.engine.ordered_code(&key, &order).unwrap().expose().clone()
    }

    /// What is on record of a send, with the metadata.
    pub async fn delivery(&self, order: Ordered) -> Vec<schemas::envelope::RecordedEvent> {
        self.engine.history(&StreamId::Delivery(order.id), Version::NONE, 100).await.unwrap()
    }

    /// The names of the events on record of a send.
    pub async fn record(&self, order: Ordered) -> Vec<&'static str> {
        self.delivery(order).await.iter().map(|recorded| recorded.event.name()).collect()
    }

    /// Waits until the role has nothing left to do up to this order.
    pub async fn finished(&self, role: Role, order: Ordered) {
        let is_over = async || (self.checkpoint(role).await >= order.position).then_some(());
        eventually(is_over).await.expect("the order is over");
    }

    /// Where the role stands.
    pub async fn checkpoint(&self, role: Role) -> Position {
        self.checkpoints.load(&format!("workers.{role}")).await.unwrap()
    }

    /// As after the loss of the file that keeps them.
    pub async fn lose_checkpoints(&self) {
        for role in Role::ALL {
            self.checkpoints.save(&format!("workers.{role}"), Position::START).await.unwrap();
        }
    }
}

/// Something that runs.
pub struct Running {
    cancel: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    /// Runs something that ends when it is cancelled.
    pub fn new<F: Future<Output = ()> + Send + 'static>(start: impl FnOnce(CancellationToken) -> F) -> Self {
        let cancel = CancellationToken::new();
        Self { task: tokio::spawn(start(cancel.clone())), cancel }
    }

    /// Stops as on a signal: what is in flight ends, checkpoints are saved.
    pub async fn stop(self) {
        self.cancel.cancel();
        self.task.await.unwrap();
    }

    /// Stops as when the process is killed.
    pub async fn crash(self) {
        self.task.abort();
        assert!(self.task.await.unwrap_err().is_cancelled());
    }
}

/// Waits for a condition, ten seconds at most.
pub async fn until(what: &str, condition: impl Fn() -> bool) {
    assert!(eventually(async || condition().then_some(())).await.is_some(), "waited in vain for {what}");
}

pub fn fresh() -> Uuid {
    runtime::Runtime::system().unwrap().entropy().unwrap().uuid(Timestamp::from_seconds(1_795_000_000), "test")
}
