//! Two hundred parallel guesses on one code: exactly the allowed number are judged.

use serde_json::json;

use crate::support::{Person, Server, Settings, Watcher, id, totp_at};

const NUMBER: &str = "+436601234567";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_hundred_parallel_guesses_the_allowed_number_is_judged() {
    // All of them from one source, and nobody turned away before a guess is looked at.
    let server = Server::start_with(Settings::default().with("http.connections_per_source", "400"));
    let watcher = Watcher::new(&server);
    let mut person = Person::with_totp(&server, "katherine").await;
    person.verify_by_totp(&server, "add_method").await;
    person.add_sms(NUMBER).await;

    let (verification, guesser) = person.begin_sign_in(&server).await;
    guesser
        .post(&format!("/v1/verifications/{}/codes", id(&verification)), json!({"channel": "sms"}))
        .await
        .expect(202);
    let code: u32 = guesser.code(NUMBER, 2).await.parse().unwrap();
    let (own, owner) = person.begin_sign_in(&server).await;
    server.advance(30);
    let right = totp_at(person.totp.as_deref().unwrap(), server.now());
    let mark = watcher.mark(&person.account).await;

    let path = format!("/v1/verifications/{}/attempts", id(&verification));
    let mut running = tokio::task::JoinSet::new();
    for offset in 1..=200 {
        let (guesser, path) = (guesser.clone(), path.clone());
        let guess = format!("{:06}", (code + offset) % 1_000_000);
        running.spawn(async move {
            let answer = guesser.post(&path, json!({"method": "sms", "code": guess})).await;
            (answer.status.as_u16(), answer.body["code"].as_str().unwrap_or_default().to_owned())
        });
    }
    // In the midst of it, the owner's sign-in by the app gets its turn.
    let own_path = format!("/v1/verifications/{}/attempts", id(&own));
    let answer = owner.post(&own_path, json!({"method": "totp", "code": right})).await.expect(200);
    assert_eq!(answer["aal"], "aal2");

    let answers = running.join_all().await;
    let judged = answers.iter().filter(|answer| **answer == (422, "wrong_code".to_owned())).count();
    let locked = answers.iter().filter(|answer| **answer == (429, "method_locked".to_owned())).count();
    assert_eq!((judged, locked), (3, 197), "{answers:?}");
    let events = watcher.since(&person.account, mark).await;
    let count = |name: &str| events.iter().filter(|event| *event == name).count();
    assert_eq!((count("CodeRejected"), count("MethodLocked")), (3, 1), "{events:?}");

    // The right code gets no free answer either.
    let right = json!({"method": "sms", "code": format!("{code:06}")});
    guesser.post(&path, right).await.refused(429, "method_locked");
}
