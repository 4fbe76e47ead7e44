//! Connections, as a client that nobody should be sees them: over plain sockets.

use std::{
    io::{ErrorKind, Read, Write},
    net::TcpStream,
    time::Duration,
};

use serde_json::json;

use crate::support::{DEADLINE, PASSWORD, Server, Settings, eventually};

/// A kept-alive request without a body.
const PING: &[u8] = b"GET /health/live HTTP/1.1\r\nhost: localhost\r\n\r\n";

fn connect(server: &Server) -> TcpStream {
    let address = server.base().trim_end_matches('/').trim_start_matches("http://").to_owned();
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream
}

/// All that comes until the server closes. A test that waits for a close in vain fails at the deadline.
fn until_closed(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    match stream.read_to_end(&mut bytes) {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
        Err(error) => panic!("the server did not close: {error}"),
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// One answer with the length that it announces.
fn answer(stream: &mut TcpStream) -> String {
    let mut text = String::new();
    let mut byte = [0];
    let mut read = |text: &mut String| {
        stream.read_exact(&mut byte).unwrap();
        text.push(char::from(byte[0]));
    };
    while !text.ends_with("\r\n\r\n") {
        read(&mut text);
    }
    let length = text.split("content-length: ").nth(1).and_then(|rest| rest.lines().next()).unwrap_or("0");
    for _ in 0..length.parse::<usize>().unwrap() {
        read(&mut text);
    }
    text
}

/// Sends a byte now and then until the server closes.
fn drip(mut stream: TcpStream) -> String {
    stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    let mut told = Vec::new();
    let mut bytes = [0; 4096];
    for _ in 0..DEADLINE.as_millis() / 100 {
        match stream.read(&mut bytes) {
            Ok(0) => return String::from_utf8_lossy(&told).into_owned(),
            Ok(count) => told.extend_from_slice(&bytes[..count]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                let _ = stream.write_all(b"a");
            }
            Err(_) => return String::from_utf8_lossy(&told).into_owned(),
        }
    }
    panic!("the server waits for ever");
}

fn impatient() -> Settings {
    Settings::default().with("http.head_timeout", "1").with("http.body_timeout", "1").with("http.idle_timeout", "2")
}

#[tokio::test(flavor = "multi_thread")]
async fn who_sends_a_head_byte_by_byte_is_not_waited_for() {
    let server = Server::start_with(impatient().with("http.idle_timeout", "600"));
    let silent = connect(&server);
    let mut slow = connect(&server);
    slow.write_all(b"GET /health/live HTTP/1.1\r\nx: ").unwrap();
    assert_eq!(drip(slow), "");
    assert_eq!(until_closed(&mut { silent }), "");
    // Nor for the head of a second request.
    let mut second = connect(&server);
    second.write_all(PING).unwrap();
    assert!(answer(&mut second).starts_with("HTTP/1.1 200"));
    second.write_all(b"GET /health/live HTTP/1.1\r\nx: ").unwrap();
    assert_eq!(drip(second), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_does_not_come_is_not_waited_for() {
    let server = Server::start_with(impatient());
    let mut slow = connect(&server);
    let head = "POST /v1/accounts HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n";
    slow.write_all(format!("{head}content-length: 9000\r\n\r\n{{").as_bytes()).unwrap();
    let told = drip(slow);
    assert!(told.starts_with("HTTP/1.1 400") && told.contains("malformed_request"), "{told}");
    assert!(told.contains("connection: close"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_takes_no_answer_is_not_waited_for() {
    let server = Server::start_with(Settings::default().with("http.write_timeout", "1"));
    let mut greedy = connect(&server);
    greedy.set_write_timeout(Some(Duration::from_millis(100))).unwrap();
    let ask = b"GET /openapi.json HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let began = tokio::time::Instant::now();
    let closed = loop {
        match greedy.write(ask) {
            Err(error) if !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => break error.kind(),
            _ => assert!(began.elapsed() < DEADLINE, "the server waits for ever"),
        }
    };
    assert!(matches!(closed, ErrorKind::ConnectionReset | ErrorKind::BrokenPipe), "{closed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_connection_is_closed_and_a_used_one_is_not() {
    let server = Server::start_with(impatient().with("http.idle_timeout", "3"));
    let mut stream = connect(&server);
    // Each pause is longer than a head may take and shorter than an idle connection is kept.
    for _ in 0..3 {
        stream.write_all(PING).unwrap();
        let told = answer(&mut stream);
        assert!(told.starts_with("HTTP/1.1 200") && !told.contains("connection: close"), "{told}");
        stream.set_read_timeout(Some(Duration::from_millis(1_500))).unwrap();
        let nothing = stream.read(&mut [0]).expect_err("nothing comes, and no end").kind();
        assert!(matches!(nothing, ErrorKind::WouldBlock | ErrorKind::TimedOut), "{nothing}");
    }
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    assert_eq!(until_closed(&mut stream), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_of_events_outlasts_every_time_out() {
    let server = Server::start_with(impatient().with("http.write_timeout", "1"));
    let key = server.api_key("audit:read");
    let mut stream = connect(&server);
    let head = "GET /v1/audit/events/stream HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer ";
    stream.write_all(format!("{head}{key}\r\n\r\n").as_bytes()).unwrap();
    // Another connection that begins later is closed as idle; the stream is still there and tells what happens.
    let mut idle = connect(&server);
    idle.write_all(PING).unwrap();
    answer(&mut idle);
    assert_eq!(until_closed(&mut idle), "");
    let body = json!({"email": "late@example.com", "password": PASSWORD});
    server.client().post("/v1/accounts", body).await.expect(201);
    let mut told = String::new();
    let mut bytes = [0; 4096];
    while !told.contains("AccountRegistered") {
        let count = stream.read(&mut bytes).expect("the stream goes on");
        assert!(count > 0, "the stream ended: {told}");
        told.push_str(&String::from_utf8_lossy(&bytes[..count]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_has_its_share_of_the_connections() {
    let server = Server::start_with(Settings::default().with("http.connections_per_source", "4"));
    share_is_four(&server).await;
    assert!(server.metrics().await.contains("countersign_http_connections_refused_total{reason=\"source\"}"));
    // A proxy of ours brings everybody's.
    let proxy = Settings::default().with("http.connections_per_source", "1").with("trusted_proxies", "127.0.0.0/8");
    let server = Server::start_with(proxy.with("http.connections", "4"));
    share_is_four(&server).await;
    assert!(server.metrics().await.contains("countersign_http_connections_refused_total{reason=\"total\"}"));
}

async fn share_is_four(server: &Server) {
    let mut held: Vec<_> = (0..4).map(|_| connect(server)).collect();
    for stream in &mut held {
        stream.write_all(PING).unwrap();
        assert!(answer(stream).starts_with("HTTP/1.1 200"));
    }
    let mut fifth = connect(server);
    let _ = fifth.write_all(PING);
    assert_eq!(until_closed(&mut fifth), "");
    held.pop();
    eventually("the place that is free again", async || {
        let mut stream = connect(server);
        let _ = stream.write_all(PING);
        let mut first = [0];
        matches!(stream.read(&mut first), Ok(1)).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_writes_first_and_reads_then_reads_why() {
    let server = Server::start();
    let ask = |path: &str, length: usize, more: &str| {
        let mut stream = connect(&server);
        let head = format!("POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n");
        stream.write_all(format!("{head}content-length: {length}\r\n{more}\r\n").as_bytes()).unwrap();
        stream
    };
    for (path, status, length) in [
        ("/v1/accounts", "413", 100_000),
        ("/v1/accounts", "413", 1_000_000),
        ("/v1/accounts", "413", 3_000_000),
        ("/api/v0/tfa/", "400", 1_000_000),
        ("/v1/accounts/me/methods/totp", "401", 1_000_000),
        ("/nowhere", "404", 1_000_000),
        ("/health/live", "405", 1_000_000),
    ] {
        let mut stream = ask(path, length, "");
        stream.write_all(&vec![b'x'; length]).unwrap();
        let told = answer(&mut stream);
        assert!(told.starts_with(&format!("HTTP/1.1 {status}")), "{path} {length}: {told}");
        // It was read to its end, so the connection goes on.
        stream.write_all(PING).unwrap();
        assert!(answer(&mut stream).starts_with("HTTP/1.1 200"), "{path} {length}");
    }
    // Who goes on for ever is answered in bounded time and bytes.
    let endless = ask("/v1/accounts", 1 << 40, "");
    let mut writer = endless.try_clone().unwrap();
    let writing = std::thread::spawn(move || while writer.write_all(&[b'x'; 8_192]).is_ok() {});
    let told = until_closed(&mut { endless });
    assert!(told.is_empty() || told.contains("connection: close"), "{told}");
    writing.join().unwrap();
    // Who is slow.
    let told = drip(ask("/v1/accounts", 1_000_000, ""));
    assert!(told.starts_with("HTTP/1.1 413") && told.contains("connection: close"), "{told}");
    // Who asks first is not told to go on.
    let told = until_closed(&mut ask("/v1/accounts", 1_000_000, "expect: 100-continue\r\n"));
    assert!(told.starts_with("HTTP/1.1 413") && told.contains("connection: close"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_inbox_is_shut_where_a_proxy_is_named() {
    for (name, value) in [("public_url", "https://accounts.example.com"), ("trusted_proxies", "10.0.0.0/8")] {
        let server = Server::start_with(Settings::default().with(name, value));
        for path in ["/dev/inbox.json", "/dev/inbox"] {
            server.client().get(path).await.refused(404, "not_found");
        }
    }
    let server = Server::start();
    server.client().get("/dev/inbox.json").await.expect(200);
    server.client().header("X-Forwarded-For", "203.0.113.1").get("/dev/inbox.json").await.refused(404, "not_found");
}
