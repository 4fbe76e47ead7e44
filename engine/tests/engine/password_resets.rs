use domain::{
    outcome::{Outcome, Refusal, StartedVerification},
    secret::Secret,
    time::Seconds,
    values::Caller,
};
use engine::{ExecuteError, ResetAttempt, ResetTicket, testing::Fixture};
use event_store::port::EventLog;
use schemas::envelope::Position;
use uuid::Uuid;

use super::accounts::{PASSWORD, email, mailed_code, signed_in};

const NEW: &str = "a wholly other phrase";

async fn asked(fixture: &Fixture, address: &str, key: &str) -> (Uuid, StartedVerification, bool) {
    let request = fixture.request_with_key(Caller::Anonymous, key, "body");
    let (handle, executed) = fixture.engine.request_password_reset(&email(address), &request).await.unwrap();
    assert_eq!(executed.position, Position::START);
    let Outcome::VerificationStarted(started) = executed.outcome.unwrap() else { panic!("not started") };
    (handle, started, executed.replayed)
}

fn ticket((handle, started, _): &(Uuid, StartedVerification, bool)) -> ResetTicket {
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
    // The same address names the same account every time, the same request has the same answer.
    for (address, key, first) in [("Ada@example.com", "one", &known), ("Eve@example.com", "two", &unknown)] {
        let again = asked(&fixture, address, key).await;
        assert_eq!((again.0, &again.1, again.2), (first.0, &first.1, true));
        let other = asked(&fixture, address, &format!("{key} more")).await;
        assert_eq!(other.0, first.0);
        assert_ne!(other.1.verification.id, first.1.verification.id);
    }
    let request = fixture.request_with_key(Caller::Anonymous, "two", "another body");
    let result = fixture.engine.request_password_reset(&email("eve@example.com"), &request).await;
    assert!(matches!(result, Err(ExecuteError::IdempotencyConflict)));
}

#[tokio::test]
async fn tries_on_an_unknown_address_count_and_end_like_those_on_a_known_one() {
    let fixture = Fixture::start().await;
    let account = fixture.confirmed_account("ada@example.com", PASSWORD).await;
    let known = ticket(&asked(&fixture, "ada@example.com", "one").await);
    let unknown = ticket(&asked(&fixture, "eve@example.com", "two").await);
    let right = mailed_code(&fixture, account).await;
    let wrong = if right.expose() == "000000" { "111111" } else { "000000" };
    let head = fixture.store.last_position().await.unwrap();
    let mut answers = Vec::new();
    for ticket in [&known, &unknown] {
        let mut told = vec![tried(&fixture, ticket, "no digits").await];
        for _ in 0..6 {
            told.push(tried(&fixture, ticket, wrong).await);
        }
        let foreign = ResetTicket { secret: Secret::new([1; 32]), ..ticket.clone() };
        told.push(tried(&fixture, &foreign, wrong).await);
        answers.push(told);
    }
    assert_eq!(answers[0], answers[1]);
    assert!(matches!(answers[0][0], Err(Refusal::Invalid { .. })));
    for (n, answer) in (1..=5).zip(&answers[1][1..]) {
        assert_eq!(*answer, Err(Refusal::WrongCode { fail_count: n, locked_until: None }));
    }
    assert_eq!(answers[1][6], Err(Refusal::VerificationExpired));
    assert_eq!(answers[1][7], Err(Refusal::Unauthenticated));
    // Of the known one's tries there is a history; of the other's there is none.
    assert_eq!(fixture.store.last_position().await.unwrap().0, head.0 + 5);
}

#[tokio::test]
async fn a_ticket_ends_alike_for_both() {
    let fixture = Fixture::start().await;
    fixture.confirmed_account("ada@example.com", PASSWORD).await;
    let known = ticket(&asked(&fixture, "ada@example.com", "one").await);
    let unknown = ticket(&asked(&fixture, "eve@example.com", "two").await);
    fixture.clock.advance(Seconds::minutes(11));
    for ticket in [&known, &unknown] {
        assert_eq!(tried(&fixture, ticket, "000000").await, Err(Refusal::CodeExpired));
    }
    for later in [Seconds::minutes(4), Seconds::days(3)] {
        fixture.clock.advance(later);
        for ticket in [&known, &unknown] {
            assert_eq!(tried(&fixture, ticket, "000000").await, Err(Refusal::VerificationExpired));
        }
    }
}

#[tokio::test]
async fn mails_for_an_unknown_address_are_limited_like_those_for_a_known_one() {
    let fixture = Fixture::start().await;
    fixture.confirmed_account("ada@example.com", PASSWORD).await;
    fixture.clock.advance(Seconds::hours(2));
    for address in ["ada@example.com", "eve@example.com"] {
        for n in 0..6 {
            let request = fixture.request(Caller::Anonymous);
            let (_, executed) = fixture.engine.request_password_reset(&email(address), &request).await.unwrap();
            let is_limited = matches!(executed.outcome, Err(Refusal::RateLimited { .. }));
            assert_eq!(is_limited, n == 5, "{address} {n}");
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
        let attempt = ResetAttempt {
            code: Some(Secret::new("no digits".to_owned())),
            second_factor: None,
            new: Secret::new(new.to_owned()),
        };
        let request = fixture.request(Caller::Anonymous);
        let refusal = fixture.engine.reset_password(ticket, attempt, &request).await.unwrap().outcome.unwrap_err();
        assert!(matches!(refusal, Refusal::Invalid { ref field, .. } if field == "code"), "{refusal:?}");
    }
}
