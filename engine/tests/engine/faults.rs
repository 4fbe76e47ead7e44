use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use async_trait::async_trait;
use domain::{ids::StreamId, policy::Policy, time::Timestamp, values::Caller};
use engine::{CacheOptions, Engine, EngineParts, ExecuteError, testing::Fixture};
use event_store::port::{Append, AppendError, Appended, EventLog, LogError, Receipt};
use schemas::envelope::{Position, StoredEvent, Version};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use vault::{Hasher, HasherConfig};

use super::tally::{Ask, Tally, counted, stream};

/// A log whose answers get lost: before the append, or after it.
struct Lossy {
    log: Arc<dyn EventLog>,
    lose_before: AtomicU32,
    lose_after: AtomicU32,
    /// Announces nothing.
    silent: Option<watch::Sender<Position>>,
}

fn take_one(count: &AtomicU32) -> bool {
    count.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |count| count.checked_sub(1)).is_ok()
}

fn lost() -> AppendError {
    AppendError::Unknown(LogError::Unavailable("the answer got lost".to_owned()))
}

#[async_trait]
impl EventLog for Lossy {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        if take_one(&self.lose_before) {
            return Err(lost());
        }
        let appended = self.log.append(append).await?;
        if take_one(&self.lose_after) { Err(lost()) } else { Ok(appended) }
    }
    async fn read_stream(&self, stream: &StreamId, after: Version, limit: usize) -> Result<Vec<StoredEvent>, LogError> {
        self.log.read_stream(stream, after, limit).await
    }
    async fn read_all(&self, after: Position, limit: usize) -> Result<Vec<StoredEvent>, LogError> {
        self.log.read_all(after, limit).await
    }
    async fn head(&self, stream: &StreamId) -> Result<Version, LogError> {
        self.log.head(stream).await
    }
    async fn last_position(&self) -> Result<Position, LogError> {
        self.log.last_position().await
    }
    fn watch(&self) -> watch::Receiver<Position> {
        self.silent.as_ref().map_or_else(|| self.log.watch(), watch::Sender::subscribe)
    }
    async fn receipt(&self, key: &[u8; 32], now: Timestamp) -> Result<Option<Receipt>, LogError> {
        self.log.receipt(key, now).await
    }
}

async fn over_lossy(fixture: &Fixture, before: u32, after: u32) -> Engine {
    let log = Lossy {
        log: fixture.store.clone(),
        lose_before: AtomicU32::new(before),
        lose_after: AtomicU32::new(after),
        silent: None,
    };
    let parts = EngineParts {
        log: Arc::new(log),
        keys: Arc::clone(&fixture.keys),
        snapshots: fixture.store.clone(),
        hasher: Hasher::new(HasherConfig::default(), fixture.engine.runtime()),
        limiter: fixture.limiter.clone(),
        answers: fixture.limiter.clone(),
        runtime: fixture.engine.runtime().clone(),
        policy: Arc::new(Policy::default()),
        cache: CacheOptions::default(),
    };
    Engine::start(parts, CancellationToken::new()).await.unwrap()
}

#[tokio::test]
async fn an_append_whose_answer_got_lost_is_appended_once_and_told() {
    for (before, after) in [(2, 0), (0, 2), (1, 1)] {
        let fixture = Fixture::start().await;
        let engine = over_lossy(&fixture, before, after).await;
        let stream = stream(&fixture);
        let request = fixture.request(Caller::Worker);
        let executed = engine.execute_on::<Tally>(&stream, &Ask::Count, &request).await.unwrap();
        assert_eq!(executed.outcome, Ok(counted(1)));
        assert_eq!(fixture.store.head(&stream).await.unwrap(), Version(1));
        assert_eq!(engine.load_stream::<Tally>(&stream).await.unwrap().state.count, 1);
    }
}

#[tokio::test]
async fn an_answer_that_stays_lost_is_unavailable_and_the_key_finds_it_later() {
    let fixture = Fixture::start().await;
    let engine = over_lossy(&fixture, 0, 4).await;
    let stream = stream(&fixture);
    let request = fixture.request_with_key(Caller::Worker, "key", "body");
    let result = engine.execute_on::<Tally>(&stream, &Ask::Count, &request).await;
    assert!(matches!(result, Err(ExecuteError::Unavailable(_))));
    let again = engine.execute_on::<Tally>(&stream, &Ask::Count, &request).await.unwrap();
    assert!(again.replayed);
    assert_eq!(again.outcome, Ok(counted(1)));
    assert_eq!(fixture.store.head(&stream).await.unwrap(), Version(1));
}

#[tokio::test]
async fn a_log_that_announces_nothing_is_followed_all_the_same_even_by_impatient_readers() {
    let fixture = Fixture::start().await;
    let log = Arc::new(Lossy {
        log: fixture.store.clone(),
        lose_before: AtomicU32::new(0),
        lose_after: AtomicU32::new(0),
        silent: Some(watch::Sender::new(Position::START)),
    });
    let mut subscription = event_store::subscription::subscribe(fixture.engine.runtime(), log, Position::START, 10);
    let request = fixture.request(Caller::Worker);
    let stream = stream(&fixture);
    fixture.engine.execute_on::<Tally>(&stream, &Ask::Count, &request).await.unwrap().outcome.unwrap();
    let begun = tokio::time::Instant::now();
    let events = loop {
        assert!(begun.elapsed() < std::time::Duration::from_secs(10));
        let patience = std::time::Duration::from_millis(20);
        if let Ok(events) = tokio::time::timeout(patience, subscription.next()).await {
            break events.unwrap();
        }
    };
    assert_eq!(events.len(), 1);
}
