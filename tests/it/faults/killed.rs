//! `kill -9` at any moment, of any process: no acknowledged command is lost, every view equals a fresh replay,
//! and no code goes out twice but where nobody knew.

use std::time::Duration;

use super::{
    fake_gateway::FakeGateway,
    load::{Load, nothing_was_lost},
};
use crate::support::{ROLES, Settings, Setup, over_both_logs};

over_both_logs![the_one_process_is_killed_again_and_again_under_load];

/// How often, by a variable of `./check`.
fn times(variable: &str, default: usize) -> usize {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Another moment each time.
async fn a_moment(round: usize) {
    let millis = u64::try_from(round * 37 % 113).unwrap();
    tokio::time::sleep(Duration::from_millis(millis)).await;
}

async fn the_one_process_is_killed_again_and_again_under_load(setup: Setup) {
    let mut server = setup.server_with(Settings::default().generous()).await;
    let load = Load::start(&server.client_with("accounts:write"), 8, None);
    for round in 0..times("COUNTERSIGN_KILL_ROUNDS", 8) {
        // Not before something was written in this round.
        load.until_more(20).await;
        a_moment(round).await;
        server = tokio::task::block_in_place(|| server.kill_and_restart());
    }
    let promised = load.stop().await;
    nothing_was_lost(&server, &promised, None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_process_of_a_cluster_is_killed_in_turn_under_load() {
    let gateway = FakeGateway::start("fake");
    let settings = FakeGateway::with(&[&gateway], Settings::default().generous());
    let mut server = Setup::Cluster.server_with(settings).await;
    let load = Load::start(&server.client_with("accounts:write"), 4, Some(&gateway));
    for round in 0..times("COUNTERSIGN_KILLS", 20) {
        load.until_more(10).await;
        a_moment(round).await;
        tokio::task::block_in_place(|| server.kill_and_restart_role(ROLES[round % ROLES.len()]));
    }
    let promised = load.stop().await;
    assert!(promised.iter().any(|promised| promised.has_method), "texts came");
    nothing_was_lost(&server, &promised, Some(&gateway)).await;
}
