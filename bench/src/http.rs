//! A load generator that costs next to nothing: prepared bytes over kept-alive connections.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
};

use crate::{Failure, now};

/// One request, ready to be written.
pub fn post(path: &str, token: &str, body: &str) -> Vec<u8> {
    format!(
        "POST {path} HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// An answer: its status and its body.
#[derive(Debug)]
pub struct Answer {
    /// Status.
    pub status: u16,
    /// Body.
    pub body: Vec<u8>,
}

/// What a run of requests came to.
#[derive(Debug)]
pub struct Run {
    /// From the first byte to the last.
    pub took: Duration,
    /// Of each request, sorted.
    pub latencies: Vec<Duration>,
    /// In the order of the requests.
    pub answers: Vec<Answer>,
}

impl Run {
    /// How long it took.
    pub fn seconds(&self) -> f64 {
        self.took.as_secs_f64()
    }

    /// Requests a second.
    #[expect(clippy::cast_precision_loss, reason = "a count of requests")]
    pub fn rate(&self) -> f64 {
        self.latencies.len() as f64 / self.took.as_secs_f64()
    }
}

/// Sends the requests over so many connections, each the next one as soon as its last is answered.
pub async fn run(address: SocketAddr, requests: Vec<Vec<u8>>, clients: usize) -> Result<Run, Failure> {
    let requests: Arc<[Vec<u8>]> = requests.into();
    let next = Arc::new(AtomicUsize::new(0));
    let mut connections = Vec::new();
    for _ in 0..clients {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        connections.push(stream);
    }
    let began = now::instant();
    let mut running = JoinSet::new();
    for stream in connections {
        running.spawn(client(stream, Arc::clone(&requests), Arc::clone(&next)));
    }
    let mut all = Vec::with_capacity(requests.len());
    while let Some(done) = running.join_next().await {
        all.extend(done??);
    }
    let took = began.elapsed();
    all.sort_by_key(|(index, ..)| *index);
    let mut latencies: Vec<Duration> = all.iter().map(|(_, latency, _)| *latency).collect();
    latencies.sort_unstable();
    Ok(Run { took, latencies, answers: all.into_iter().map(|(.., answer)| answer).collect() })
}

type Done = (usize, Duration, Answer);

async fn client(mut stream: TcpStream, requests: Arc<[Vec<u8>]>, next: Arc<AtomicUsize>) -> Result<Vec<Done>, Failure> {
    let mut done = Vec::new();
    let mut buffer = Vec::with_capacity(16 * 1024);
    loop {
        let index = next.fetch_add(1, Ordering::Relaxed);
        let Some(request) = requests.get(index) else { return Ok(done) };
        let began = now::instant();
        stream.write_all(request).await?;
        let answer = read(&mut stream, &mut buffer).await?;
        done.push((index, began.elapsed(), answer));
    }
}

/// The next answer on a connection.
pub async fn read(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Result<Answer, Failure> {
    buffer.clear();
    loop {
        if let Some(answer) = parse(buffer)? {
            return Ok(answer);
        }
        if stream.read_buf(buffer).await? == 0 {
            return Err("the server closed the connection".into());
        }
    }
}

/// The answer, once it is all there.
fn parse(bytes: &[u8]) -> Result<Option<Answer>, Failure> {
    let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else { return Ok(None) };
    let head = std::str::from_utf8(&bytes[..end])?;
    let status = head.split(' ').nth(1).and_then(|text| text.parse().ok()).ok_or("no status")?;
    let length = head
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .and_then(|(_, value)| value.trim().parse::<usize>().ok())
        .ok_or("no content-length")?;
    let body = &bytes[end + 4..];
    Ok((body.len() >= length).then(|| Answer { status, body: body[..length].to_vec() }))
}
