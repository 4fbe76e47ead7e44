//! An HTTP server that answers as it is told to, ill or well, and remembers what it was asked.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// What becomes of a request.
#[derive(Debug, Clone)]
pub enum Reply {
    /// This status and body.
    Say(u16, String),
    /// The same, this much later.
    Late(Duration, u16, String),
    /// Two answers to one request.
    Twice(u16, String),
    /// None, ever.
    Hang,
    /// None: the connection is closed.
    Close,
    /// Half an answer: the status and no body.
    Half(u16),
}

/// A request, as it came in.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Asked {
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

#[derive(Default)]
struct Shared {
    script: Mutex<VecDeque<Reply>>,
    asked: Mutex<Vec<Asked>>,
}

pub struct HttpServer {
    pub url: String,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl HttpServer {
    /// A server with this script; what comes after it is taken (`201 {"sid": "SM1", "id": "id-1"}`).
    pub async fn start(script: impl IntoIterator<Item = Reply>) -> Self {
        let shared = Arc::new(Shared { script: Mutex::new(script.into_iter().collect()), ..Shared::default() });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = Arc::clone(&shared);
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(serve(stream, Arc::clone(&server)));
            }
        });
        Self { url, shared, task }
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.shared.asked.lock().unwrap().clone()
    }
}

async fn serve(mut stream: TcpStream, shared: Arc<Shared>) {
    while let Some(asked) = read(&mut stream).await {
        shared.asked.lock().unwrap().push(asked);
        let taken = Reply::Say(201, "{\"sid\":\"SM1\",\"id\":\"id-1\"}".to_owned());
        let reply = shared.script.lock().unwrap().pop_front().unwrap_or(taken);
        let text =
            |status: u16, body: &str| format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        let bytes = match reply {
            Reply::Say(status, body) => text(status, &body),
            Reply::Late(wait, status, body) => {
                tokio::time::sleep(wait).await;
                text(status, &body)
            }
            Reply::Twice(status, body) => text(status, &body).repeat(2),
            Reply::Half(status) => format!("HTTP/1.1 {status} X\r\ncontent-length: 100\r\n\r\n{{\"sid\""),
            Reply::Close => return,
            Reply::Hang => std::future::pending().await,
        };
        let is_half = bytes.ends_with("{\"sid\"");
        if stream.write_all(bytes.as_bytes()).await.is_err() || is_half {
            return;
        }
    }
}

async fn read(stream: &mut TcpStream) -> Option<Asked> {
    let mut bytes = Vec::new();
    let head = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let text = String::from_utf8(bytes[..head].to_vec()).unwrap();
    let mut lines = text.lines();
    let path = lines.next()?.split(' ').nth(1)?.to_owned();
    let headers: Vec<_> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let length =
        headers.iter().find(|(name, _)| name == "content-length").map_or(0, |(_, value)| value.parse().unwrap());
    while bytes.len() < head + 4 + length {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
    let body = String::from_utf8(bytes[head + 4..head + 4 + length].to_vec()).unwrap();
    Some(Asked { path, headers, body })
}
