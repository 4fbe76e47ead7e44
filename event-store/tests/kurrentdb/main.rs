//! The adapter of KurrentDB over the wire, against a server of the tests' own: the contract, what goes wrong
//! on the way, and what stands in a log that others can write to.
#![expect(clippy::unwrap_used, reason = "tests")]

mod faults;
mod foreign;
mod opening;
mod receipts;

event_store::contract!(servers::kurrentdb::under_test::Kurrent);

/// As `kurrentdb_contract.rs` does it over a real server.
#[tokio::test(flavor = "multi_thread")]
async fn the_contract_holds_case_after_case_over_a_log_that_keeps_what_it_is_given() {
    assert!(servers::kurrentdb::under_test::SERVER.set(servers::kurrentdb::FakeServer::start().await).is_ok());
    for case in event_store::contract_cases!(servers::kurrentdb::under_test::Shared) {
        (case.run)().await;
    }
}

use domain::ids::{AccountId, EventId, StreamId};
use event_store::port::{Append, Expected};
use schemas::envelope::{NewEvent, Version};
use uuid::Uuid;

fn uuid() -> Uuid {
    uuid::Builder::from_random_bytes(*runtime::Runtime::system().unwrap().random_bytes::<16>().unwrap()).into_uuid()
}

fn stream() -> StreamId {
    StreamId::Account(AccountId(uuid()))
}

/// An append of this many events after a version.
fn append(stream: &StreamId, after: u64, count: u64) -> Append {
    let expected = if after == 0 { Expected::NoStream } else { Expected::Version(Version(after)) };
    let event = |n: u64| NewEvent {
        id: EventId(uuid()),
        event_type: "Something".into(),
        schema_version: 1,
        metadata: b"{}".to_vec(),
        data: format!("{{\"n\":{}}}", after + n).into_bytes(),
    };
    Append { stream: stream.clone(), expected, events: (1..=count).map(event).collect(), receipt: None }
}
