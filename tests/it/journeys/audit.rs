//! Journey 10: the auditor. (The export and its proofs come with the ledger.)

use serde_json::Value;

use crate::support::{Person, Setup, Watcher, over_every_setup};

over_every_setup![the_auditor_replays_an_account_to_any_moment,];

async fn the_auditor_replays_an_account_to_any_moment(setup: Setup) {
    let server = setup.server().await;
    let watcher = Watcher::new(&server);
    let mut person = Person::with_totp(&server, "dorothy").await;
    let history = watcher.history(&person.account).await;
    let before = history.iter().find(|event| event["type"] == "SignedIn").unwrap()["at"].clone();
    server.advance(3600);
    person.verify_by_totp(&server, "add_method").await;
    person.add_sms("+436601234567").await;
    let history = watcher.history(&person.account).await;
    let between = history.iter().find(|event| event["type"] == "RecoveryCodesGenerated").unwrap()["at"].clone();
    // A worker may have read the clock before the person did, and been written after.
    let last = history.iter().max_by_key(|event| event["at"].as_str()).unwrap()["at"].clone();

    // One readable line each, in order, no gaps.
    for event in &history {
        assert!(event["summary"].as_str().is_some_and(|line| !line.is_empty() && !line.contains('\n')), "{event}");
        assert!(!event.to_string().contains(&person.email), "addresses are masked: {event}");
    }
    let positions: Vec<u64> = history.iter().map(position).collect();
    assert!(positions.is_sorted());

    let state = async |at: &Value| {
        let path = format!("/v1/audit/accounts/{}/state?as_of={}", person.account, at.as_str().unwrap());
        watcher.client.get(&path).await.expect(200)
    };
    let methods = |state: &Value| state["state"]["methods"].as_object().map_or(0, serde_json::Map::len);
    assert_eq!(methods(&state(&before).await), 0);
    assert_eq!(methods(&state(&between).await), 1);
    assert_eq!(methods(&state(&last).await), 2);

    // That the auditor looked is history as well.
    let events = watcher.client.get("/v1/audit/events?type=HistoryAccessed&limit=100").await.expect(200);
    assert!(!events["events"].as_array().unwrap().is_empty(), "{events}");

    // The operator's replay tells the same, with the difference that each event made.
    let replay = server.command(&["replay", &person.account, "--json"]);
    let steps: Vec<Value> = replay.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let types = |events: &[Value]| events.iter().map(|event| event["type"].clone()).collect::<Vec<_>>();
    assert_eq!(types(&steps), types(&watcher.own_history(&person.account).await));
    let enabled = steps.iter().find(|step| step["type"] == "MethodEnabled").unwrap();
    assert!(enabled["changes"].to_string().contains("methods"), "{enabled}");
    assert!(!replay.contains(&person.email) && !replay.contains(person.totp.as_deref().unwrap()));
    let until = server.command(&["replay", &person.account, "--at", between.as_str().unwrap(), "--json"]);
    assert!(until.lines().count() < steps.len());
    let readable = server.command(&["replay", &person.account]);
    assert!(readable.contains("MethodEnabled") && !readable.contains(&person.email));

    // A key without the scope sees nothing.
    let other = server.client_with("security:read");
    other.get(&format!("/v1/audit/accounts/{}/history", person.account)).await.refused(403, "forbidden");

    // Every view equals a fresh replay of the log.
    let report = server.command(&["projections", "rebuild", "all", "--json"]);
    for line in report.lines() {
        let view: Value = serde_json::from_str(line).unwrap();
        assert_eq!(view["live_digest"], view["rebuilt_digest"], "{view}");
    }
}

fn position(event: &Value) -> u64 {
    event["position"].as_u64().or_else(|| event["position"].as_str()?.parse().ok()).expect("a position")
}
