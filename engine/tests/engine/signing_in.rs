use std::time::Duration;

use domain::{
    commands::Command,
    events::Event,
    ids::StreamId,
    outcome::{Outcome, Refusal},
    policy::{Limit, Policy},
    secret::Secret,
    time::Seconds,
    values::{Caller, Channel, FreeText, Purpose},
};
use engine::{
    ExecuteError, Executed, PasswordSignIn,
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

#[tokio::test]
async fn what_a_limit_refuses_is_opened_by_one_mail_whoever_asks() {
    let mut policy = Policy::default();
    policy.limits.passwords_per_address = Limit { count: 2, window: Seconds::days(1) };
    let fixture = Fixture::with(FixtureOptions { policy, ..FixtureOptions::default() }).await;
    let account = fixture.confirmed_account("ada@example.com", PASSWORD).await;
    let mails = async || {
        let history = fixture.engine.history(&StreamId::Account(account), Version::NONE, 1_000).await.unwrap();
        let opens = |event: &Event| matches!(event, Event::CodeIssued(mail) if mail.purpose == Purpose::OpenSignIn);
        history.iter().filter(|recorded| opens(&recorded.event)).count()
    };
    for network in 1..=2 {
        let wrong = sign_in_from(&fixture, network, "wrong horse battery").await;
        assert_eq!(wrong.outcome, Err(Refusal::WrongCredentials));
    }
    assert_eq!(mails().await, 0);
    for network in 3..=9 {
        let refused = sign_in_from(&fixture, network, PASSWORD).await;
        assert!(matches!(refused.outcome, Err(Refusal::RateLimited { .. })), "{network}");
    }
    assert_eq!(mails().await, 1);
    let code = fixture.last_code(account, Channel::Email).await.unwrap();
    let opened = async |code: &str, password: &str| {
        let mut request = fixture.request(Caller::Anonymous);
        request.origin.ip = Some(std::net::IpAddr::from([198, 51, 100, 77]));
        let opening_code = Some(Secret::new(code.to_owned()));
        let sign_in = PasswordSignIn { opening_code, ..with_password("ada@example.com", password) };
        fixture.engine.sign_in(sign_in, &request).await.unwrap().1.outcome
    };
    assert!(matches!(opened("0000-0000-0000", PASSWORD).await, Err(Refusal::RateLimited { .. })));
    assert_eq!(opened(code.expose(), "wrong horse battery").await, Err(Refusal::WrongCredentials));
    fixture.clock.advance(Seconds::minutes(20));
    assert!(matches!(opened(code.expose(), PASSWORD).await, Err(Refusal::RateLimited { .. })), "its time is over");
    assert_eq!(mails().await, 2);
    let code = fixture.last_code(account, Channel::Email).await.unwrap();
    assert!(matches!(opened(code.expose(), PASSWORD).await, Ok(Outcome::SignedIn(_))));
}

#[tokio::test]
async fn one_source_is_stopped_over_all_addresses_and_others_are_not() {
    let mut policy = Policy::default();
    policy.limits.passwords_per_source = Limit { count: 5, window: Seconds::hours(1) };
    let fixture = Fixture::with(FixtureOptions { policy, ..FixtureOptions::default() }).await;
    fixture.confirmed_account("ada@example.com", PASSWORD).await;
    let from = async |network: u8, address: &str| {
        let mut request = fixture.request(Caller::Anonymous);
        request.origin.ip = Some(std::net::IpAddr::from([198, 51, 100, network]));
        let sign_in = with_password(address, "wrong horse battery");
        fixture.engine.sign_in(sign_in, &request).await.unwrap().1.outcome
    };
    for n in 0..5 {
        assert_eq!(from(1, &format!("victim{n}@example.com")).await, Err(Refusal::WrongCredentials));
    }
    for address in ["ada@example.com", "nobody@example.com"] {
        assert!(matches!(from(1, address).await, Err(Refusal::RateLimited { .. })));
        assert_eq!(from(2, address).await, Err(Refusal::WrongCredentials));
    }
}
