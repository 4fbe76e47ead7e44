//! Metrics, logs and traces of the running server.

use std::{
    io::{Read, Write},
    net::TcpListener,
    sync::{Arc, Mutex},
    thread,
};

use serde_json::Value;

use crate::support::{Person, Server, Settings, eventually};

#[tokio::test]
async fn latency_lag_deliveries_and_refusals_are_counted() {
    let server = Server::start();
    let person = Person::with_totp(&server, "stephanie").await;
    let started = person.start("add_method").await;
    person.attempt(crate::support::id(&started), "totp", "000000").await.refused(422, "wrong_code");
    let expected = [
        "countersign_append_seconds",
        "countersign_projection_lag_seconds",
        "countersign_delivery_seconds",
        "countersign_http_request_duration_seconds",
        "countersign_refusals",
        "countersign_wrong_second_factors_total",
        "wrong_code",
    ];
    // A notice is on its way when the method is enabled; its time is counted when it arrived.
    eventually("every metric", || async {
        let metrics = server.metrics().await;
        expected.iter().all(|name| metrics.contains(name)).then_some(())
    })
    .await;
    let metrics = server.metrics().await;
    assert!(!metrics.contains(&person.account), "accounts are no labels");
    for line in server.log().lines().filter(|line| line.starts_with('{')) {
        let entry: Value = serde_json::from_str(line).expect("a log line is one JSON object");
        assert!(entry["message"].is_string() || entry["level"] == "DEBUG" || entry["level"] == "TRACE", "{line}");
    }
    server.leaves_nothing_behind().await;
}

#[tokio::test]
async fn traces_are_handed_to_the_collector_without_secrets() {
    let collector = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = collector.local_addr().unwrap();
    let received = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&received);
    thread::spawn(move || {
        for stream in collector.incoming() {
            let (Ok(mut stream), sink) = (stream, Arc::clone(&sink)) else { return };
            thread::spawn(move || {
                let mut chunk = [0; 8_192];
                while let Ok(length @ 1..) = stream.read(&mut chunk) {
                    sink.lock().unwrap().extend_from_slice(&chunk[..length]);
                    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
                }
            });
        }
    });
    let endpoint = format!("http://{address}/v1/traces");
    let mut server = Server::start_with(Settings::default().with("otlp.endpoint", &endpoint));
    let person = Person::with_totp(&server, "barbara").await;
    assert!(server.terminate().success());
    let received = received.lock().unwrap().clone();
    let text = String::from_utf8_lossy(&received);
    assert!(text.contains("POST /v1/traces"), "nothing was handed over");
    assert!(text.contains("/v1/accounts/{account}/methods/{id}/enable"), "routes, not paths");
    let secret = person.totp.clone().unwrap();
    for value in [&person.email, &person.account, &secret, &person.client.token().to_owned()] {
        assert!(!text.contains(value.as_str()), "a trace holds {value}");
    }
}
