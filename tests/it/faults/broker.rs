//! What should not be on the broker: messages that mean nothing, and messages that were carried out long ago.

use async_nats::jetstream::{self, consumer::pull, stream::Stream};
use serde_json::json;
use workers::nats::{DEAD_STREAM, EVENTS_STREAM};

use super::{
    fake_gateway::{FakeGateway, Text},
    load::every_view_equals_a_replay,
};
use crate::support::{Person, Server, Settings, Setup, Watcher, eventually, id};

const NUMBER: &str = "+436601234567";

/// A cluster with someone who has a phone, and a way to its broker.
async fn cluster(gateway: &FakeGateway) -> (Server, Person, jetstream::Context) {
    let server = Setup::Cluster.server_with(FakeGateway::with(&[gateway], Settings::default())).await;
    let url = &server.engines().broker.as_ref().unwrap().url;
    let client = async_nats::connect(url).await.unwrap();
    let person = Person::sign_up(&server, "lotte").await;
    person.authorize_first().await;
    let started = person.client.post("/v1/accounts/me/methods/sms", json!({"phone_number": NUMBER})).await.expect(201);
    let code = text(gateway, 1).await.code();
    let path = format!("/v1/accounts/me/methods/{}/enable", started["method_id"]);
    person.client.post(&path, json!({"code": code})).await.expect(200);
    (server, person, jetstream::new(client))
}

/// The `count`th text.
async fn text(gateway: &FakeGateway, count: usize) -> Text {
    eventually("a text", || async { gateway.taken_for(NUMBER).into_iter().nth(count - 1) }).await
}

/// The person signs in with the `count`th text.
async fn sign_in(server: &Server, person: &Person, gateway: &FakeGateway, count: usize) {
    let (verification, holder) = person.begin_sign_in(server).await;
    let path = format!("/v1/verifications/{}", id(&verification));
    holder.post(&format!("{path}/codes"), json!({"channel": "sms"})).await.expect(202);
    let code = text(gateway, count).await.code();
    holder.post(&format!("{path}/attempts"), json!({"method": "sms", "code": code})).await.expect(200);
}

/// Waits until every role has done what is on the stream.
async fn all_is_done(stream: &Stream) {
    for role in ["sms", "email", "notices"] {
        eventually(role, || async {
            let mut consumer = stream.get_consumer::<pull::Config>(role).await.ok()?;
            let info = consumer.info().await.ok()?;
            (info.num_pending == 0 && info.num_ack_pending == 0).then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_means_nothing_goes_to_the_dead_letters_and_stops_nobody() {
    let gateway = FakeGateway::start("fake");
    let (server, person, context) = cluster(&gateway).await;
    let subject = "countersign.events.CodeIssued";
    let unknown = json!({"specversion": "1.0", "id": "0198c5f0-6b1e-7c80-9a52-0d5f3a3c2b11", "type": "CodeIssued"});
    for poison in [&b"\xff\xfe\x00"[..], b"{}", unknown.to_string().as_bytes()] {
        context.publish(subject, poison.to_vec().into()).await.unwrap().await.unwrap();
    }
    sign_in(&server, &person, &gateway, 2).await;
    eventually("dead letters", || async {
        let mut dead = context.get_stream(DEAD_STREAM).await.ok()?;
        (dead.info().await.ok()?.state.messages >= 3).then_some(())
    })
    .await;
    all_is_done(&context.get_stream(EVENTS_STREAM).await.unwrap()).await;
    assert_eq!(gateway.taken().len(), 2);
    every_view_equals_a_replay(&server);
    server.leaves_nothing_behind().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_delivered_again_after_the_window_is_sent_once() {
    let gateway = FakeGateway::start("fake");
    let (server, person, context) = cluster(&gateway).await;
    sign_in(&server, &person, &gateway, 2).await;
    let mut stream = context.get_stream(EVENTS_STREAM).await.unwrap();
    all_is_done(&stream).await;
    let state = stream.info().await.unwrap().state.clone();
    let messages = person.client.inbox(&person.email).await.len();
    // Without its id a message is a new one to the broker, as it is when its window has passed.
    for sequence in state.first_sequence..=state.last_sequence {
        let Ok(message) = stream.get_raw_message(sequence).await else { continue };
        context.publish(message.subject.clone(), message.payload.clone()).await.unwrap().await.unwrap();
    }
    sign_in(&server, &person, &gateway, 3).await;
    all_is_done(&stream).await;
    assert_eq!(gateway.taken().len(), 3, "each text once");
    assert_eq!(person.client.inbox(&person.email).await.len(), messages, "each mail once");
    let history = Watcher::new(&server).history(&person.account).await;
    gateway.agrees_with(&history);
    every_view_equals_a_replay(&server);
    server.leaves_nothing_behind().await;
}
