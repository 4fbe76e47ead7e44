//! What only PostgreSQL can do: many processes, one of which applies.

use std::{sync::Arc, time::Duration};

use crate::common::*;
use domain::{events::Event, values::MethodKind};
use event_store::port::EventLog;
use projections::Views;
use servers::postgres::PostgresServer;
use tokio_util::sync::CancellationToken;

impl World {
    async fn number(&self, sql: &str) -> i64 {
        self.place.numbers(&self.path(), sql).await[0]
    }

    async fn epoch(&self) -> i64 {
        self.number("SELECT epoch FROM view_runner").await
    }

    async fn happens(&self, accounts: usize) {
        for n in 0..accounts {
            let account = self.account_with(&format!("person{n}@example.com")).await;
            let events: [Event; 2] = [self.enrolling_totp(1), self.enabled(1, MethodKind::Totp, true)];
            self.given(account, events).await;
        }
    }
}

async fn becomes(what: impl AsyncFn() -> bool) {
    let wait = async { while !what().await {} };
    tokio::time::timeout(SOON, wait).await.unwrap();
}

async fn digests(views: &Views) -> Vec<(&'static str, String)> {
    let report = views.rebuild("all", &|_| (), &CancellationToken::new()).await.unwrap();
    assert!(report.is_equal(), "{report:?}");
    report.views.into_iter().map(|view| (view.view, view.rebuilt_digest)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_process_applies_and_another_takes_over_when_its_connection_is_cut() {
    let world = World::new(On::Postgres).await;
    world.happens(3).await;
    let (one, two) = (world.run().await, world.run().await);
    world.settle(&one).await;
    world.settle(&two).await;
    assert_eq!(world.epoch().await, 1, "one of them keeps the views");
    world.alter("SELECT pg_terminate_backend(backend) FROM view_runner").await;
    let begun = tokio::time::Instant::now();
    world.happens(3).await;
    becomes(async || world.epoch().await > 1).await;
    world.settle(&one).await;
    world.settle(&two).await;
    assert!(begun.elapsed() < Duration::from_secs(10));
    assert_eq!(digests(&one).await, digests(&two).await);
    one.stop().await;
    world.happens(1).await;
    world.settle(&two).await;
    two.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_holder_whose_epoch_is_over_applies_nothing() {
    let world = World::new(On::Postgres).await;
    world.happens(1).await;
    let views = world.current().await;
    let other = world.place.database.as_ref().unwrap().client().await;
    other
        .batch_execute(
            "UPDATE view_runner SET epoch = epoch + 1, backend = pg_backend_pid(), expires_at = now() + interval '1 hour'",
        )
        .await
        .unwrap();
    let before = world.number("SELECT min(position) FROM view_checkpoints").await;
    world.happens(2).await;
    let head = world.store.last_position().await.unwrap();
    assert!(views.wait_for(head, Duration::from_millis(1_500)).await.is_err());
    assert_eq!(world.number("SELECT max(position) FROM view_checkpoints").await, before);
    drop(other);
    world.settle(&views).await;
    views.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_of_the_server_loses_nothing() {
    let server = Arc::new(PostgresServer::start().await);
    let world = World::on(Place::at(server.database().await)).await;
    world.happens(3).await;
    let views = world.current().await;
    for kill in [false, true] {
        if kill {
            server.kill().await;
        } else {
            server.stop().await;
        }
        world.happens(3).await;
        server.restart().await;
        world.settle(&views).await;
    }
    digests(&views).await;
    views.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_log_is_filled_in_and_has_the_digests_of_the_other_engine() {
    let world = World::new(On::Postgres).await;
    world.happens(1_300).await;
    let views = world.current().await;
    assert!(views.status().await.unwrap().iter().all(|view| view.rebuilt_at.is_some()), "filled, not followed");
    let file = Arc::new(Views::sqlite(&world.path(), world.parts()).await.unwrap());
    let cancel = CancellationToken::new();
    let runner = tokio::spawn(Arc::clone(&file).run(cancel.clone()));
    file.wait_for(world.store.last_position().await.unwrap(), SOON).await.unwrap();
    assert_eq!(digests(&views).await, digests(&file).await);
    cancel.cancel();
    runner.await.unwrap().unwrap();
    file.close().await;
    views.stop().await;
}
