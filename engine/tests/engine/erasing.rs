use domain::{
    commands::Command,
    events::Event,
    ids::{AccountId, StreamId},
    outcome::Refusal,
    personal::Personal,
    state::Phase,
    values::Caller,
};
use engine::testing::Fixture;
use event_store::{
    keys::KeyState,
    port::{EventLog, KeyStore, SnapshotStore, WrappedKey},
    testing::eventually,
};
use schemas::envelope::Version;

use super::accounts::{PASSWORD, email, mailed_code, registered, signed_in, with_password};

async fn erase(fixture: &Fixture, account: AccountId) {
    let request = fixture.request(Caller::Operator);
    let erase = Command::EraseAccount { verification_id: None };
    fixture.engine.execute(account, erase, &request).await.unwrap().outcome.unwrap();
}

#[tokio::test]
async fn an_erased_account_keeps_its_history_and_loses_what_was_personal() {
    let fixture = Fixture::start().await;
    let account = fixture.confirmed_account("ada@example.com", PASSWORD).await;
    let stream = StreamId::Account(account);
    let versions = fixture.store.head(&stream).await.unwrap();
    erase(&fixture, account).await;

    assert_eq!(fixture.store.get(&stream).await.unwrap(), Some(WrappedKey::Erased));
    assert_eq!(SnapshotStore::load(&*fixture.store, &stream).await.unwrap(), None);
    let history = fixture.engine.history(&stream, Version::NONE, 100).await.unwrap();
    assert_eq!(history.len() as u64, versions.0 + 1);
    let Event::AccountRegistered(first) = &history[0].event else { panic!("another event") };
    assert_eq!(first.email, Personal::Erased);
    assert_eq!(fixture.engine.load(account).await.unwrap().state.phase, Phase::Erased);
    assert_eq!(fixture.engine.unfinished_erasures().await.unwrap(), []);
    let request = fixture.request(Caller::Anonymous);
    let (_, executed) = fixture.engine.sign_in(with_password("ada@example.com", PASSWORD), &request).await.unwrap();
    assert_eq!(executed.outcome, Err(Refusal::WrongCredentials));
}

#[tokio::test]
async fn an_erased_address_can_be_used_again_and_again() {
    let fixture = Fixture::start().await;
    for _ in 0..3 {
        let account = registered(&fixture, "ada@example.com").await;
        let code = mailed_code(&fixture, account).await;
        let request = fixture.request(Caller::Anonymous);
        let verify = Command::VerifyEmail { code };
        fixture.engine.execute(account, verify, &request).await.unwrap().outcome.unwrap();
        assert_eq!(fixture.engine.account_of(&email("ada@example.com")).await.unwrap(), Some(account));
        signed_in(&fixture, "ada@example.com", PASSWORD).await;
        erase(&fixture, account).await;
        assert_eq!(fixture.engine.account_of(&email("ada@example.com")).await.unwrap(), None);
    }
}

#[tokio::test]
async fn an_erasure_that_was_interrupted_is_shown_and_can_be_finished() {
    let fixture = Fixture::start().await;
    let account = fixture.confirmed_account("ada@example.com", PASSWORD).await;
    // The event alone, as after a crash: appended past the engine's follow-up.
    let request = fixture.request(Caller::Operator);
    let command = Command::EraseAccount { verification_id: None };
    let stream = StreamId::Account(account);
    let executed = fixture.engine.execute_on::<domain::state::Account>(&stream, &command, &request).await.unwrap();
    executed.outcome.unwrap();
    let unfinished = fixture.engine.unfinished_erasures().await.unwrap();
    assert_eq!(unfinished.iter().map(|erasure| erasure.account_id).collect::<Vec<_>>(), [account]);
    fixture.engine.erase_after(account).await.unwrap();
    fixture.engine.erase_after(account).await.unwrap();
    assert_eq!(fixture.engine.unfinished_erasures().await.unwrap(), []);
    assert_eq!(fixture.engine.account_of(&email("ada@example.com")).await.unwrap(), None);
}

#[tokio::test]
async fn an_account_that_is_not_erased_keeps_its_key() {
    let fixture = Fixture::start().await;
    let account = fixture.confirmed_account("ada@example.com", PASSWORD).await;
    fixture.engine.erase_after(account).await.unwrap();
    assert!(fixture.keys.key(&StreamId::Account(account)).await.unwrap().is_some());
    signed_in(&fixture, "ada@example.com", PASSWORD).await;
}

#[tokio::test]
async fn every_process_forgets_the_key_of_an_erased_account() {
    let here = Fixture::start().await;
    let there = here.beside().await;
    let account = here.confirmed_account("ada@example.com", PASSWORD).await;
    let stream = StreamId::Account(account);
    assert!(there.keys.key(&stream).await.unwrap().is_some());
    there.engine.load(account).await.unwrap();
    erase(&here, account).await;
    let forgotten = eventually(|| async {
        let is_erased = there.engine.load(account).await.unwrap().state.phase == Phase::Erased;
        let key = there.keys.state(&stream).await.unwrap();
        (is_erased && matches!(key, KeyState::Erased)).then_some(())
    });
    assert!(forgotten.await.is_some());
}

#[tokio::test]
async fn an_account_whose_key_is_gone_and_was_not_erased_is_unavailable() {
    let fixture = Fixture::start().await;
    let account = fixture.confirmed_account("ada@example.com", PASSWORD).await;
    let other = fixture.confirmed_account("bob@example.com", PASSWORD).await;
    let stream = StreamId::Account(account);
    fixture.keys.erase(&stream).await.unwrap();
    // A process that knows nothing of it yet: whatever the values decided stays undecided.
    let beside = fixture.beside().await;
    let gone = |error| assert!(matches!(error, engine::ExecuteError::Unavailable(_)), "{error:?}");
    gone(beside.engine.load(account).await.unwrap_err());
    gone(beside.engine.history(&stream, Version::NONE, 10).await.unwrap_err());
    gone(beside.engine.account_as_of(account, beside.engine.now()).await.unwrap_err());
    let request = beside.request(Caller::Anonymous);
    gone(beside.engine.sign_in(with_password("ada@example.com", PASSWORD), &request).await.unwrap_err());
    // Its neighbour is none the worse, and one that was erased reads as erased.
    assert!(beside.engine.load(other).await.is_ok());
    let erase = Command::EraseAccount { verification_id: None };
    let request = beside.request(Caller::Operator);
    beside.engine.execute(other, erase, &request).await.unwrap().outcome.unwrap();
    assert_eq!(beside.engine.load(other).await.unwrap().state.phase, Phase::Erased);
    assert!(beside.engine.history(&StreamId::Account(other), Version::NONE, 10).await.is_ok());
}
