use std::time::Duration;

use domain::{
    events::Event,
    ids::StreamId,
    outcome::{Outcome, Refusal},
    secret::Secret,
    values::Caller,
};
use engine::{ExecuteError, testing::Fixture};
use event_store::port::EventLog;
use schemas::envelope::{Position, Version};

use super::accounts::{PASSWORD, email};

#[tokio::test]
async fn an_unknown_address_is_answered_like_a_wrong_password() {
    let fixture = Fixture::start().await;
    fixture.confirmed_account("ada@example.com", PASSWORD).await;
    for address in ["ada@example.com", "nobody@example.com"] {
        for attempt in 0..11 {
            let begun = tokio::time::Instant::now();
            let request = fixture.request_with_key(Caller::Anonymous, &format!("{address} {attempt}"), "body");
            let wrong = Secret::new("wrong horse battery".to_owned());
            let (account, executed) = fixture.engine.sign_in(&email(address), wrong, &request).await.unwrap();
            assert_eq!(account, None);
            assert_eq!(executed.position, Position::START);
            if attempt < 10 {
                assert_eq!(executed.outcome, Err(Refusal::WrongCredentials), "{address} {attempt}");
                assert!(begun.elapsed() >= Duration::from_millis(100));
            } else {
                assert!(matches!(executed.outcome, Err(Refusal::RateLimited { .. })), "{address} {attempt}");
            }
        }
    }
}

#[tokio::test]
async fn wrong_passwords_are_one_event_a_minute_with_a_count() {
    let fixture = Fixture::start().await;
    let account = fixture.confirmed_account("ada@example.com", PASSWORD).await;
    let request = fixture.request(Caller::Anonymous);
    for round in 0..2 {
        for _ in 0..3 {
            let wrong = Secret::new("wrong horse battery".to_owned());
            fixture.engine.sign_in(&email("ada@example.com"), wrong, &request).await.unwrap();
        }
        if round == 0 {
            fixture.clock.advance(domain::time::Seconds::minutes(1));
        }
    }
    let history = fixture.engine.history(&StreamId::Account(account), Version::NONE, 100).await.unwrap();
    let counts: Vec<u32> = history
        .iter()
        .filter_map(|recorded| match &recorded.event {
            Event::PasswordRejected(rejected) => Some(rejected.count),
            _ => None,
        })
        .collect();
    assert_eq!(counts, [1, 4]);
}

#[tokio::test]
async fn a_right_password_costs_no_try() {
    let fixture = Fixture::start().await;
    fixture.confirmed_account("ada@example.com", PASSWORD).await;
    let request = fixture.request(Caller::Anonymous);
    for _ in 0..15 {
        let right = Secret::new(PASSWORD.to_owned());
        let (account, executed) = fixture.engine.sign_in(&email("ada@example.com"), right, &request).await.unwrap();
        assert!(account.is_some());
        assert!(matches!(executed.outcome, Ok(Outcome::SignedIn(_))));
    }
}

#[tokio::test]
async fn the_same_sign_in_again_gets_the_same_session() {
    let fixture = Fixture::start().await;
    let account = fixture.confirmed_account("ada@example.com", PASSWORD).await;
    let request = fixture.request_with_key(Caller::Anonymous, "key", "body");
    let right = || Secret::new(PASSWORD.to_owned());
    let (_, first) = fixture.engine.sign_in(&email("ada@example.com"), right(), &request).await.unwrap();
    let head = fixture.store.head(&StreamId::Account(account)).await.unwrap();
    let (known, again) = fixture.engine.sign_in(&email("ada@example.com"), right(), &request).await.unwrap();
    assert!(again.replayed);
    assert_eq!(known, Some(account));
    assert_eq!(again.outcome, first.outcome);
    assert_eq!(fixture.store.head(&StreamId::Account(account)).await.unwrap(), head);
}

#[tokio::test]
async fn without_the_limiter_nobody_is_judged() {
    let fixture = Fixture::start().await;
    let account = fixture.confirmed_account("ada@example.com", PASSWORD).await;
    let head = fixture.store.head(&StreamId::Account(account)).await.unwrap();
    fixture.limiter.set_reachable(false);
    let request = fixture.request(Caller::Anonymous);
    for address in ["ada@example.com", "nobody@example.com"] {
        let result = fixture.engine.sign_in(&email(address), Secret::new(PASSWORD.to_owned()), &request).await;
        assert!(matches!(result, Err(ExecuteError::Unavailable(_))));
    }
    assert_eq!(fixture.store.head(&StreamId::Account(account)).await.unwrap(), head);
}
