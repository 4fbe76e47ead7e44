//! A clock that jumps: no history runs backwards, nothing is sent after its end, and people still get in.

use serde_json::{Value, json};

use super::load::{Load, every_view_equals_a_replay, nothing_was_lost};
use crate::support::{Person, Settings, Setup, Watcher, id, over_every_setup};

over_every_setup![people_get_in_whatever_the_clock_does, load_goes_on_over_jumps];

const NUMBER: &str = "+436601234567";
const DAY: i64 = 86_400;

async fn people_get_in_whatever_the_clock_does(setup: Setup) {
    let server = setup.server().await;
    let watcher = Watcher::new(&server);
    let mut person = Person::with_sms(&server, "amalie", NUMBER).await;
    let mut texts = 1;
    for jump in [DAY, -2 * DAY, 3_600, -600, 40 * DAY, -41 * DAY] {
        server.advance(jump);
        // A code that is ordered now is sent and works now.
        let (verification, holder) = person.begin_sign_in(&server).await;
        let codes = format!("/v1/verifications/{}/codes", id(&verification));
        holder.post(&codes, json!({"channel": "sms"})).await.expect(202);
        texts += 1;
        let code = holder.code(NUMBER, texts).await;
        let attempts = format!("/v1/verifications/{}/attempts", id(&verification));
        let answer = holder.post(&attempts, json!({"method": "sms", "code": code})).await.expect(200);
        person.client = holder.with(answer["session_token"].as_str().unwrap());
        person.client.get("/v1/accounts/me/methods").await.expect(200);
    }
    // The account's own time never runs backwards.
    let history = watcher.own_history(&person.account).await;
    let times: Vec<&str> = history.iter().map(|event| event["at"].as_str().unwrap()).collect();
    assert!(times.is_sorted(), "{times:?}");
    let sends = watcher.history(&person.account).await;
    let late =
        |event: &Value| event["type"] == "SendStarted" && event["at"].as_str() >= event["data"]["deadline"].as_str();
    assert!(!sends.iter().any(late), "{sends:?}");
    every_view_equals_a_replay(&server);
    server.leaves_nothing_behind().await;
}

async fn load_goes_on_over_jumps(setup: Setup) {
    let server = setup.server_with(Settings::default().generous()).await;
    let load = Load::start(&server.client_with("accounts:write"), 4, None);
    for jump in [45, -60, 3_600, -3_600, 300] {
        load.until_more(10).await;
        server.advance(jump);
    }
    load.until_more(20).await;
    let promised = load.stop().await;
    nothing_was_lost(&server, &promised, None).await;
}
