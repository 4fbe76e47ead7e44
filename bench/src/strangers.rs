//! What an owner waits while strangers press: 10,000 sources send hostile sign-ins, resets and sign-ups, half of them at
//! the owner's address, and meanwhile the owner signs in with password and app, from a place that is known and from one
//! that is not.

use std::{
    net::SocketAddr,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use domain::{account::totp_code, commands::TotpParameters, values::TotpSecret};
use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt, net::TcpStream, task::JoinSet};

use crate::{Failure, Measured, http, now, place::Place, quantile, report, server::Server};

const PASSWORD: &str = "korrekt-Pferd-Batterie-9";
const OWNER: &str = "owner@example.com";
const SOURCES: usize = 10_000;
/// Connections of the proxy from which all of it comes.
const CONNECTIONS: usize = 600;
/// The owner tries again after this, where a try was refused.
const AGAIN: Duration = Duration::from_secs(1);
/// A code of an app is good once.
const STEP: Duration = Duration::from_secs(31);

/// Options of the measurement.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Hostile requests a second
    #[arg(long, default_value_t = 500)]
    pub rate: u32,
    /// The owner's sign-ins: each from a place that is known, and from one that is not
    #[arg(long, default_value_t = 2)]
    pub rounds: usize,
}

/// What is measured with everything else.
pub const USUAL: Options = Options { rate: 500, rounds: 2 };

/// One client behind the proxy.
struct Client {
    address: SocketAddr,
    source: String,
    token: String,
}

impl Client {
    fn from(address: SocketAddr, source: usize) -> Self {
        let source = format!("10.{}.{}.{}", source >> 16 & 255, source >> 8 & 255, source & 255);
        Self { address, source, token: String::new() }
    }

    fn request(&self, method: &str, path: &str, body: &str) -> Vec<u8> {
        let token = match self.token.as_str() {
            "" => String::new(),
            token => format!("authorization: Bearer {token}\r\n"),
        };
        format!(
            "{method} {path} HTTP/1.1\r\nhost: bench\r\nx-forwarded-for: {}\r\n{token}content-type: application/json\r\n\
             content-length: {}\r\n\r\n{body}",
            self.source,
            body.len()
        )
        .into_bytes()
    }

    async fn ask(&self, method: &str, path: &str, body: &Value) -> Result<(u16, Value), Failure> {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let run = http::run(self.address, vec![self.request(method, path, &body)], 1).await?;
        let answer = run.answers.first().ok_or("no answer")?;
        Ok((answer.status, serde_json::from_slice(&answer.body).unwrap_or_default()))
    }

    async fn post(&self, path: &str, body: Value, status: u16) -> Result<Value, Failure> {
        match self.ask("POST", path, &body).await? {
            (answered, body) if answered == status => Ok(body),
            (answered, body) => Err(format!("{path} answered {answered}: {body}").into()),
        }
    }

    async fn mails(&self, subject: &str) -> Result<Vec<String>, Failure> {
        let (_, inbox) = self.ask("GET", &format!("/dev/inbox.json?to={OWNER}"), &Value::Null).await?;
        let items = inbox["items"].as_array().cloned().unwrap_or_default();
        let codes = items.iter().filter(|mail| mail["subject"].as_str().is_some_and(|text| text.contains(subject)));
        Ok(codes.filter_map(|mail| mail["code"].as_str().map(str::to_owned)).collect())
    }

    async fn mailed(&self, subject: &str) -> Result<String, Failure> {
        for _ in 0..500 {
            if let Some(code) = self.mails(subject).await?.into_iter().next() {
                return Ok(code);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Err(format!("no mail came: {subject}").into())
    }
}

fn text<'a>(value: &'a Value, pointer: &str) -> Result<&'a str, Failure> {
    value.pointer(pointer).and_then(Value::as_str).ok_or_else(|| format!("no {pointer} in {value}").into())
}

fn code(secret: &TotpSecret) -> String {
    totp_code(secret, TotpParameters::DEFAULT, now::now().as_seconds() / 30)
}

/// Measures it.
pub async fn measure(binary: &Path, place: &Place, options: &Options) -> Measured {
    let server = Server::start_behind_a_proxy(binary, place)?;
    let home = Client::from(server.address, 1 << 20);
    let secret = enrolled(&home).await?;
    tokio::time::sleep(STEP).await;

    let over = Arc::new(AtomicBool::new(false));
    let pressed = tokio::spawn(press(server.address, options.rate, Arc::clone(&over)));
    let alive = tokio::spawn(watch(server.address, Arc::clone(&over)));
    tokio::time::sleep(Duration::from_secs(10)).await;
    for round in 0..options.rounds {
        for is_known in [true, false] {
            let elsewhere = Client::from(server.address, (1 << 20) + 1 + round);
            let client = if is_known { &home } else { &elsewhere };
            let (took, tries, by_mail) = signed_in(client, &secret).await?;
            report(format_args!(
                "strangers: the owner from a {} place signed in within {:.2} s ({tries} tries{})",
                if is_known { "known" } else { "new" },
                took.as_secs_f64(),
                if by_mail { ", opened by a mail" } else { "" }
            ));
            tokio::time::sleep(STEP).await;
        }
    }
    over.store(true, Ordering::Relaxed);
    let alive = alive.await??;
    let (rate, statuses) = pressed.await??;
    report(format_args!("strangers: {SOURCES} sources sent {rate:.0} hostile requests a second: {statuses}"));
    report(format_args!(
        "strangers: /health/live meanwhile: p50 {:.1} ms, p99 {:.1} ms, longest {:.1} ms",
        quantile(&alive, 0.5).as_secs_f64() * 1_000.0,
        quantile(&alive, 0.99).as_secs_f64() * 1_000.0,
        quantile(&alive, 1.0).as_secs_f64() * 1_000.0
    ));
    Ok(())
}

/// An account with an app, signed in from home once, so that home is known.
async fn enrolled(home: &Client) -> Result<TotpSecret, Failure> {
    let login = json!({"email": OWNER, "password": PASSWORD});
    let created = home.post("/v1/accounts", login.clone(), 201).await?;
    let account = text(&created, "/account_id")?;
    let mailed = home.mailed("confirm your email address").await?;
    home.post(&format!("/v1/accounts/{account}/email/verify"), json!({"code": mailed}), 200).await?;
    let session = home.post("/v1/sign-in", login, 200).await?;
    let acting = Client { token: text(&session, "/session_token")?.to_owned(), ..Client::from(home.address, 1 << 20) };
    let check = acting.post("/v1/verifications", json!({"purpose": "add_method"}), 201).await?;
    let mailed = home.mailed("add a sign-in method").await?;
    let path = format!("/v1/verifications/{}/attempts", text(&check, "/verification/id")?);
    acting.post(&path, json!({"method": "email", "code": mailed}), 200).await?;
    let started = acting.post("/v1/accounts/me/methods/totp", json!({}), 201).await?;
    let key = totp_rs::Secret::try_from_base32(text(&started, "/secret")?).map_err(|_| "no key")?;
    let secret = TotpSecret::new(key.as_bytes().to_vec());
    let path = format!("/v1/accounts/me/methods/{}/enable", started["method_id"]);
    acting.post(&path, json!({"code": code(&secret)}), 200).await?;
    Ok(secret)
}

/// How long the owner takes, in how many tries, and whether a mail had to open the way.
async fn signed_in(client: &Client, secret: &TotpSecret) -> Result<(Duration, usize, bool), Failure> {
    let began = now::instant();
    let mut opening: Option<String> = None;
    for tries in 1..=60 {
        let body = json!({"email": OWNER, "password": PASSWORD, "opening_code": opening});
        match client.ask("POST", "/v1/sign-in", &body).await? {
            (202, started) => {
                let verification = &started["verification"];
                let holder = Client {
                    token: text(verification, "/token")?.to_owned(),
                    address: client.address,
                    source: client.source.clone(),
                };
                let path = format!("/v1/verifications/{}/attempts", text(verification, "/id")?);
                holder.post(&path, json!({"method": "totp", "code": code(secret)}), 200).await?;
                return Ok((began.elapsed(), tries, opening.is_some()));
            }
            (429 | 503, _) => {
                tokio::time::sleep(AGAIN).await;
                opening = client.mails("sign in from where you are").await?.into_iter().next();
            }
            (status, body) => return Err(format!("the owner was answered {status}: {body}").into()),
        }
    }
    Err("the owner did not get in".into())
}

/// One hostile request of a source.
fn hostile(address: SocketAddr, number: usize) -> Vec<u8> {
    let client = Client::from(address, number % SOURCES);
    let email = if number.is_multiple_of(2) { OWNER.to_owned() } else { format!("victim{number}@example.com") };
    let (path, body) = match number / 2 % 5 {
        0..=2 => ("/v1/sign-in", json!({"email": email, "password": format!("a guess number {number}")})),
        3 => ("/v1/password-resets", json!({"email": email})),
        _ => ("/v1/accounts", json!({"email": email, "password": format!("Strangers-Passwort-{number}")})),
    };
    client.request("POST", path, &body.to_string())
}

/// Sends so many a second until it is over: the rate that came about, and what was answered.
async fn press(address: SocketAddr, rate: u32, over: Arc<AtomicBool>) -> Result<(f64, String), Failure> {
    let (next, began) = (Arc::new(AtomicUsize::new(0)), now::instant());
    let mut clients = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let (next, over) = (Arc::clone(&next), Arc::clone(&over));
        clients.spawn(async move {
            let mut answered = std::collections::BTreeMap::<u16, usize>::new();
            let mut stream = TcpStream::connect(address).await?;
            let mut buffer = Vec::new();
            while !over.load(Ordering::Relaxed) {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let due = Duration::from_secs_f64(f64::from(u32::try_from(number)?) / f64::from(rate));
                tokio::time::sleep(due.saturating_sub(began.elapsed())).await;
                stream.write_all(&hostile(address, number)).await?;
                let answer = http::read(&mut stream, &mut buffer).await?;
                *answered.entry(answer.status).or_default() += 1;
            }
            Ok::<_, Failure>(answered)
        });
    }
    let mut all = std::collections::BTreeMap::<u16, usize>::new();
    while let Some(done) = clients.join_next().await {
        for (status, count) in done?? {
            *all.entry(status).or_default() += count;
        }
    }
    let count: usize = all.values().sum();
    let rate = f64::from(u32::try_from(count)?) / began.elapsed().as_secs_f64();
    let statuses: Vec<String> = all.iter().map(|(status, count)| format!("{count} times {status}")).collect();
    Ok((rate, statuses.join(", ")))
}

/// Asks whether it lives, twenty times a second; how long each answer took, sorted.
async fn watch(address: SocketAddr, over: Arc<AtomicBool>) -> Result<Vec<Duration>, Failure> {
    let request = Client::from(address, 1 << 21).request("GET", "/health/live", "");
    let mut stream = TcpStream::connect(address).await?;
    let (mut took, mut buffer) = (Vec::new(), Vec::new());
    while !over.load(Ordering::Relaxed) {
        let began = now::instant();
        stream.write_all(&request).await?;
        http::read(&mut stream, &mut buffer).await?;
        took.push(began.elapsed());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    took.sort_unstable();
    Ok(took)
}
