//! Many accounts of another system at once: the same as one by one.

use std::collections::BTreeSet;

use domain::{
    claim::{ClaimCommand, EmailClaim},
    commands::{AccountImport, Command},
    events::Event,
    ids::{AccountId, StreamId},
    outcome::{Outcome, Refusal},
    personal::Personal::Known,
    values::Caller,
};
use engine::{Executed, testing::Fixture};
use event_store::port::{EventLog, KeyStore};
use schemas::envelope::{Position, Version};

use super::accounts::{PASSWORD, email};

fn import(account_id: AccountId, address: &str) -> AccountImport {
    AccountImport {
        account_id,
        email: email(address),
        email_verified: true,
        password: None,
        methods: Vec::new(),
        recovery_codes: Vec::new(),
    }
}

fn several(fixture: &Fixture, count: usize) -> Vec<AccountImport> {
    (0..count).map(|n| import(AccountId(fixture.uuid()), &format!("person-{n}@example.com"))).collect()
}

async fn bring(fixture: &Fixture, imports: &[AccountImport]) -> Vec<Executed> {
    let asked = imports.iter().map(|import| (import.clone(), fixture.request(Caller::Operator)));
    fixture.engine.import(asked.collect()).await.unwrap()
}

fn is_conflict(executed: &Executed) -> bool {
    executed.outcome == Err(Refusal::Conflict)
}

/// The events of all streams, with the streams' names.
async fn log(fixture: &Fixture) -> Vec<(String, String)> {
    let events = fixture.store.read_all(Position::START, 10_000).await.unwrap();
    events.iter().map(|event| (event.stream.to_string(), event.event_type.to_string())).collect()
}

fn count(log: &[(String, String)], event: &str) -> usize {
    log.iter().filter(|(_, event_type)| event_type == event).count()
}

#[tokio::test]
async fn many_at_once_are_imported_as_one_by_one() {
    let fixture = Fixture::start().await;
    let imports = several(&fixture, 30);
    for (import, executed) in imports.iter().zip(bring(&fixture, &imports).await) {
        let account_id = import.account_id;
        assert_eq!(executed.outcome, Ok(Outcome::Registered { account_id, email_verified: true }));
        assert_eq!(fixture.engine.account_of(&import.email).await.unwrap(), Some(account_id));
        let loaded = fixture.engine.load(account_id).await.unwrap();
        assert_eq!((loaded.version, loaded.position), (Version(1), executed.position));
        assert_eq!(loaded.state.email.as_ref().unwrap().known(), Some(&import.email));
    }
    let mut numbers = BTreeSet::new();
    for import in &imports {
        let stream = StreamId::Account(import.account_id);
        let history = fixture.engine.history(&stream, Version::NONE, 10).await.unwrap();
        let Event::AccountImported(imported) = &history[0].event else { panic!("another event") };
        numbers.insert(imported.number.unwrap().0);
        assert_eq!(history[0].metadata.ip, fixture.request(Caller::Operator).origin.ip.map(Known));
    }
    assert_eq!(numbers, (1..=30).collect());
    let log = log(&fixture).await;
    assert_eq!((count(&log, "EmailClaimed"), count(&log, "AccountImported")), (30, 30));
    for import in &imports {
        let account = StreamId::Account(import.account_id).to_string();
        let place = log.iter().position(|(stream, _)| *stream == account).unwrap();
        assert!(count(&log[..place], "EmailClaimed") > count(&log[..place], "AccountImported"), "claimed first");
    }
}

#[tokio::test]
async fn what_is_there_already_conflicts_and_leaves_its_neighbours_alone() {
    let fixture = Fixture::start().await;
    let mut imports = several(&fixture, 10);
    bring(&fixture, &imports).await;
    let before = log(&fixture).await.len();
    imports.insert(4, import(AccountId(fixture.uuid()), "new@example.com"));
    let executed = bring(&fixture, &imports).await;
    let accepted: Vec<usize> = (0..).zip(&executed).filter(|(_, one)| one.outcome.is_ok()).map(|(n, _)| n).collect();
    assert_eq!(accepted, [4]);
    assert!(executed.iter().filter(|one| one.outcome.is_err()).all(is_conflict));
    let appended: Vec<String> = log(&fixture).await.drain(before..).map(|(_, event)| event).collect();
    assert!(appended.iter().filter(|event| *event != "NumbersReserved").eq(["EmailClaimed", "AccountImported"]));
}

#[tokio::test]
async fn a_row_against_which_a_rule_speaks_leaves_no_trace() {
    let fixture = Fixture::start().await;
    fixture.confirmed_account("held@example.com", PASSWORD).await;
    let before = log(&fixture).await.len();
    let held = import(AccountId(fixture.uuid()), "held@example.com");
    let unconfirmed = AccountImport { email_verified: false, ..import(AccountId(fixture.uuid()), "new@example.com") };
    let executed = bring(&fixture, &[held.clone(), unconfirmed.clone()]).await;
    assert!(is_conflict(&executed[0]), "another account holds the address");
    assert!(matches!(executed[1].outcome, Err(Refusal::Invalid { .. })));
    let asked = (import(AccountId(fixture.uuid()), "ada@example.com"), fixture.request(Caller::Anonymous));
    let executed = fixture.engine.import(vec![asked]).await.unwrap();
    assert_eq!(executed[0].outcome, Err(Refusal::Forbidden));
    assert_eq!(log(&fixture).await.len(), before);
    for import in [held, unconfirmed] {
        assert_eq!(fixture.store.get(&StreamId::Account(import.account_id)).await.unwrap(), None, "no key");
    }
}

#[tokio::test]
async fn of_two_with_one_address_one_is_imported() {
    let fixture = Fixture::start().await;
    let (one, two) = (AccountId(fixture.uuid()), AccountId(fixture.uuid()));
    let imports = [one, two, one].map(|account| import(account, "ada@example.com"));
    let executed = bring(&fixture, &imports).await;
    assert_eq!(executed.iter().filter(|executed| executed.outcome.is_ok()).count(), 1);
    assert_eq!(executed.iter().filter(|executed| is_conflict(executed)).count(), 2);
    assert_eq!(count(&log(&fixture).await, "AccountImported"), 1);
}

#[tokio::test]
async fn two_processes_that_import_the_same_import_each_account_once() {
    let one = Fixture::start().await;
    let two = one.beside().await;
    let imports = several(&one, 200);
    let mut backwards = imports.clone();
    backwards.reverse();
    let (of_one, mut of_two) = tokio::join!(bring(&one, &imports), bring(&two, &backwards));
    of_two.reverse();
    for (one, two) in of_one.iter().zip(&of_two) {
        assert!(one.outcome.is_ok() != two.outcome.is_ok(), "{one:?} {two:?}");
        assert!(is_conflict(one) || is_conflict(two));
    }
    let log = log(&one).await;
    assert_eq!(count(&log, "AccountImported"), 200);
    let streams: BTreeSet<&String> = log.iter().map(|(stream, _)| stream).collect();
    assert_eq!(streams.len(), 401, "an account, an address each; and the numbers");
}

#[tokio::test]
async fn what_was_cut_off_anywhere_is_completed() {
    let fixture = Fixture::start().await;
    let imports = several(&fixture, 4);
    // The first has nothing, the second its account's key, the third both, and the fourth claimed its address.
    for import in &imports[1..] {
        fixture.keys.ensure(&StreamId::Account(import.account_id)).await.unwrap();
    }
    let address = |import: &AccountImport| {
        let claim = ClaimCommand::Claim { account_id: import.account_id, holder_completed: false };
        let hash = fixture.keys.ring().lookup_hash("email", &import.email.canonical());
        (StreamId::Email(domain::ids::AddressHash(domain::secret::to_hex(&hash))), claim)
    };
    let (third, _) = address(&imports[2]);
    fixture.keys.ensure(&third).await.unwrap();
    let (fourth, claim) = address(&imports[3]);
    let request = fixture.request(Caller::Operator);
    fixture.engine.execute_on::<EmailClaim>(&fourth, &claim, &request).await.unwrap().outcome.unwrap();
    for executed in bring(&fixture, &imports).await {
        executed.outcome.unwrap();
    }
    for import in &imports {
        assert_eq!(fixture.engine.account_of(&import.email).await.unwrap(), Some(import.account_id));
    }
}

#[tokio::test]
async fn who_was_erased_is_not_imported_again_and_the_address_is_free() {
    let fixture = Fixture::start().await;
    let first = import(AccountId(fixture.uuid()), "ada@example.com");
    bring(&fixture, std::slice::from_ref(&first)).await;
    let erase = Command::EraseAccount { verification_id: None };
    let request = fixture.request(Caller::Operator);
    fixture.engine.execute(first.account_id, erase, &request).await.unwrap().outcome.unwrap();
    assert!(is_conflict(&bring(&fixture, std::slice::from_ref(&first)).await[0]));
    let second = import(AccountId(fixture.uuid()), "ada@example.com");
    assert!(bring(&fixture, std::slice::from_ref(&second)).await[0].outcome.is_ok());
    assert_eq!(fixture.engine.account_of(&second.email).await.unwrap(), Some(second.account_id));
}
