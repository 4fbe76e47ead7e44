//! The broker goes away and comes back while orders come in: nothing is lost, nothing goes out twice.

use std::time::Duration;

use event_store::testing::eventually;
use workers::{Role, nats::NatsOptions};

use crate::{harness::Wired, support::until};

#[tokio::test]
async fn a_broker_that_is_killed_and_restarted_under_load_loses_nothing() {
    let mut wired = Wired::new().await;
    wired.options = NatsOptions { request_timeout: Duration::from_secs(2), ..wired.options };
    let account = wired.world.account("ada@example.com").await;
    let relay = wired.relay().await;
    let both = [
        wired.workers(&[Role::Sms], wired.world.willing()).await,
        wired.workers(&[Role::Sms], wired.world.willing()).await,
    ];
    let mut orders = Vec::new();
    for round in 0..3 {
        orders.extend(wired.order_texts(account, 20).await);
        if round % 2 == 0 {
            wired.server.stop().await;
        } else {
            wired.server.quit().await;
        }
        orders.extend(wired.order_texts(account, 20).await);
        wired.server.restart().await;
    }
    orders.extend(wired.order_texts(account, 20).await);
    let all_sent = async || {
        let sent: std::collections::BTreeSet<_> = wired.world.given().iter().map(|given| given.reference).collect();
        (sent.len() == orders.len()).then_some(())
    };
    // Twice as long as other waits: what was on its way when the broker died comes again after its patience.
    if eventually(all_sent).await.is_none() {
        eventually(all_sent).await.expect("all orders go out");
    }
    wired.relayed().await;
    wired.idle("sms").await;
    for running in both {
        running.stop().await;
    }
    relay.stop().await;
    wired.assert_each_sent_once(&orders);
    assert!(wired.dead().await.is_empty());
}

#[tokio::test]
async fn codes_ordered_while_the_broker_is_away_go_out_when_it_is_back() {
    let mut wired = Wired::new().await;
    let account = wired.world.account("ada@example.com").await;
    let relay = wired.relay().await;
    let running = wired.workers(&[Role::Sms], wired.world.willing()).await;
    let mut orders = wired.order_texts(account, 1).await;
    until("the first", || wired.world.given().len() == 1).await;
    wired.server.stop().await;
    orders.extend(wired.order_texts(account, 5).await);
    wired.server.restart().await;
    until("the others", || wired.world.given().len() >= 6).await;
    wired.idle("sms").await;
    running.stop().await;
    relay.stop().await;
    wired.assert_each_sent_once(&orders);
}

#[tokio::test]
async fn from_the_order_to_the_gateway_it_takes_no_poll_of_anyone() {
    let wired = Wired::new().await;
    let account = wired.world.account("ada@example.com").await;
    let relay = wired.relay().await;
    let running = wired.workers(&[Role::Sms], wired.world.willing()).await;
    wired.order_texts(account, 1).await;
    until("the first", || wired.world.given().len() == 1).await;
    let mut took = Vec::new();
    for count in 2..42 {
        let from = tokio::time::Instant::now();
        wired.world.order_text(account).await;
        until("the next", || wired.world.given().len() == count).await;
        took.push(from.elapsed());
    }
    took.sort();
    running.stop().await;
    relay.stop().await;
    // Anything that polled would show up as its interval; the exact time is the benchmark's business.
    assert!(took[20] < Duration::from_millis(100), "half of them took longer than {:?}", took[20]);
}
