use domain::{
    events::Event,
    ids::StreamId,
    outcome::{Outcome, Refusal, StartedVerification},
    secret::Secret,
    time::Seconds,
    values::{Caller, EmailAddress},
};
use engine::{ExecuteError, ResetAttempt, ResetTicket, testing::Fixture};
use event_store::port::EventLog;
use schemas::envelope::{Position, Version};
use uuid::Uuid;

use super::accounts::{PASSWORD, email, mailed_code, signed_in};

const NEW: &str = "a wholly other phrase";
const NOT_IT: &str = "0000-0000-0000";

type Asked = (Uuid, StartedVerification, bool);

async fn asked(fixture: &Fixture, address: &str, key: &str) -> Asked {
    let request = fixture.request_with_key(Caller::Anonymous, key, "body");
    let (handle, executed) = fixture.engine.request_password_reset(&email(address), &request).await.unwrap();
    assert_eq!(executed.position, Position::START);
    let Outcome::VerificationStarted(started) = executed.outcome.unwrap() else { panic!("not started") };
    (handle, started, executed.replayed)
}

fn ticket((handle, started, _): &Asked) -> ResetTicket {
    ResetTicket { handle: *handle, verification_id: started.verification.id, secret: started.secret.clone() }
}

async fn tried(fixture: &Fixture, ticket: &ResetTicket, code: &str) -> Result<Outcome, Refusal> {
    let attempt = ResetAttempt {
        code: Some(Secret::new(code.to_owned())),
        second_factor: None,
        new: Secret::new(NEW.to_owned()),
    };
    let request = fixture.request(Caller::Anonymous);
    fixture.engine.reset_password(ticket, attempt, &request).await.unwrap().outcome
}

async fn mails(fixture: &Fixture, account: domain::ids::AccountId) -> usize {
    let history = fixture.engine.history(&StreamId::Account(account), Version::NONE, 1_000).await.unwrap();
    history.iter().filter(|recorded| matches!(recorded.event, Event::CodeIssued(_))).count()
}

#[tokio::test]
async fn a_forgotten_password_is_reset_by_the_mailed_code() {
    let fixture = Fixture::start().await;
    let account = fixture.confirmed_account("ada@example.com", PASSWORD).await;
    let asked = asked(&fixture, "ada@example.com", "key").await;
    assert_ne!(asked.0, account.0);
    let code = mailed_code(&fixture, account).await;
    assert_eq!(tried(&fixture, &ticket(&asked), code.expose()).await, Ok(Outcome::PasswordSet { session: None }));
    signed_in(&fixture, "ada@example.com", NEW).await;
}

#[tokio::test]
async fn strangers_who_ask_use_nothing_up_and_their_mail_serves_its_owner() {
    let fixture = Fixture::start().await;
    let account = fixture.confirmed_account("ada@example.com", PASSWORD).await;
    let before = mails(&fixture, account).await;
    for n in 0..40 {
        let stranger = ticket(&asked(&fixture, "ada@example.com", &format!("stranger {n}")).await);
        let expected = Refusal::WrongCode { fail_count: 1, locked_until: None };
        if n < 20 {
            assert_eq!(tried(&fixture, &stranger, NOT_IT).await, Err(expected), "{n}");
        }
        fixture.clock.advance(Seconds(10));
    }
    assert_eq!(mails(&fixture, account).await, before + 1, "one in ten minutes");
    // The owner asks last of all, is mailed nothing, and reads the mail that a stranger asked for.
    let owner = ticket(&asked(&fixture, "ada@example.com", "owner").await);
    assert_eq!(mails(&fixture, account).await, before + 1);
    let code = mailed_code(&fixture, account).await;
    assert_eq!(tried(&fixture, &owner, code.expose()).await, Ok(Outcome::PasswordSet { session: None }));
    signed_in(&fixture, "ada@example.com", NEW).await;
    assert!(tried(&fixture, &owner, code.expose()).await.is_err(), "a code is accepted once");
}

#[tokio::test]
async fn an_unknown_address_is_answered_like_a_known_one() {
    let fixture = Fixture::start().await;
    fixture.confirmed_account("ada@example.com", PASSWORD).await;
    let known = asked(&fixture, "Ada@example.com", "one").await;
    let unknown = asked(&fixture, "Eve@example.com", "two").await;
    let shape = |started: &StartedVerification| {
        let mut started = started.clone();
        started.verification.id = domain::ids::VerificationId(Uuid::nil());
        started.secret = Secret::new([0; 32]);
        format!("{started:?}").replace("\"A•••", "\"•••").replace("\"E•••", "\"•••")
    };
    assert_eq!(shape(&known.1), shape(&unknown.1));
    assert!(known.1.sent.as_ref().unwrap().sent_to.starts_with('A'));
    // The same address names the same account every time, the same request has the same answer, also of another
    // process and of one that begins later.
    let beside = fixture.beside().await;
    for (address, key, first) in [("Ada@example.com", "one", &known), ("Eve@example.com", "two", &unknown)] {
        for process in [&fixture, &beside] {
            let again = asked(process, address, key).await;
            assert_eq!((again.0, &again.1, again.2), (first.0, &first.1, true));
            let other = asked(process, address, &format!("{key} more {}", process.uuid())).await;
            assert_eq!(other.0, first.0);
            assert_ne!(other.1.verification.id, first.1.verification.id);
        }
    }
    for (address, key) in [("ada@example.com", "one"), ("eve@example.com", "two")] {
        for process in [&fixture, &beside] {
            let request = process.request_with_key(Caller::Anonymous, key, "another body");
            let result = process.engine.request_password_reset(&email(address), &request).await;
            assert!(matches!(result, Err(ExecuteError::IdempotencyConflict)), "{address}");
        }
    }
}

#[tokio::test]
async fn tries_on_an_unknown_address_count_and_end_like_those_on_a_known_one() {
    let fixture = Fixture::start().await;
    fixture.confirmed_account("ada@example.com", PASSWORD).await;
    let beside = fixture.beside().await;
    let known = ticket(&asked(&fixture, "ada@example.com", "one").await);
    let unknown = ticket(&asked(&fixture, "eve@example.com", "two").await);
    let head = fixture.store.last_position().await.unwrap();
    let mut answers = Vec::new();
    for ticket in [&known, &unknown] {
        let mut told = vec![tried(&fixture, ticket, "123456").await];
        for n in 0..6 {
            let process = if n % 2 == 0 { &fixture } else { &beside };
            told.push(tried(process, ticket, NOT_IT).await);
        }
        let foreign = ResetTicket { secret: Secret::new([1; 32]), ..ticket.clone() };
        told.push(tried(&fixture, &foreign, NOT_IT).await);
        answers.push(told);
    }
    assert_eq!(answers[0], answers[1]);
    assert!(matches!(answers[0][0], Err(Refusal::Invalid { .. })));
    for (n, answer) in (1..=5).zip(&answers[1][1..]) {
        assert_eq!(*answer, Err(Refusal::WrongCode { fail_count: n, locked_until: None }));
    }
    assert_eq!(answers[1][6], Err(Refusal::VerificationExpired));
    assert_eq!(answers[1][7], Err(Refusal::Unauthenticated));
    assert_eq!(fixture.store.last_position().await.unwrap(), head, "guesses grow no history");
}

#[tokio::test]
async fn wrong_codes_are_limited_per_source_over_all_tickets() {
    let fixture = Fixture::start().await;
    fixture.confirmed_account("ada@example.com", PASSWORD).await;
    let mut judged = 0;
    for n in 0..10 {
        let ticket = ticket(&asked(&fixture, "ada@example.com", &format!("{n}")).await);
        for _ in 0..4 {
            match tried(&fixture, &ticket, NOT_IT).await {
                Err(Refusal::WrongCode { .. }) => judged += 1,
                Err(Refusal::RateLimited { .. }) => {}
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!(judged, 30);
}

#[tokio::test]
async fn a_ticket_ends_alike_for_both() {
    let fixture = Fixture::start().await;
    fixture.confirmed_account("ada@example.com", PASSWORD).await;
    let known = ticket(&asked(&fixture, "ada@example.com", "one").await);
    let unknown = ticket(&asked(&fixture, "eve@example.com", "two").await);
    fixture.clock.advance(Seconds::minutes(14));
    for ticket in [&known, &unknown] {
        assert!(matches!(tried(&fixture, ticket, NOT_IT).await, Err(Refusal::WrongCode { fail_count: 1, .. })));
    }
    for later in [Seconds::minutes(1), Seconds::days(3)] {
        fixture.clock.advance(later);
        for ticket in [&known, &unknown] {
            assert_eq!(tried(&fixture, ticket, NOT_IT).await, Err(Refusal::VerificationExpired));
        }
    }
}

#[tokio::test]
async fn asking_is_limited_per_source_whatever_the_address() {
    let fixture = Fixture::start().await;
    fixture.confirmed_account("ada@example.com", PASSWORD).await;
    for address in ["ada@example.com", "eve@example.com"] {
        fixture.clock.advance(Seconds::hours(2));
        for n in 0..101 {
            let request = fixture.request(Caller::Anonymous);
            let (_, executed) = fixture.engine.request_password_reset(&email(address), &request).await.unwrap();
            let is_limited = matches!(executed.outcome, Err(Refusal::RateLimited { .. }));
            assert_eq!(is_limited, n == 100, "{address} {n}");
        }
    }
}

#[tokio::test]
async fn a_password_that_only_its_address_makes_weak_tells_nobody_that_there_is_an_account() {
    let fixture = Fixture::start().await;
    fixture.confirmed_account("xqzvkjwp@example.com", PASSWORD).await;
    let known = ticket(&asked(&fixture, "xqzvkjwp@example.com", "one").await);
    let unknown = ticket(&asked(&fixture, "pwjkvzqx@example.com", "two").await);
    for (ticket, new) in [(&known, "xqzvkjwp"), (&unknown, "pwjkvzqx")] {
        for (code, is_wrong) in [("no code at all", false), (NOT_IT, true)] {
            let attempt = ResetAttempt {
                code: Some(Secret::new(code.to_owned())),
                second_factor: None,
                new: Secret::new(new.to_owned()),
            };
            let request = fixture.request(Caller::Anonymous);
            let refusal = fixture.engine.reset_password(ticket, attempt, &request).await.unwrap().outcome.unwrap_err();
            match refusal {
                Refusal::WrongCode { .. } => assert!(is_wrong),
                Refusal::Invalid { field, .. } => assert!(!is_wrong && field == "code", "{field}"),
                other => panic!("{other:?}"),
            }
        }
    }
}

#[tokio::test]
async fn an_address_that_is_not_confirmed_is_answered_like_an_unknown_one() {
    let fixture = Fixture::start().await;
    super::accounts::registered(&fixture, "ada@example.com").await;
    for (address, key) in [("ada@example.com", "one"), ("eve@example.com", "two")] {
        let ticket = ticket(&asked(&fixture, address, key).await);
        assert!(EmailAddress::parse(address).is_ok());
        let wrong = Refusal::WrongCode { fail_count: 1, locked_until: None };
        assert_eq!(tried(&fixture, &ticket, NOT_IT).await, Err(wrong), "{address}");
    }
}
