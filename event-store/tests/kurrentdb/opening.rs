//! Servers that will not do, each told in one line that names the cure and no secret.

use domain::secret::SecretText;
use event_store::{kurrentdb::KurrentOptions, port::EventLog};
use schemas::envelope::{Position, Version};
use tokio::net::TcpListener;

use crate::{append, stream};
use servers::kurrentdb::under_test::{Kurrent, options, refusal};
use servers::kurrentdb::{FakeServer, Setup};

/// `admin:changeit`, as it is sent.
const AUTHORIZATION: &str = "Basic YWRtaW46Y2hhbmdlaXQ=";

async fn assert_refused(options: KurrentOptions, needles: &[&str]) {
    let line = refusal(options).await.to_string();
    for needle in needles {
        assert!(line.contains(needle), "{line}");
    }
    assert!(!line.contains('\n') && !line.contains("hunter2"), "{line}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_who_listens() {
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let url = format!("esdb://admin:hunter2@127.0.0.1:{port}?tls=false&discoveryInterval=10");
    assert_refused(options(url), &["no KurrentDB answers at 127.0.0.1", "check its url"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_says_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("esdb://{}?tls=false", listener.local_addr().unwrap());
    let mut options = options(url);
    options.timeout = std::time::Duration::from_millis(300);
    assert_refused(options, &["no KurrentDB answers", "within 300 ms"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_where_there_is_none() {
    let server = FakeServer::start().await;
    let url = format!("esdb://{}?tls=true&discoveryInterval=10", server.address);
    assert_refused(options(url), &["no KurrentDB answers", "tls"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_something_else() {
    let server = FakeServer::start_with(Setup { has_streams: false, version: None, ..Setup::default() }).await;
    assert_refused(options(server.url()), &["is no KurrentDB"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_too_old() {
    let server = FakeServer::start_with(Setup { version: Some("20.5.9"), ..Setup::default() }).await;
    assert_refused(options(server.url()), &["version 20.5.9", "20.6 or newer"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password() {
    let setup = Setup { authorization: Some(AUTHORIZATION.to_owned()), ..Setup::default() };
    let server = FakeServer::start_with(setup).await;
    let url = format!("kdb://admin:hunter2@{}?tls=false", server.address);
    assert_refused(options(url), &["refuses the user", "check user and password"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_url_of_another_kind_and_a_file_that_is_not_there() {
    let url = SecretText::new("postgres://admin:hunter2@localhost".to_owned());
    assert_refused(KurrentOptions::new(url), &["connection string"]).await;
    let url = "esdb://localhost?tls=true&tlsCaFile=/nowhere/ca.pem".to_owned();
    assert_refused(options(url), &["url cannot be used"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_right_password_and_a_server_that_does_not_tell_its_version_will_do() {
    let setup = Setup { authorization: Some(AUTHORIZATION.to_owned()), version: None, ..Setup::default() };
    let server = FakeServer::start_with(setup).await;
    let database = servers::postgres::TestDatabase::fresh().await;
    let url = format!("esdb://admin:chang%65it@{}?tls=false", server.address);
    let side = servers::kurrentdb::under_test::side(&database).await;
    let store = event_store::kurrentdb::KurrentStore::open(options(url), side).await.unwrap();
    let stream = stream();
    store.append(append(&stream, 0, 1)).await.unwrap();
    assert_eq!(store.head(&stream).await.unwrap(), Version(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_with_history_is_followed_from_its_end() {
    let kurrent = Kurrent::on(FakeServer::start().await).await;
    let appended = kurrent.store.append(append(&stream(), 0, 3)).await.unwrap();
    let beside = event_store::contract::LogUnderTest::beside(&kurrent).await;
    assert_eq!(*beside.store.watch().borrow(), appended.position);
    assert_eq!(beside.store.read_all(Position::START, 9).await.unwrap().len(), 3);
}
