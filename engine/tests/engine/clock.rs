//! A clock that was ahead and is set back: what has to pass passes in full and no longer, and right codes are right.

use domain::{
    commands::Command,
    events::Event,
    ids::{AccountId, StreamId},
    outcome::{Outcome, Refusal},
    time::Seconds,
    values::Caller,
};
use engine::testing::Fixture;
use schemas::envelope::Version;

use super::accounts::{mailed_code, registered};

const HOUR: Seconds = Seconds::hours(1);

fn set_back(fixture: &Fixture) {
    fixture.clock.set(fixture.engine.now().minus(HOUR));
}

async fn asked(fixture: &Fixture, account: AccountId, command: Command) -> Result<Outcome, Refusal> {
    let request = fixture.request(Caller::Anonymous);
    fixture.engine.execute(account, command, &request).await.unwrap().outcome
}

async fn mails(fixture: &Fixture, account: AccountId) -> usize {
    let history = fixture.engine.history(&StreamId::Account(account), Version::NONE, 10).await.unwrap();
    assert!(history.is_sorted_by_key(|recorded| recorded.metadata.at), "no history runs backwards");
    history.iter().filter(|recorded| matches!(recorded.event, Event::CodeIssued(_))).count()
}

#[tokio::test]
async fn a_code_is_sent_again_after_the_wait_and_no_sooner() {
    let fixture = Fixture::start().await;
    let account = registered(&fixture, "ada@example.com").await;
    set_back(&fixture);
    asked(&fixture, account, Command::ResendEmailCode).await.unwrap();
    fixture.clock.advance(Seconds(599));
    asked(&fixture, account, Command::ResendEmailCode).await.unwrap();
    assert_eq!(mails(&fixture, account).await, 1, "no sooner than ever");
    fixture.clock.advance(Seconds(1));
    asked(&fixture, account, Command::ResendEmailCode).await.unwrap();
    assert_eq!(mails(&fixture, account).await, 2);
}

#[tokio::test]
async fn a_process_that_looks_later_waits_no_less_and_no_longer_than_the_wait() {
    let fixture = Fixture::start().await;
    let account = registered(&fixture, "ada@example.com").await;
    set_back(&fixture);
    let other = fixture.beside().await;
    asked(&other, account, Command::ResendEmailCode).await.unwrap();
    assert_eq!(mails(&fixture, account).await, 1);
    fixture.clock.advance(Seconds::minutes(10));
    asked(&other, account, Command::ResendEmailCode).await.unwrap();
    assert_eq!(mails(&fixture, account).await, 2);
}

#[tokio::test]
async fn a_code_lives_no_longer_than_ever() {
    let fixture = Fixture::start().await;
    let account = registered(&fixture, "ada@example.com").await;
    let code = mailed_code(&fixture, account).await;
    set_back(&fixture);
    fixture.clock.advance(Seconds::minutes(30));
    assert_eq!(asked(&fixture, account, Command::VerifyEmail { code }).await, Err(Refusal::CodeExpired));
}

#[tokio::test]
async fn an_address_is_confirmed_with_the_right_code() {
    let fixture = Fixture::start().await;
    let account = registered(&fixture, "ada@example.com").await;
    let code = mailed_code(&fixture, account).await;
    set_back(&fixture);
    asked(&fixture, account, Command::VerifyEmail { code }).await.unwrap();
}
