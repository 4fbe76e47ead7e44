use std::collections::HashSet;

use domain::{
    outcome::{Outcome, Refusal},
    time::Seconds,
    values::Caller,
};
use engine::{ExecuteError, testing::Fixture};
use event_store::port::EventLog;
use schemas::envelope::{Position, Version};

use super::tally::{Ask, Tally, counted, stream};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_of_two_processes_are_decided_one_after_the_other() {
    let here = Fixture::start().await;
    let there = here.beside().await;
    let stream = stream(&here);
    let mut tasks = Vec::new();
    for n in 0..100 {
        let fixture = if n % 2 == 0 { &here } else { &there };
        let (engine, stream, request) = (fixture.engine.clone(), stream.clone(), fixture.request(Caller::Worker));
        tasks.push(tokio::spawn(async move { engine.execute_on::<Tally>(&stream, &Ask::Count, &request).await }));
    }
    let mut told = HashSet::new();
    for task in tasks {
        let Outcome::SendClaimed { attempt, .. } = task.await.unwrap().unwrap().outcome.unwrap() else {
            panic!("another")
        };
        assert!(told.insert(attempt));
    }
    assert_eq!(told, (1..=100).collect());
    assert_eq!(here.store.head(&stream).await.unwrap(), Version(100));
}

#[tokio::test]
async fn a_refusal_is_decided_on_the_present_not_on_what_memory_holds() {
    let here = Fixture::start().await;
    let there = here.beside().await;
    let stream = stream(&here);
    let enter = || async {
        let request = here.request(Caller::Worker);
        here.engine.execute_on::<Tally>(&stream, &Ask::Enter, &request).await.unwrap().outcome
    };
    let request = there.request(Caller::Worker);
    there.engine.execute_on::<Tally>(&stream, &Ask::Count, &request).await.unwrap().outcome.unwrap();
    assert_eq!(enter().await, Err(Refusal::Forbidden));
    there.engine.execute_on::<Tally>(&stream, &Ask::Open, &request).await.unwrap().outcome.unwrap();
    assert_eq!(enter().await, Ok(Outcome::Done));
}

#[tokio::test]
async fn a_refusal_can_be_history() {
    let fixture = Fixture::start().await;
    let stream = stream(&fixture);
    let request = fixture.request(Caller::Worker);
    let executed = fixture.engine.execute_on::<Tally>(&stream, &Ask::Fail, &request).await.unwrap();
    assert_eq!(executed.outcome, Err(Refusal::Conflict));
    assert_eq!(executed.position, Position(1));
    assert_eq!(fixture.store.head(&stream).await.unwrap(), Version(1));
}

#[tokio::test]
async fn the_same_command_again_gets_the_first_answer_and_appends_nothing() {
    let fixture = Fixture::start().await;
    let stream = stream(&fixture);
    for ask in [Ask::Count, Ask::Fail] {
        let request = fixture.request_with_key(Caller::Worker, &format!("{ask:?}"), "body");
        let first = fixture.engine.execute_on::<Tally>(&stream, &ask, &request).await.unwrap();
        assert!(!first.replayed);
        let head = fixture.store.head(&stream).await.unwrap();
        let again = fixture.engine.execute_on::<Tally>(&stream, &ask, &request).await.unwrap();
        assert!(again.replayed);
        assert_eq!((again.outcome, again.position), (first.outcome, first.position));
        assert_eq!(fixture.store.head(&stream).await.unwrap(), head);
    }
}

#[tokio::test]
async fn another_body_under_the_same_key_is_refused() {
    let fixture = Fixture::start().await;
    let stream = stream(&fixture);
    let request = fixture.request_with_key(Caller::Worker, "key", "body");
    fixture.engine.execute_on::<Tally>(&stream, &Ask::Count, &request).await.unwrap().outcome.unwrap();
    let other = fixture.request_with_key(Caller::Worker, "key", "another body");
    let result = fixture.engine.execute_on::<Tally>(&stream, &Ask::Count, &other).await;
    assert!(matches!(result, Err(ExecuteError::IdempotencyConflict)));
    assert_eq!(fixture.store.head(&stream).await.unwrap(), Version(1));
}

#[tokio::test]
async fn after_its_time_a_key_can_be_used_again() {
    let fixture = Fixture::start().await;
    let stream = stream(&fixture);
    let request = fixture.request_with_key(Caller::Worker, "key", "body");
    fixture.engine.execute_on::<Tally>(&stream, &Ask::Count, &request).await.unwrap().outcome.unwrap();
    fixture.clock.advance(Seconds::hours(25));
    let again = fixture.engine.execute_on::<Tally>(&stream, &Ask::Count, &request).await.unwrap();
    assert!(!again.replayed);
    assert_eq!(again.outcome, Ok(counted(2)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_concurrent_duplicates_one_is_carried_out_whatever_stream_they_name() {
    let here = Fixture::start().await;
    let there = here.beside().await;
    let request = here.request_with_key(Caller::Worker, "key", "body");
    let mut tasks = Vec::new();
    for n in 0..20 {
        let fixture = if n % 2 == 0 { &here } else { &there };
        // As a registration: every try comes with a fresh account id.
        let (engine, stream, request) = (fixture.engine.clone(), stream(fixture), request.clone());
        tasks.push(tokio::spawn(
            async move { engine.execute_on::<Tally>(&stream, &Ask::Count, &request).await.unwrap() },
        ));
    }
    let mut first = 0;
    for task in tasks {
        let executed = task.await.unwrap();
        assert_eq!(executed.outcome, Ok(counted(1)));
        first += u32::from(!executed.replayed);
    }
    assert_eq!(first, 1);
    assert_eq!(here.store.last_position().await.unwrap(), Position(1));
}

#[tokio::test]
async fn no_event_is_older_than_the_one_before() {
    let fixture = Fixture::start().await;
    let stream = stream(&fixture);
    let request = fixture.request(Caller::Worker);
    fixture.engine.execute_on::<Tally>(&stream, &Ask::Count, &request).await.unwrap().outcome.unwrap();
    fixture.clock.set(fixture.engine.now().minus(Seconds::hours(1)));
    fixture.engine.execute_on::<Tally>(&stream, &Ask::Count, &request).await.unwrap().outcome.unwrap();
    let history = fixture.engine.history(&stream, Version::NONE, 10).await.unwrap();
    assert_eq!(history[0].metadata.at, history[1].metadata.at);
}

#[tokio::test]
async fn an_event_says_who_did_it_and_from_where() {
    let fixture = Fixture::start().await;
    let stream = stream(&fixture);
    let request = fixture.request(Caller::Operator);
    fixture.engine.execute_on::<Tally>(&stream, &Ask::Count, &request).await.unwrap().outcome.unwrap();
    let history = fixture.engine.history(&stream, Version::NONE, 10).await.unwrap();
    let metadata = &history[0].metadata;
    assert_eq!(metadata.actor, domain::values::Actor::Operator);
    assert_eq!(metadata.command_id, request.command_id);
    assert_eq!(metadata.correlation_id, request.correlation_id);
    assert_eq!(metadata.ip.as_ref().unwrap().known().copied(), request.origin.ip);
    assert_eq!(metadata.at, fixture.engine.now());
    assert_eq!(history[0].id.0.get_version_num(), 7);
}
