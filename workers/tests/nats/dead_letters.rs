//! What cannot be carried out: set aside with its reason, looked at, sent again.

use std::sync::Arc;

use domain::values::Purpose;
use event_store::port::EventLog;
use schemas::envelope::{Position, Version};
use workers::{
    Role,
    nats::{DEAD_STREAM, DeadLetterError, DeadLetters},
};

use crate::{harness::Wired, support::until};

async fn letters(wired: &Wired) -> DeadLetters {
    DeadLetters::of(wired.broker().await)
}

async fn publish(wired: &Wired, event_type: &str, payload: String) {
    let context = wired.context().await;
    let mut headers = async_nats::HeaderMap::new();
    headers.insert("X-From", "elsewhere");
    let subject = format!("countersign.events.{event_type}");
    context.publish_with_headers(subject, headers, payload.into()).await.unwrap().await.unwrap();
}

#[tokio::test]
async fn a_poison_message_is_set_aside_and_the_rest_goes_on() {
    let wired = Wired::new().await;
    let account = wired.world.account("ada@example.com").await;
    let relay = wired.relay().await;
    let running = wired.workers(&[Role::Sms], wired.world.willing()).await;
    let first = wired.world.order_text(account).await;
    publish(&wired, "CodeIssued", "{ this is no CloudEvent".to_owned()).await;
    let second = wired.world.order_text(account).await;
    until("both orders", || wired.world.given().len() == 2).await;
    wired.idle("sms").await;
    wired.arrived(DEAD_STREAM, 1).await;
    running.stop().await;
    relay.stop().await;
    wired.assert_each_sent_once(&[first, second]);

    let dead = letters(&wired).await.list(0, 10).await.unwrap();
    assert_eq!(dead.len(), 1);
    let letter = &dead[0];
    assert_eq!((letter.role.as_str(), letter.reason.as_str()), ("sms", "unreadable_message"));
    assert_eq!((letter.subject.as_str(), letter.deliveries), ("countersign.events.CodeIssued", 1));
    assert_eq!(letter.headers, [("X-From".to_owned(), "elsewhere".to_owned())]);
    assert_eq!(letter.payload, b"{ this is no CloudEvent");
}

#[tokio::test]
async fn an_order_whose_event_is_not_in_the_log_is_set_aside_after_some_looks() {
    let wired = Wired::new().await;
    let account = wired.world.account("ada@example.com").await;
    wired.world.order_text(account).await;
    let stored = wired.world.engine.log().read_all(Position::START, 100).await.unwrap().pop().unwrap();
    let recorded = event_store::codec::decode(&stored, None).unwrap();
    let mut told = schemas::public::message(&recorded, "urn:example").unwrap();
    told.streamversion = "900".to_owned();
    let running = wired.workers(&[Role::Sms], wired.world.willing()).await;
    publish(&wired, "CodeIssued", serde_json::to_string(&told).unwrap()).await;
    told.streamversion = "1".to_owned();
    publish(&wired, "CodeIssued", serde_json::to_string(&told).unwrap()).await;
    wired.arrived(DEAD_STREAM, 2).await;
    wired.idle("sms").await;
    running.stop().await;
    assert!(wired.world.given().is_empty());
    let mut dead = letters(&wired).await.list(0, 10).await.unwrap();
    dead.sort_by(|a, b| a.reason.cmp(&b.reason));
    let found: Vec<_> = dead.iter().map(|letter| (letter.reason.as_str(), letter.deliveries)).collect();
    assert_eq!(found, [("event_not_in_log", 2), ("other_event_in_log", 2)]);
    assert_eq!(dead[0].event, Some(stored.id.to_string()));
}

/// A log that hides one stream until it is told to show it.
struct Hiding {
    log: Arc<dyn EventLog>,
    is_shown: std::sync::atomic::AtomicBool,
}

#[async_trait::async_trait]
impl EventLog for Hiding {
    async fn append(
        &self,
        append: event_store::port::Append,
    ) -> Result<event_store::port::Appended, event_store::port::AppendError> {
        self.log.append(append).await
    }
    async fn read_stream(
        &self,
        stream: &domain::ids::StreamId,
        after: Version,
        limit: usize,
    ) -> Result<Vec<schemas::envelope::StoredEvent>, event_store::port::LogError> {
        if self.is_shown.load(std::sync::atomic::Ordering::SeqCst) {
            self.log.read_stream(stream, after, limit).await
        } else {
            Ok(Vec::new())
        }
    }
    async fn read_all(
        &self,
        after: Position,
        limit: usize,
    ) -> Result<Vec<schemas::envelope::StoredEvent>, event_store::port::LogError> {
        self.log.read_all(after, limit).await
    }
    async fn head(&self, stream: &domain::ids::StreamId) -> Result<Version, event_store::port::LogError> {
        self.log.head(stream).await
    }
    async fn last_position(&self) -> Result<Position, event_store::port::LogError> {
        self.log.last_position().await
    }
    fn watch(&self) -> tokio::sync::watch::Receiver<Position> {
        self.log.watch()
    }
    async fn receipt(
        &self,
        key: &[u8; 32],
        now: domain::time::Timestamp,
    ) -> Result<Option<event_store::port::Receipt>, event_store::port::LogError> {
        self.log.receipt(key, now).await
    }
}

#[tokio::test]
async fn an_event_that_the_log_shows_a_moment_later_is_waited_for() {
    use workers::jobs::{Jobs as _, Verdict};
    let wired = Wired::new().await;
    let account = wired.world.account("ada@example.com").await;
    let order = wired.world.order_text(account).await;
    let relay = wired.relay().await;
    wired.relayed().await;
    relay.stop().await;
    let hiding = Arc::new(Hiding { log: Arc::clone(wired.world.engine.log()), is_shown: false.into() });
    let types = Role::Sms.event_types().iter().copied();
    let stop = tokio_util::sync::CancellationToken::new();
    let broker = wired.broker().await;
    let mut jobs =
        workers::nats::JetStreamJobs::open(wired.world.engine.runtime(), broker, "sms", types, hiding.clone(), 4, stop)
            .await
            .unwrap();
    let early = tokio::time::timeout(std::time::Duration::from_millis(300), jobs.next()).await;
    assert!(early.is_err(), "nothing is handed out that the log does not show");
    hiding.is_shown.store(true, std::sync::atomic::Ordering::SeqCst);
    let job = jobs.next().await.unwrap();
    assert_eq!((job.order.id, job.tries), (order.id, 0));
    jobs.settle(&job, Verdict::Done).await.unwrap();
    jobs.flush().await.unwrap();
    wired.idle("sms").await;
    assert!(wired.dead().await.is_empty());
}

#[tokio::test]
async fn what_a_worker_gives_up_can_be_sent_again_once_its_cause_is_gone() {
    use workers::jobs::{Jobs as _, Verdict};
    let wired = Wired::new().await;
    let account = wired.world.account("ada@example.com").await;
    let order = wired.world.order_text(account).await;
    let relay = wired.relay().await;
    wired.relayed().await;
    relay.stop().await;
    let stop = tokio_util::sync::CancellationToken::new();
    let (broker, log) = (wired.broker().await, Arc::clone(wired.world.engine.log()));
    let types = Role::Sms.event_types().iter().copied();
    let mut jobs = workers::nats::JetStreamJobs::open(wired.world.engine.runtime(), broker, "sms", types, log, 4, stop)
        .await
        .unwrap();
    let job = jobs.next().await.unwrap();
    jobs.settle(&job, Verdict::Fail).await.unwrap();
    jobs.flush().await.unwrap();
    drop(jobs);
    wired.idle("sms").await;

    let letters = letters(&wired).await;
    let letter = letters.get(1).await.unwrap();
    assert_eq!((letter.reason.as_str(), letter.event.clone()), ("given_up", Some(order.id.to_string())));
    let redriven = letters.redrive(letter.sequence).await.unwrap();
    assert!(redriven.stream_sequence > letter.stream_sequence);
    assert_eq!(letters.get(1).await, Err(DeadLetterError::Unknown(1)));
    assert_eq!(letters.redrive(1).await, Err(DeadLetterError::Unknown(1)));
    assert_eq!(letters.count().await.unwrap().0, 0);

    let running = wired.workers(&[Role::Sms], wired.world.willing()).await;
    until("the code", || wired.world.given().len() == 1).await;
    wired.idle("sms").await;
    running.stop().await;
    wired.assert_each_sent_once(&[order]);
}

#[tokio::test]
async fn a_message_that_was_handed_out_too_often_is_set_aside() {
    let mut wired = Wired::new().await;
    wired.options.max_deliveries = 3;
    let account = wired.world.account("ada@example.com").await;
    let relay = wired.relay().await;
    let busy = workers::Gateways {
        sms: vec![wired.world.gateway("busy", [crate::support::gateway::Answer::PutOff; 20])],
        email: vec![],
    };
    let running = wired.workers(&[Role::Sms], busy).await;
    let issued = wired.world.text(Purpose::SignIn);
    wired.world.order(account, &issued).await;
    wired.arrived(DEAD_STREAM, 1).await;
    wired.idle("sms").await;
    running.stop().await;
    relay.stop().await;
    assert_eq!(wired.world.given().len(), 3);
    let letter = letters(&wired).await.get(1).await.unwrap();
    assert_eq!((letter.reason.as_str(), letter.deliveries), ("too_many_deliveries", 4));
}
