//! The numbers of accounts.

use std::collections::BTreeSet;

use domain::{events::Event, ids::StreamId, values::Caller};
use engine::testing::Fixture;
use schemas::envelope::Version;

use super::accounts::registered;

async fn number(fixture: &Fixture, address: &str) -> u32 {
    let account = registered(fixture, address).await;
    fixture.engine.load(account).await.unwrap().state.number.unwrap().0
}

#[tokio::test]
async fn accounts_are_numbered_from_one_in_order() {
    let fixture = Fixture::start().await;
    for expected in 1..=20 {
        assert_eq!(number(&fixture, &format!("person-{expected}@example.com")).await, expected);
    }
    let history = fixture.engine.history(&StreamId::AccountNumbers, Version::NONE, 10).await.unwrap();
    let blocks: Vec<u32> = history
        .iter()
        .map(|recorded| match &recorded.event {
            Event::NumbersReserved(reserved) => reserved.count,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(blocks, [8, 16], "few are left behind, and many are set aside at once");
}

#[tokio::test]
async fn two_processes_never_give_the_same_number() {
    let one = Fixture::start().await;
    let two = one.beside().await;
    let mut numbers = BTreeSet::new();
    for n in 0..15 {
        let (a, b) = (format!("a{n}@example.com"), format!("b{n}@example.com"));
        let (a, b) = tokio::join!(number(&one, &a), number(&two, &b));
        numbers.extend([a, b]);
    }
    assert_eq!(numbers.len(), 30);
    // Another process begins where the blocks of these end.
    let three = one.beside().await;
    assert!(number(&three, "c@example.com").await > *numbers.last().unwrap());
}

#[tokio::test]
async fn the_stream_of_numbers_knows_nothing_of_who_registered() {
    let fixture = Fixture::start().await;
    number(&fixture, "ada@example.com").await;
    let history = fixture.engine.history(&StreamId::AccountNumbers, Version::NONE, 10).await.unwrap();
    let metadata = &history[0].metadata;
    assert_eq!((&metadata.ip, &metadata.user_agent, metadata.actor), (&None, &None, Caller::Anonymous.actor()));
}
