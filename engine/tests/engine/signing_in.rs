use std::time::Duration;

use domain::{
    commands::Command,
    events::Event,
    ids::StreamId,
    outcome::{Outcome, Refusal},
    policy::{Limit, Policy},
    time::Seconds,
    values::{Caller, FreeText},
};
use engine::{
    ExecuteError, Executed,
    testing::{Fixture, FixtureOptions},
};
use event_store::port::EventLog;
use schemas::envelope::{Position, Version};

use super::accounts::{PASSWORD, with_password};

#[tokio::test]
async fn an_unknown_address_is_answered_like_a_wrong_password() {
    let fixture = Fixture::start().await;
    fixture.confirmed_account("ada@example.com", PASSWORD).await;
    for address in ["ada@example.com", "nobody@example.com"] {
        for attempt in 0..11 {
            let begun = tokio::time::Instant::now();
            let request = fixture.request_with_key(Caller::Anonymous, &format!("{address} {attempt}"), "body");
            let wrong = "wrong horse battery";
            let (account, executed) = fixture.engine.sign_in(with_password(address, wrong), &request).await.unwrap();
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
            let wrong = "wrong horse battery";
            fixture.engine.sign_in(with_password("ada@example.com", wrong), &request).await.unwrap();
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
        let (account, executed) =
            fixture.engine.sign_in(with_password("ada@example.com", PASSWORD), &request).await.unwrap();
        assert!(account.is_some());
        assert!(matches!(executed.outcome, Ok(Outcome::SignedIn(_))));
    }
}

#[tokio::test]
async fn the_same_sign_in_again_gets_the_same_session() {
    let fixture = Fixture::start().await;
    let account = fixture.confirmed_account("ada@example.com", PASSWORD).await;
    let request = fixture.request_with_key(Caller::Anonymous, "key", "body");
    let right = || with_password("ada@example.com", PASSWORD);
    let (_, first) = fixture.engine.sign_in(right(), &request).await.unwrap();
    let head = fixture.store.head(&StreamId::Account(account)).await.unwrap();
    let (known, again) = fixture.engine.sign_in(right(), &request).await.unwrap();
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
        let result = fixture.engine.sign_in(with_password(address, PASSWORD), &request).await;
        assert!(matches!(result, Err(ExecuteError::Unavailable(_))));
    }
    assert_eq!(fixture.store.head(&StreamId::Account(account)).await.unwrap(), head);
}

async fn sign_in_from(fixture: &Fixture, network: u8, password: &str) -> Executed {
    let mut request = fixture.request(Caller::Anonymous);
    request.origin.ip = Some(std::net::IpAddr::from([198, 51, 100, network]));
    fixture.engine.sign_in(with_password("ada@example.com", password), &request).await.unwrap().1
}

#[tokio::test]
async fn a_network_is_known_after_a_finished_sign_in_not_after_the_password() {
    let mut policy = Policy::default();
    policy.limits.passwords_per_address = Limit { count: 2, window: Seconds::days(1) };
    let fixture = Fixture::with(FixtureOptions { policy, ..FixtureOptions::default() }).await;
    let account = fixture.confirmed_account("ada@example.com", PASSWORD).await;
    // The owner's network, with a sign-in that needs no more than the password.
    assert!(matches!(sign_in_from(&fixture, 1, PASSWORD).await.outcome, Ok(Outcome::SignedIn(_))));
    // From now on the password is not enough, and somebody has it.
    let reset = Command::ResetTwoFactor { reason: FreeText::parse("lost the phone").unwrap() };
    fixture.engine.execute(account, reset, &fixture.request(Caller::Operator)).await.unwrap().outcome.unwrap();
    assert!(matches!(sign_in_from(&fixture, 2, PASSWORD).await.outcome, Ok(Outcome::VerificationStarted(_))));
    for network in [3, 4] {
        let wrong = sign_in_from(&fixture, network, "wrong horse battery").await;
        assert_eq!(wrong.outcome, Err(Refusal::WrongCredentials));
    }
    let unfinished = sign_in_from(&fixture, 2, PASSWORD).await;
    assert!(matches!(unfinished.outcome, Err(Refusal::RateLimited { .. })), "{:?}", unfinished.outcome);
    let owner = sign_in_from(&fixture, 1, PASSWORD).await;
    assert!(matches!(owner.outcome, Ok(Outcome::VerificationStarted(_))), "{:?}", owner.outcome);
}
