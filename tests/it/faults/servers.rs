//! PostgreSQL and NATS go away under load and come back: what was acknowledged is there, and everything goes on.

use std::{sync::Arc, time::Duration};

use servers::postgres::PostgresServer;

use super::{
    fake_gateway::FakeGateway,
    load::{Load, nothing_was_lost},
};
use crate::support::{Engines, Server, Settings, Setup};

/// As long as an outage lasts: long enough that everyone notices.
const OUTAGE: Duration = Duration::from_millis(1_500);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_database_is_stopped_and_killed_and_nothing_is_lost() {
    let database = Arc::new(PostgresServer::start().await);
    let gateway = FakeGateway::start("fake");
    let engines = Engines { database: Some(Arc::new(database.database().await)), ..Setup::Cluster.engines().await };
    let settings = FakeGateway::with(&[&gateway], Settings::default().generous());
    let server = tokio::task::block_in_place(|| Server::launch_on(engines, settings));
    let load = Load::start(&server.client_with("accounts:write"), 4, Some(&gateway));
    for round in 0..4 {
        load.until_more(20).await;
        if round % 2 == 0 {
            database.stop().await;
        } else {
            database.kill().await;
        }
        tokio::time::sleep(OUTAGE).await;
        database.restart().await;
    }
    load.until_more(50).await;
    let promised = load.stop().await;
    nothing_was_lost(&server, &promised, Some(&gateway)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_broker_is_stopped_and_killed_and_nothing_is_lost() {
    let gateway = FakeGateway::start("fake");
    let engines = Setup::Cluster.engines().await;
    let broker = engines.broker.clone().unwrap();
    let settings = FakeGateway::with(&[&gateway], Settings::default().generous());
    let server = tokio::task::block_in_place(|| Server::launch_on(engines, settings));
    let load = Load::start(&server.client_with("accounts:write"), 4, Some(&gateway));
    for round in 0..4 {
        load.until_more(20).await;
        let mut nats = broker.server.lock().await;
        if round % 2 == 0 {
            nats.quit().await;
        } else {
            nats.stop().await;
        }
        tokio::time::sleep(OUTAGE).await;
        nats.restart().await;
    }
    load.until_more(50).await;
    let promised = load.stop().await;
    assert!(promised.iter().any(|promised| promised.has_method), "texts came");
    nothing_was_lost(&server, &promised, Some(&gateway)).await;
}
