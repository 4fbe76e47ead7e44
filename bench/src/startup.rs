//! Time to start, and memory.

use std::{path::Path, time::Duration};

use serde_json::Value;

use crate::{Measured, http, place::Place, report, seed, server::Server};

const EVENTS_PER_ACCOUNT: usize = 5;
const PASSWORD: &str = "korrekt-Pferd-Batterie-9";

/// Starts the server over so many events: the time until it says where it serves, and its memory 30 s later.
pub async fn measure(binary: &Path, place: &Place, events: usize) -> Measured {
    seed::accounts(place, events / EVENTS_PER_ACCOUNT).await?;
    // Once, so that views are there; then what is measured.
    let first = Server::start(binary, place)?;
    report(format_args!("start-up: {events} events, views to be made: {:.0} ms", millis(first.took)));
    settle(&first, events).await?;
    drop(first);
    let server = Server::start(binary, place)?;
    report(format_args!("start-up: {events} events, views there: {:.0} ms", millis(server.took)));
    tokio::time::sleep(Duration::from_secs(30)).await;
    report(format_args!(
        "memory: {events} events, 30 s after start: {:.1} MB, {} threads",
        server.resident_mb()?,
        server.threads()?
    ));
    Ok(())
}

/// Waits until the views have caught up.
async fn settle(server: &Server, events: usize) -> Measured {
    let key = server.api_key("security:read")?;
    let request = format!(
        "GET /v1/security/accounts?limit=1 HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {key}\r\n\
         countersign-min-position: {events}\r\n\r\n"
    );
    for _ in 0..300 {
        let run = http::run(server.address, vec![request.clone().into_bytes()], 1).await?;
        if run.answers.iter().all(|answer| answer.status == 200) {
            return Ok(());
        }
    }
    Err("the views did not catch up".into())
}

/// Memory 60 s after 100 sign-ins with a password.
pub async fn memory(binary: &Path, place: &Place) -> Measured {
    let server = Server::start(binary, place)?;
    let login = |number: usize| format!("{{\"email\":\"m{number}@example.com\",\"password\":\"{PASSWORD}\"}}");
    let registrations = (0..100).map(|number| http::post("/v1/accounts", "", &login(number))).collect();
    let registered = http::run(server.address, without_token(registrations), 8).await?;
    for (number, answer) in registered.answers.iter().enumerate() {
        let body: Value = serde_json::from_slice(&answer.body)?;
        let account = body["account_id"].as_str().ok_or_else(|| format!("not registered: {body}"))?;
        let code = code(&server, number).await?;
        let confirm =
            http::post(&format!("/v1/accounts/{account}/email/verify"), "", &format!("{{\"code\":\"{code}\"}}"));
        http::run(server.address, without_token(vec![confirm]), 1).await?;
    }
    let sign_ins = (0..100).map(|number| http::post("/v1/sign-in", "", &login(number))).collect();
    let signed_in = http::run(server.address, without_token(sign_ins), 8).await?;
    let ok = signed_in.answers.iter().filter(|answer| answer.status == 200).count();
    report(format_args!(
        "memory: {ok} of 100 sign-ins at {:.0}/s; just after: {:.1} MB",
        signed_in.rate(),
        server.resident_mb()?
    ));
    tokio::time::sleep(Duration::from_mins(1)).await;
    report(format_args!("memory: 60 s after 100 sign-ins: {:.1} MB", server.resident_mb()?));
    Ok(())
}

/// The confirmation code of an address, from the inbox.
async fn code(server: &Server, number: usize) -> Result<String, crate::Failure> {
    let request = format!("GET /dev/inbox.json?to=m{number}@example.com HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n");
    for _ in 0..500 {
        let run = http::run(server.address, vec![request.clone().into_bytes()], 1).await?;
        let messages: Value = serde_json::from_slice(&run.answers[0].body)?;
        if let Some(code) = messages["items"][0]["code"].as_str() {
            return Ok(code.to_owned());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Err("no code came".into())
}

fn without_token(requests: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    let empty = "authorization: Bearer \r\n";
    requests.into_iter().map(|request| String::from_utf8_lossy(&request).replace(empty, "").into_bytes()).collect()
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}
