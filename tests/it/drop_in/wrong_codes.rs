//! Wrong codes until the lock, and no storm of repeated requests.

use super::client::with_app;
use crate::support::{Server, Setup, another, over_both_logs};

over_both_logs![wrong_codes_lock_and_the_lock_is_told_with_the_time_left];

/// Requests of a method to the root of the contract's paths.
async fn requests(server: &Server) -> u64 {
    let metrics = server.metrics().await;
    let counted = metrics.lines().filter(|line| {
        line.starts_with("countersign_http_request_duration_seconds_count")
            && line.contains("method=\"POST\"")
            && line.contains("route=\"/api/v0/tfa/\"")
    });
    counted.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
}

async fn wrong_codes_lock_and_the_lock_is_told_with_the_time_left(setup: Setup) {
    let server = setup.server().await;
    let (_, vastai, app, codes) = with_app(&server, "ida").await;
    let wrong = another(&server.fresh_totp(&app));
    let login = |code: &str| vastai.tfa(&["login", "-t", "totp", "-c", code]);
    for count in 1..=4 {
        login(&wrong).says(&format!("Failed attempts: {count}")).says_not("Time Remaining");
    }
    login(&wrong).says("Failed attempts: 5").says("Time Remaining for 2FA Lock:");
    let before = requests(&server).await;
    let right = server.fresh_totp(&app);
    login(&right).says("Too many wrong codes. Try again in").says("Failed attempts: 5").says("Time Remaining");
    assert_eq!(requests(&server).await, before + 1, "the client asked once");
    // Just before its end too.
    server.advance(15 * 60 - 40);
    login(&right).says("Too many wrong codes.");
    assert_eq!(requests(&server).await, before + 2, "the client asked once");
    vastai.tfa(&["login", "-bc", &codes[0]]).says("2FA login successful!");
    server.advance(60);
    login(&server.fresh_totp(&app)).says("2FA login successful!");
    vastai.tfa(&["login", "-t", "sms", "-s", "unknown", "-c", "123456"]).says("This secret is unknown");
    server.leaves_nothing_behind().await;
}
