//! What an operator is told when the broker cannot be used: one line with the setting and the cure.

use std::time::Duration;

use domain::secret::Secret;
use servers::nats::NatsServer;
use workers::nats::{Auth, Broker, BrokerError, NatsOptions};

async fn refused(options: &NatsOptions) -> BrokerError {
    let error = Broker::connect(options).await.expect_err("it cannot be used");
    assert_eq!(error.to_string().lines().count(), 1);
    error
}

fn secret(text: &str) -> domain::secret::SecretText {
    Secret::new(text.to_owned())
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named() {
    let mut server = NatsServer::start().await;
    server.stop().await;
    let error = refused(&NatsOptions::new(server.url())).await;
    assert_eq!(error.setting(), "nats.url");
    assert!(error.problem().contains(&server.url()), "{error}");

    let options = NatsOptions { request_timeout: Duration::from_secs(1), ..NatsOptions::new("nats://nowhere.invalid") };
    assert_eq!(refused(&options).await.setting(), "nats.url");
    assert_eq!(refused(&NatsOptions::new("not an address")).await.setting(), "nats.url");
}

#[tokio::test]
async fn a_server_without_jetstream_is_told_from_one_that_is_not_there() {
    let server = NatsServer::start_without_jetstream().await;
    let error = refused(&NatsOptions::new(server.url())).await;
    assert_eq!(error.setting(), "nats.url");
    assert!(error.problem().contains("no JetStream") && error.cure().contains("-js"), "{error}");
}

#[tokio::test]
async fn an_account_without_jetstream_is_told_from_a_server_without() {
    let server = NatsServer::start_with(
        "accounts { A { jetstream: enabled, users: [{user: a, password: a}] }, B { users: [{user: b, password: b}] } }",
    )
    .await;
    let as_user = |name: &str| NatsOptions {
        auth: Auth::UserPassword { user: name.to_owned(), password: secret(name) },
        ..NatsOptions::new(server.url())
    };
    Broker::connect(&as_user("a")).await.unwrap();
    let error = refused(&as_user("b")).await;
    assert!(error.problem().contains("account"), "{error}");
    assert_eq!(error.setting(), "nats.password");
}

#[tokio::test]
async fn wrong_and_missing_credentials_are_told_and_never_shown() {
    let server = NatsServer::start_with("authorization { user: countersign, password: \"right-password\" }").await;
    let with = |auth| NatsOptions { auth, ..NatsOptions::new(server.url()) };
    let user = |password: &str| Auth::UserPassword { user: "countersign".to_owned(), password: secret(password) };
    let error = refused(&with(user("wrong-password"))).await;
    assert_eq!(error.setting(), "nats.password");
    assert!(!error.to_string().contains("wrong-password"));
    let error = refused(&with(Auth::None)).await;
    assert_eq!(error.setting(), "nats.user");
    assert!(error.problem().contains("asks for credentials"), "{error}");
    assert!(!format!("{:?}", with(user("right-password"))).contains("right-password"));
    Broker::connect(&with(user("right-password"))).await.unwrap();
}

#[tokio::test]
async fn a_token_logs_in() {
    let server = NatsServer::start_with("authorization { token: \"right-token\" }").await;
    let with = |token| NatsOptions { auth: Auth::Token(secret(token)), ..NatsOptions::new(server.url()) };
    assert_eq!(refused(&with("wrong-token")).await.setting(), "nats.token");
    Broker::connect(&with("right-token")).await.unwrap();
}

#[tokio::test]
async fn a_user_who_may_not_declare_streams_is_told_what_to_permit() {
    let server = NatsServer::start_with(
        "authorization { users: [{user: a, password: a, permissions: {publish: [\"$JS.API.INFO\"], subscribe: [\"_INBOX.>\"]}}] }",
    )
    .await;
    let options = NatsOptions {
        auth: Auth::UserPassword { user: "a".to_owned(), password: secret("a") },
        request_timeout: Duration::from_secs(1),
        ..NatsOptions::new(server.url())
    };
    let error = refused(&options).await;
    assert!(error.problem().contains("may not") && error.cure().contains("countersign.>"), "{error}");
}

#[tokio::test]
async fn more_copies_than_servers_are_refused_by_name() {
    let server = NatsServer::start().await;
    let error = refused(&NatsOptions { replicas: 3, ..NatsOptions::new(server.url()) }).await;
    assert_eq!(error.setting(), "nats.replicas");
}

#[tokio::test]
async fn a_look_changes_nothing_and_tells_what_the_next_start_would() {
    let server = NatsServer::start().await;
    let options = NatsOptions::new(server.url());
    let state = Broker::look(&options).await.unwrap();
    assert_eq!(state.differences.len(), 2, "{state:?}");
    assert!(state.version.starts_with("2."));
    let again = Broker::look(&options).await.unwrap();
    assert_eq!(again, state);
    Broker::connect(&options).await.unwrap();
    assert!(Broker::look(&options).await.unwrap().differences.is_empty());
}
