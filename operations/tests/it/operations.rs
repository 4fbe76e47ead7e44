//! The file of operations: limits, networks, session activity, the inbox, checkpoints.

use std::{path::PathBuf, sync::Arc, time::Duration};

use domain::{
    ids::SessionId,
    limits::{Charge, LimitName},
    policy::Limit,
    secret::Secret,
    time::{Seconds, Timestamp},
    values::Channel,
};
use event_store::{
    port::{Answers, Checkpoints, KeptAnswer, Limiter},
    testing::{ManualClock, MemoryLimiter},
};
use operations::{InboxMessage, Operations};
use proptest::prelude::*;
use schemas::envelope::Position;
use servers::{
    over_each_engine,
    place::{self, On},
};
use uuid::Uuid;
use vault::KeyRing;

const NOW: Timestamp = ManualClock::START;
const SOON: Duration = Duration::from_secs(20);

struct Place {
    place: place::Place,
    ring: Arc<KeyRing>,
}

impl Place {
    async fn new(on: On) -> Self {
        Self {
            place: place::Place::new(on).await,
            ring: Arc::new(KeyRing::generate(&runtime::Runtime::system().unwrap()).unwrap()),
        }
    }
    fn path(&self) -> PathBuf {
        self.place.operations_file()
    }
    async fn open(&self) -> Operations {
        self.opened_with(Arc::clone(&self.ring)).await
    }
    async fn opened_with(&self, ring: Arc<KeyRing>) -> Operations {
        if self.place.database.is_some() {
            return Operations::postgres(self.place.connect().await, ring).await.unwrap();
        }
        Operations::sqlite(&self.path(), ring).await.unwrap()
    }
    async fn numbers(&self, sql: &str) -> Vec<i64> {
        self.place.numbers(&self.path(), sql).await
    }
}

fn charge(subject: &str, count: u32, window: Seconds) -> Charge {
    Charge {
        name: LimitName::TextsPerNumber,
        subject: subject.to_owned(),
        limit: Limit { count, window },
        refund_on_success: false,
    }
}

over_each_engine! {
    a_limit_holds_in_every_span_of_its_window,
    after_the_clock_was_set_back_a_limit_lasts_its_window,
    a_charge_takes_all_buckets_or_none,
    parallel_charges_never_exceed_a_limit,
    a_limit_raised_to_a_million_keeps_its_bucket_small,
    limits_networks_and_checkpoints_survive_a_restart,
    the_first_answer_is_kept_for_every_process_until_it_expires,
    the_last_use_of_a_session_is_known_at_once_and_written_now_and_then,
    the_inbox_keeps_the_last_messages_sealed,
}

async fn a_limit_holds_in_every_span_of_its_window(on: On) {
    let place = Place::new(on).await;
    let operations = place.open().await;
    let hour = charge("+436601234567", 5, Seconds::hours(1));
    let try_at = async |minutes: u32| {
        operations.charge(std::slice::from_ref(&hour), NOW.plus(Seconds::minutes(minutes))).await.unwrap()
    };
    for minute in [0, 10, 20, 30, 40] {
        assert_eq!(try_at(minute).await, Ok(()));
    }
    assert_eq!(try_at(50).await, Err(Seconds::minutes(10)), "until the first one leaves the window");
    assert_eq!(try_at(60).await, Ok(()));
    assert_eq!(try_at(61).await, Err(Seconds::minutes(9)));
    let count = async |minutes: u32| operations.count(&hour, NOW.plus(Seconds::minutes(minutes))).await.unwrap();
    assert_eq!((count(61).await, count(75).await, count(200).await), (5, 4, 0));
}

async fn after_the_clock_was_set_back_a_limit_lasts_its_window(on: On) {
    let place = Place::new(on).await;
    let operations = place.open().await;
    for count in [5, 200] {
        let hour = charge(&format!("{count} an hour"), count, Seconds::hours(1));
        let try_at = async |minutes: u32| {
            operations.charge(std::slice::from_ref(&hour), NOW.plus(Seconds::minutes(minutes))).await.unwrap()
        };
        for _ in 0..count {
            assert_eq!(try_at(100).await, Ok(()));
        }
        let Err(wait) = try_at(0).await else { panic!("setting the clock back opens no limit") };
        assert!((Seconds::hours(1).0..Seconds::minutes(61).0).contains(&wait.0), "and lengthens none: {wait:?}");
        assert!(try_at(59).await.is_err());
        assert_eq!(try_at(61).await, Ok(()));
    }
}

async fn a_charge_takes_all_buckets_or_none(on: On) {
    let place = Place::new(on).await;
    let operations = place.open().await;
    let (hour, day) = (charge("a", 5, Seconds::hours(1)), charge("a", 2, Seconds::days(1)));
    let other = charge("b", 1, Seconds::hours(1));
    let all = [hour.clone(), day.clone(), other.clone()];
    assert_eq!(operations.charge(&all, NOW).await.unwrap(), Ok(()));
    assert_eq!(operations.charge(&all, NOW).await.unwrap(), Err(Seconds::hours(1)));
    for (bucket, held) in [(&hour, 1), (&day, 1), (&other, 1)] {
        assert_eq!(operations.count(bucket, NOW).await.unwrap(), held);
    }
    operations.refund(&all, NOW).await.unwrap();
    operations.refund(&all, NOW).await.unwrap();
    assert_eq!(operations.count(&day, NOW).await.unwrap(), 0);
    assert_eq!(operations.charge(&all, NOW).await.unwrap(), Ok(()));
    // The same bucket twice in one charge needs room for two.
    let twice = charge("c", 1, Seconds::hours(1));
    assert!(operations.charge(&[twice.clone(), twice.clone()], NOW).await.unwrap().is_err());
    assert_eq!(operations.count(&twice, NOW).await.unwrap(), 0);
    let nothing = charge("d", 0, Seconds::hours(1));
    assert_eq!(operations.charge(&[nothing], NOW).await.unwrap(), Err(Seconds::hours(1)));
}

async fn parallel_charges_never_exceed_a_limit(on: On) {
    let place = Place::new(on).await;
    let (one, two) = (Arc::new(place.open().await), Arc::new(place.open().await));
    let tries: Vec<_> = (0..400)
        .map(|n| {
            let operations = Arc::clone(if n % 2 == 0 { &one } else { &two });
            tokio::spawn(async move { operations.charge(&[charge("x", 37, Seconds::hours(1))], NOW).await.unwrap() })
        })
        .collect();
    let mut allowed = 0;
    for done in tries {
        allowed += usize::from(done.await.unwrap().is_ok());
    }
    assert_eq!(allowed, 37, "over two openers of one file");
}

async fn a_limit_raised_to_a_million_keeps_its_bucket_small(on: On) {
    let place = Place::new(on).await;
    let operations = place.open().await;
    let many = charge("load", 1_000_000, Seconds::hours(1));
    for n in 0..2_000 {
        let at = NOW.plus(Seconds(n));
        assert_eq!(operations.charge(std::slice::from_ref(&many), at).await.unwrap(), Ok(()));
    }
    assert_eq!(operations.count(&many, NOW.plus(Seconds(2_000))).await.unwrap(), 2_000);
    let length = place.numbers("SELECT CAST(max(length(charges)) AS BIGINT) FROM limits").await;
    assert!(length[0] > 0 && length[0] <= 70 * 12, "{length:?}");
    assert_eq!(operations.count(&many, NOW.plus(Seconds(2_000 + 3_600 + 60))).await.unwrap(), 0);
}

async fn the_first_answer_is_kept_for_every_process_until_it_expires(on: On) {
    let place = Place::new(on).await;
    let answer = |key: u8, text: &str, lives: Seconds| KeptAnswer {
        key: [key; 32],
        body: [key ^ 1; 32],
        answer: text.as_bytes().to_vec(),
        expires_at: NOW.plus(lives),
    };
    let first = answer(1, "first", Seconds(60));
    let (one, two) = (place.open().await, place.open().await);
    assert_eq!(one.keep(first.clone(), NOW).await.unwrap(), first);
    assert_eq!(two.keep(answer(1, "second", Seconds(90)), NOW.plus(Seconds(59))).await.unwrap(), first);
    let other = answer(2, "other", Seconds(90));
    assert_eq!(two.keep(other.clone(), NOW).await.unwrap(), other);
    one.close().await;
    two.close().await;
    let again = place.open().await;
    assert_eq!(again.keep(answer(1, "third", Seconds(90)), NOW.plus(Seconds(59))).await.unwrap(), first);
    let fourth = answer(1, "fourth", Seconds(120));
    assert_eq!(again.keep(fourth.clone(), NOW.plus(Seconds(60))).await.unwrap(), fourth);
    again.close().await;
}

async fn limits_networks_and_checkpoints_survive_a_restart(on: On) {
    let place = Place::new(on).await;
    let operations = place.open().await;
    let limit = charge("a@example.com", 1, Seconds::hours(1));
    operations.charge(std::slice::from_ref(&limit), NOW).await.unwrap().unwrap();
    operations.remember_network("a@example.com", "203.0.113.7", NOW).await.unwrap();
    operations.save("sms", Position(42)).await.unwrap();
    operations.close().await;
    let operations = place.open().await;
    assert!(operations.charge(&[limit], NOW).await.unwrap().is_err());
    assert!(operations.is_known_network("a@example.com", "203.0.113.7").await.unwrap());
    assert!(!operations.is_known_network("a@example.com", "203.0.113.8").await.unwrap());
    assert!(!operations.is_known_network("b@example.com", "203.0.113.7").await.unwrap());
    let half_a_year_later = NOW.plus(Seconds::days(181));
    operations.remember_network("b@example.com", "203.0.113.9", half_a_year_later).await.unwrap();
    assert!(!operations.is_known_network("a@example.com", "203.0.113.7").await.unwrap());
    assert_eq!(operations.load("sms").await.unwrap(), Position(42));
    assert_eq!(operations.load("email").await.unwrap(), Position::START);
    operations.close().await;
    assert!(operations.load("sms").await.is_err(), "closed");
    assert!(!place.place.holds("example.com").await && !place.place.holds("203.0.113").await);
}

async fn the_last_use_of_a_session_is_known_at_once_and_written_now_and_then(on: On) {
    let place = Place::new(on).await;
    let operations = place.open().await;
    let session = SessionId(Uuid::from_u128(7));
    assert_eq!(operations.last_used(session, NOW).await.unwrap(), None);
    let written = async || place.numbers("SELECT last_used_at FROM session_activity").await;
    let becomes = async |at: Timestamp| {
        let written = async { while written().await != [at.as_millis()] {} };
        tokio::time::timeout(SOON, written).await.unwrap();
    };
    let at = |minutes: u32| NOW.plus(Seconds::minutes(minutes));
    operations.touch(session, at(0));
    operations.touch(session, at(5));
    assert_eq!(operations.last_used(session, at(5)).await.unwrap(), Some(at(5)));
    becomes(at(0)).await;
    operations.touch(session, at(10));
    operations.touch(session, at(3));
    becomes(at(10)).await;
    operations.touch(session, at(12));
    operations.close().await;
    assert_eq!(written().await, [at(12).as_millis()], "flushed at the stop");
    assert_eq!(place.open().await.last_used(session, at(12)).await.unwrap(), Some(at(12)));
}

fn message(n: u32, to: &str, at: Timestamp) -> InboxMessage {
    InboxMessage {
        id: Uuid::from_u128(u128::from(n)),
        channel: Channel::Email,
        to: to.to_owned(),
        subject: Some(format!("Subject {n}")),
        body: Secret::new(format!("Your code is 9077{n:02}.")),
        code: Some(Secret::new(format!("9077{n:02}"))),
        at,
    }
}

async fn the_inbox_keeps_the_last_messages_sealed(on: On) {
    let place = Place::new(on).await;
    let operations = place.open().await;
    operations.inbox_put(message(1, "ada@example.com", NOW)).await.unwrap();
    operations.inbox_put(message(2, "bob@example.com", NOW)).await.unwrap();
    operations.inbox_put(message(2, "bob@example.com", NOW)).await.unwrap();
    let subjects = async |to: Option<&str>| -> Vec<String> {
        operations.inbox_list(to, 10).await.unwrap().into_iter().filter_map(|message| message.subject).collect()
    };
    assert_eq!(subjects(None).await, ["Subject 2", "Subject 1"]);
    assert_eq!(subjects(Some("Ada@example.com")).await, ["Subject 1"]);
    let found = &operations.inbox_list(Some("bob@example.com"), 10).await.unwrap()[0];
    assert_eq!(found.code.as_ref().unwrap().expose(), "907702");
    assert!(!format!("{found:?}").contains("907702"));
    for text in ["ada@example.com", "bob@", "Your code", "907701", "Subject"] {
        assert!(!place.place.holds(text).await, "{text}");
    }

    operations.inbox_put(message(3, "ada@example.com", NOW.plus(Seconds(86_401)))).await.unwrap();
    assert_eq!(subjects(None).await, ["Subject 3"], "those of yesterday are gone");
    let later = NOW.plus(Seconds(86_402));
    for n in 4..1_010 {
        operations.inbox_put(message(n, "ada@example.com", later)).await.unwrap();
    }
    let all = operations.inbox_list(None, 5_000).await.unwrap();
    assert_eq!((all.len(), all[0].id), (1_000, Uuid::from_u128(1_009)));
    operations.close().await;

    // Another key ring opens none of them.
    let other = place.opened_with(Arc::new(KeyRing::generate(&runtime::Runtime::system().unwrap()).unwrap())).await;
    assert!(other.inbox_list(None, 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_damaged_file_is_set_aside() {
    let place = Place::new(On::Sqlite).await;
    std::fs::write(place.path(), "no database, though long enough to look like one".repeat(100)).unwrap();
    let operations = place.open().await;
    assert_eq!(operations.load("sms").await.unwrap(), Position::START);
    assert!(place.place.dir.path().join("operations.db.damaged").exists());
}

/// The limiter of the tests remembers every charge; this one must say the same.
async fn agrees(on: On, count: u32, steps: Vec<(u32, usize, bool)>) {
    let place = Place::new(on).await;
    let (operations, model) = (place.open().await, MemoryLimiter::default());
    let buckets = ["a", "b"].map(|subject| charge(subject, count, Seconds(60)));
    let mut now = NOW;
    for (wait, bucket, both) in steps {
        now = now.plus(Seconds(wait));
        let charges = if both { buckets.to_vec() } else { vec![buckets[bucket].clone()] };
        let ours = operations.charge(&charges, now).await.unwrap();
        assert_eq!(ours, model.charge(&charges, now).await.unwrap());
        for bucket in &buckets {
            assert_eq!(operations.count(bucket, now).await.unwrap(), model.count(bucket, now).await.unwrap());
        }
    }
    operations.close().await;
}

fn runs(on: On, count: u32, steps: Vec<(u32, usize, bool)>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    runtime.block_on(agrees(on, count, steps));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn it_agrees_with_one_that_remembers_everything_on_sqlite(
        count in 1..6_u32,
        steps in prop::collection::vec((0..40_u32, 0..2_usize, any::<bool>()), 1..60),
    ) {
        runs(On::Sqlite, count, steps);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    #[test]
    fn it_agrees_with_one_that_remembers_everything_on_postgres(
        count in 1..6_u32,
        steps in prop::collection::vec((0..40_u32, 0..2_usize, any::<bool>()), 1..60),
    ) {
        runs(On::Postgres, count, steps);
    }
}
