//! The process that keeps the views dies, or stands still, under load: another one of its role goes on within
//! seconds, and what the views say is what happened.

use std::time::Duration;

use tokio::{task::block_in_place, time::Instant};

use super::{
    fake_gateway::FakeGateway,
    load::{Load, nothing_was_lost},
};
use crate::support::{Server, Settings, Setup, Watcher, eventually};

/// What a process logs that has taken the lease.
const KEEPS: &str = "this process keeps the views";
/// A process whose connection ended is followed at the next look, one that stands still when its lease ends.
/// Both with room for a busy machine.
const WITHIN: Duration = Duration::from_secs(15);
const SECOND: &str = "projections 2";

/// A cluster with two processes that may keep the views.
async fn cluster(gateway: &FakeGateway) -> Server {
    let settings = FakeGateway::with(&[gateway], Settings::default().generous());
    let mut server = Setup::Cluster.server_with(settings).await;
    block_in_place(|| server.one_more("projections", SECOND));
    server
}

/// Who keeps the views now, once it is so many takings.
async fn keeper(server: &Server, takings: usize) -> String {
    eventually("a keeper of the views", || async {
        let keepers = server.who_said(KEEPS);
        (keepers.len() >= takings).then(|| keepers.last().cloned()).flatten()
    })
    .await
}

/// Waits until another one keeps the views and they answer with all that was acknowledged; who that is.
async fn taken_over(server: &Server, watcher: &Watcher, from: &str, begun: Instant) -> String {
    let before = server.who_said(KEEPS).len();
    let taker = eventually("another keeper", || async {
        server.who_said(KEEPS).last().filter(|keeper| *keeper != from).cloned()
    })
    .await;
    eventually("views as new as the last answer", || async {
        (watcher.client.get("/v1/security/accounts?limit=1").await.status == 200).then_some(())
    })
    .await;
    assert!(begun.elapsed() < WITHIN, "it took {:?}", begun.elapsed());
    assert!(server.who_said(KEEPS).len() <= before + 1, "one takes over, once");
    taker
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_keeper_of_the_views_is_followed_within_seconds() {
    let gateway = FakeGateway::start("fake");
    let mut server = cluster(&gateway).await;
    let watcher = Watcher::new(&server);
    let load = Load::start(&server.client_with("accounts:write"), 4, Some(&gateway));
    let mut keeps = keeper(&server, 1).await;
    for _ in 0..4 {
        load.until_more(20).await;
        let begun = Instant::now();
        server.kill_one(&keeps);
        let next = taken_over(&server, &watcher, &keeps, begun).await;
        block_in_place(|| server.start_again(&keeps));
        keeps = next;
    }
    let promised = load.stop().await;
    nothing_was_lost(&server, &promised, Some(&gateway)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_keeper_that_stands_still_is_followed_and_does_no_harm_when_it_wakes() {
    let gateway = FakeGateway::start("fake");
    let mut server = cluster(&gateway).await;
    let watcher = Watcher::new(&server);
    let load = Load::start(&server.client_with("accounts:write"), 4, Some(&gateway));
    let mut keeps = keeper(&server, 1).await;
    for _ in 0..2 {
        load.until_more(20).await;
        let begun = Instant::now();
        server.signal(&keeps, "-STOP");
        let next = taken_over(&server, &watcher, &keeps, begun).await;
        // It wakes amid what it was doing, and believes for a moment that it is the one.
        server.signal(&keeps, "-CONT");
        load.until_more(20).await;
        keeps = next;
    }
    let promised = load.stop().await;
    nothing_was_lost(&server, &promised, Some(&gateway)).await;
}
