use domain::{
    commands::Command,
    ids::{AccountId, StreamId},
    state::Account,
    time::Seconds,
    values::{Caller, Purpose},
};
use engine::{
    CacheOptions,
    testing::{Fixture, FixtureOptions},
};
use event_store::{
    port::{EventLog, SnapshotStore},
    testing::eventually,
};
use schemas::envelope::Version;

use super::{
    accounts::signed_in,
    tally::{Ask, Tally, stream},
};

#[tokio::test]
async fn what_another_process_appends_is_seen_within_a_second() {
    let here = Fixture::start().await;
    let there = here.beside().await;
    let stream = stream(&here);
    let request = there.request(Caller::Worker);
    for count in 1..=5 {
        there.engine.execute_on::<Tally>(&stream, &Ask::Count, &request).await.unwrap().outcome.unwrap();
        let begun = tokio::time::Instant::now();
        let seen = eventually(|| async {
            let loaded = here.engine.load_stream::<Tally>(&stream).await.unwrap();
            (loaded.state.count == count).then_some(begun.elapsed())
        });
        assert!(seen.await.unwrap() < std::time::Duration::from_secs(1));
    }
}

/// Many events of all sorts: verifications, wrong codes, locks.
async fn busy_account(fixture: &Fixture) -> AccountId {
    let account = fixture.confirmed_account("ada@example.com", "correct horse battery").await;
    let session = signed_in(fixture, "ada@example.com", "correct horse battery").await;
    let request = fixture.request(Caller::Session(session));
    for round in 0..12 {
        let password = Some(domain::secret::Secret::new("correct horse battery".to_owned()));
        let start = Command::StartVerification { purpose: Purpose::AddMethod, action: None, target: None, password };
        fixture.engine.execute(account, start, &request).await.unwrap().outcome.ok();
        fixture.engine.execute(account, Command::StartTotpEnrollment, &request).await.unwrap().outcome.ok();
        let (id, _) = fixture
            .engine
            .load(account)
            .await
            .unwrap()
            .state
            .verifications
            .iter()
            .next_back()
            .map(|(id, verification)| (*id, verification.clone()))
            .unwrap();
        let code = domain::secret::Secret::new(format!("{round:06}"));
        let submit = Command::SubmitCode { verification_id: id, kind: None, method_id: None, code };
        fixture.engine.execute(account, submit, &request).await.unwrap().outcome.unwrap_err();
        fixture.clock.advance(Seconds::minutes(17));
    }
    account
}

async fn replayed(fixture: &Fixture, account: AccountId) -> (Account, Version) {
    fixture.engine.account_as_of(account, fixture.engine.now()).await.unwrap().unwrap()
}

#[tokio::test]
async fn from_a_snapshot_an_account_is_what_a_full_replay_makes_of_it() {
    let cache = CacheOptions { states: 0, snapshot_every: 5 };
    let fixture = Fixture::with(FixtureOptions { cache, ..FixtureOptions::default() }).await;
    let account = busy_account(&fixture).await;
    let stream = StreamId::Account(account);
    let head = fixture.store.head(&stream).await.unwrap();
    assert!(head > Version(20), "{head:?}");
    let snapshot = eventually(|| async {
        fixture.store.load(&stream).await.unwrap().filter(|snapshot| snapshot.version.0 + 5 > head.0)
    });
    let snapshot = snapshot.await.unwrap();
    let loaded = fixture.engine.load(account).await.unwrap();
    assert_eq!(loaded.version, head);
    assert_eq!((*loaded.state).clone(), replayed(&fixture, account).await.0);

    // Damaged, it is as if it were not there.
    let broken = event_store::port::Snapshot {
        version: Version(snapshot.version.0 + 1),
        bytes: snapshot.bytes.iter().map(|byte| byte ^ 1).collect(),
        ..snapshot
    };
    fixture.store.save(&stream, broken).await.unwrap();
    let loaded = fixture.engine.load(account).await.unwrap();
    assert_eq!((*loaded.state).clone(), replayed(&fixture, account).await.0);
}

#[tokio::test]
async fn what_is_kept_in_memory_is_what_a_full_replay_makes() {
    let fixture = Fixture::start().await;
    let account = busy_account(&fixture).await;
    let loaded = fixture.engine.load(account).await.unwrap();
    let (state, version) = replayed(&fixture, account).await;
    assert_eq!(loaded.version, version);
    assert_eq!(*loaded.state, state);
    let cold = fixture.beside().await.engine.load(account).await.unwrap();
    assert_eq!(*cold.state, state);
}

#[tokio::test]
async fn an_account_is_told_as_of_any_moment() {
    let fixture = Fixture::start().await;
    let before = fixture.engine.now();
    fixture.clock.advance(Seconds(10));
    let account = fixture.confirmed_account("ada@example.com", "correct horse battery").await;
    let registered = fixture.engine.now();
    fixture.clock.advance(Seconds(10));
    signed_in(&fixture, "ada@example.com", "correct horse battery").await;
    assert!(fixture.engine.account_as_of(account, before).await.unwrap().is_none());
    let (then, _) = fixture.engine.account_as_of(account, registered).await.unwrap().unwrap();
    assert!(then.sessions.is_empty());
    let (now, _) = fixture.engine.account_as_of(account, fixture.engine.now()).await.unwrap().unwrap();
    assert_eq!(now.sessions.len(), 1);
}
