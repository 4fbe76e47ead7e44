//! Where views are kept: restarts, damage, freshness, rebuilds.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use crate::common::*;
use domain::{
    events::{AccountErased, TwoFactorEnabled},
    ids::{AccountId, StreamId},
    time::Seconds,
    values::{FactorKind, MethodKind},
};
use event_store::port::EventLog;
use projections::{
    RebuildReport, Views,
    error::{Stale, ViewError},
};
use rusqlite::Connection;
use schemas::envelope::Position;
use tokio_util::sync::CancellationToken;

async fn busy(world: &World, accounts: usize) -> Vec<AccountId> {
    let mut all = Vec::new();
    for n in 0..accounts {
        let account = world.account_with(&format!("person{n}@example.com")).await;
        world
            .given(
                account,
                [
                    world.enrolling_totp(1),
                    world.enabled(1, MethodKind::Totp, true),
                    TwoFactorEnabled {}.into(),
                    codes_generated(1),
                    world.rejected(FactorKind::Totp, 1),
                    world.succeeded(FactorKind::Totp, Some(1)),
                ],
            )
            .await;
        all.push(account);
    }
    all
}

fn digests(report: &RebuildReport) -> BTreeMap<&'static str, (Option<String>, String)> {
    report.views.iter().map(|view| (view.view, (view.live_digest.clone(), view.rebuilt_digest.clone()))).collect()
}

async fn rebuild(views: &Views, view: &str) -> RebuildReport {
    views.rebuild(view, &|_| (), &CancellationToken::new()).await.unwrap()
}

over_each_engine! {
    a_restart_goes_on_where_it_stopped_and_a_rebuild_finds_what_was_altered,
    whoever_waits_is_told_when_the_views_stay_behind,
    a_view_of_an_older_shape_is_rebuilt_beside_the_others,
    a_rebuild_beside_live_views_is_equal_and_they_go_on,
    another_process_rebuilds_beside_a_running_one,
    a_rebuild_that_is_cancelled_leaves_no_trace,
    a_replay_after_erasure_equals_the_live_views,
    a_fresh_place_has_the_digests_of_the_old_one,
}

async fn a_restart_goes_on_where_it_stopped_and_a_rebuild_finds_what_was_altered(on: On) {
    let world = World::new(on).await;
    let account = busy(&world, 3).await[0];
    world.current().await.stop().await;
    world.alter("UPDATE accounts SET email_masked = 'altered'").await;

    world.account_with("late@example.com").await;
    let views = world.current().await;
    let email = async || views.account(account).await.unwrap().unwrap().email;
    assert_eq!(email().await.as_deref(), Some("altered"), "nothing was replayed");

    let report = rebuild(&views, "accounts").await;
    assert!(!report.is_equal());
    assert_eq!(email().await.as_deref(), Some("p•••@example.com"));
    assert!(rebuild(&views, "accounts").await.is_equal());
    let status = views.status().await.unwrap();
    let accounts = status.iter().find(|status| status.view == "accounts").unwrap();
    assert_eq!((accounts.rebuilt_at, accounts.rows, accounts.lag), (Some(world.now()), 4, 0));
    views.stop().await;
}

#[tokio::test]
async fn a_damaged_or_foreign_file_is_rebuilt_by_itself() {
    let world = World::new(On::Sqlite).await;
    let account = busy(&world, 2).await[0];
    for damage in ["garbage", "foreign", "torn", "power"] {
        match damage {
            "garbage" => {
                std::fs::write(world.path(), "not a database at all, but long enough to be one".repeat(200)).unwrap();
            }
            "foreign" => {
                std::fs::remove_file(world.path()).unwrap();
                let other = Connection::open(world.path()).unwrap();
                other
                    .execute_batch("CREATE TABLE accounts (name TEXT); INSERT INTO accounts VALUES ('theirs')")
                    .unwrap();
            }
            "torn" => {
                let mut bytes = std::fs::read(world.path()).unwrap();
                let from = 4_096.min(bytes.len());
                bytes[from..].fill(0xA5);
                std::fs::write(world.path(), bytes).unwrap();
            }
            _ => {
                // As after a loss of power: being written, in an earlier boot of the machine.
                let file = Connection::open(world.path()).unwrap();
                file.execute("UPDATE views_file SET value = 'another-boot 1'", []).unwrap();
                file.execute("UPDATE accounts SET email_masked = 'a page of another age'", []).unwrap();
            }
        }
        let views = world.current().await;
        assert_eq!(views.methods(account).await.unwrap().len(), 1, "{damage}");
        let email = views.account(account).await.unwrap().unwrap().email;
        assert_eq!(email.as_deref(), Some("p•••@example.com"), "{damage}");
        assert!(rebuild(&views, "all").await.is_equal(), "{damage}");
        views.stop().await;
    }
}

#[tokio::test]
async fn a_file_that_is_damaged_while_it_is_used_is_rebuilt() {
    let world = World::new(On::Sqlite).await;
    let account = busy(&world, 50).await[0];
    let views = world.current().await;
    let file = Connection::open(world.path()).unwrap();
    file.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    drop(file);
    std::fs::OpenOptions::new().write(true).open(world.path()).unwrap().set_len(8_192).unwrap();
    let healed = async {
        let mut was_damaged = false;
        loop {
            match views.methods(account).await {
                Err(_) => was_damaged = true,
                // Between the deletion and the replay it is empty.
                Ok(methods) if methods.len() == 1 && was_damaged => break,
                Ok(_) => {}
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(SOON, healed).await.unwrap();
    world.settle(&views).await;
    assert!(rebuild(&views, "all").await.is_equal());
    views.stop().await;
}

async fn whoever_waits_is_told_when_the_views_stay_behind(on: On) {
    let world = World::new(on).await;
    busy(&world, 1).await;
    let head = world.store.last_position().await.unwrap();
    let idle = world.open().await;
    let begun = tokio::time::Instant::now();
    let stale = idle.wait_for(head, Duration::from_millis(100)).await;
    assert_eq!(stale, Err(Stale { reached: Position::START }));
    assert!(begun.elapsed() >= Duration::from_millis(100));

    let views = world.current().await;
    assert_eq!(idle.wait_for(head, SOON).await, Ok(head), "another opener sees how far the runner is");
    let beyond = Position(head.0 + 1);
    assert_eq!(views.wait_for(beyond, Duration::from_millis(50)).await, Err(Stale { reached: head }));
    assert_eq!(views.wait_for_view("timeline", head, SOON).await, Ok(head));
    idle.close().await;
    views.stop().await;
}

async fn a_view_of_an_older_shape_is_rebuilt_beside_the_others(on: On) {
    let world = World::new(on).await;
    let account = busy(&world, 3).await[0];
    world.current().await.stop().await;
    world.alter("UPDATE view_checkpoints SET version = 0 WHERE view = 'account_methods'").await;
    world.alter("DROP TABLE account_methods; CREATE TABLE account_methods (old TEXT)").await;
    let views = world.current().await;
    assert_eq!(views.methods(account).await.unwrap().len(), 1);
    world.given(account, [world.enrolling_sms(2), world.enabled(2, MethodKind::Sms, false)]).await;
    world.settle(&views).await;
    assert_eq!(views.methods(account).await.unwrap().len(), 2);
    assert!(rebuild(&views, "all").await.is_equal());
    views.stop().await;
}

async fn a_rebuild_beside_live_views_is_equal_and_they_go_on(on: On) {
    let world = World::new(on).await;
    busy(&world, 40).await;
    let views = world.current().await;
    let stop = CancellationToken::new();
    let (report, appended) = tokio::join!(
        async {
            let mut last = rebuild(&views, "all").await;
            for _ in 0..3 {
                assert!(last.is_equal(), "{last:?}");
                last = rebuild(&views, "all").await;
            }
            stop.cancel();
            last
        },
        async {
            let mut n = 0;
            while !stop.is_cancelled() {
                world.account_with(&format!("more{n}@example.com")).await;
                n += 1;
            }
            n
        }
    );
    assert!(report.is_equal() && report.views.len() == 8 && report.events > 300);
    world.settle(&views).await;
    assert_eq!(views.adoption_totals().await.unwrap().accounts, 40 + appended);
    assert!(world.names("__rebuild").await.is_empty() && world.names("__old").await.is_empty());
    views.stop().await;
}

async fn another_process_rebuilds_beside_a_running_one(on: On) {
    let world = World::new(on).await;
    busy(&world, 20).await;
    let views = world.current().await;
    let beside = world.open().await;
    let stop = CancellationToken::new();
    let (report, ()) = tokio::join!(
        async {
            let report = rebuild(&beside, "all").await;
            stop.cancel();
            report
        },
        async {
            let mut n = 0;
            while !stop.is_cancelled() {
                world.account_with(&format!("more{n}@example.com")).await;
                n += 1;
            }
        }
    );
    assert!(report.is_equal(), "{report:?}");
    beside.close().await;
    world.settle(&views).await;
    assert!(rebuild(&views, "all").await.is_equal());
    views.stop().await;
}

async fn a_rebuild_that_is_cancelled_leaves_no_trace(on: On) {
    let world = World::new(on).await;
    busy(&world, 5).await;
    let views = world.current().await;
    let cancel = CancellationToken::new();
    let steps = AtomicU64::new(0);
    let progress = |at: projections::RebuildProgress| {
        assert!(at.position <= at.target);
        steps.fetch_add(1, Ordering::SeqCst);
        cancel.cancel();
    };
    let cancelled = views.rebuild("all", &progress, &cancel).await;
    assert!(matches!(cancelled, Err(ViewError::Cancelled)), "{cancelled:?}");
    assert!(steps.load(Ordering::SeqCst) > 0);
    // The next rebuild waits for the tidying and finds a clean place.
    assert!(rebuild(&views, "timeline").await.is_equal());
    assert!(world.names("__rebuild").await.is_empty());
    assert!(matches!(
        views.rebuild("nothing", &|_| (), &CancellationToken::new()).await,
        Err(ViewError::UnknownView(_))
    ));
    views.stop().await;
}

async fn a_replay_after_erasure_equals_the_live_views(on: On) {
    let world = World::new(on).await;
    let account = busy(&world, 2).await[0];
    let views = world.current().await;
    world.given(account, [AccountErased { verification_id: None }.into()]).await;
    world.keys.erase(&StreamId::Account(account)).await.unwrap();
    world.settle(&views).await;
    let report = rebuild(&views, "all").await;
    assert!(report.is_equal(), "{report:?}");
    assert_eq!(views.account(account).await.unwrap(), None);
    views.stop().await;
}

async fn a_fresh_place_has_the_digests_of_the_old_one(on: On) {
    let world = World::new(on).await;
    busy(&world, 4).await;
    let first = world.current().await;
    let of_first = digests(&rebuild(&first, "all").await);
    first.stop().await;
    if on == On::Sqlite {
        std::fs::remove_file(world.path()).unwrap();
    } else {
        world.alter("UPDATE view_checkpoints SET version = 0").await;
    }
    world.advance(Seconds::days(3));
    let second = world.current().await;
    assert_eq!(digests(&rebuild(&second, "all").await), of_first);
    second.stop().await;
}
