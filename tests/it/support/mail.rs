//! A mail server of a few lines: it takes every mail and shows it, as the mail catcher of `compose.yaml` does.

use std::{
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

use serde_json::{Value, json};

/// The catcher. A clone is the same one.
#[derive(Debug, Clone)]
pub struct MailCatcher {
    port: u16,
    mails: Arc<Mutex<Vec<Value>>>,
}

impl MailCatcher {
    /// One on a free port of loopback.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let catcher = Self { port: listener.local_addr().expect("an address").port(), mails: Arc::default() };
        let server = catcher.clone();
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let server = server.clone();
                thread::spawn(move || server.talk(&stream));
            }
        });
        catcher
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// All mails to an address, newest first, in the form of the development inbox; and who each is `from`.
    pub fn inbox(&self, to: &str) -> Vec<Value> {
        self.mails.lock().unwrap().iter().rev().filter(|mail| mail["to"] == to).cloned().collect()
    }

    /// How many it took.
    pub fn count(&self) -> usize {
        self.mails.lock().unwrap().len()
    }

    /// One connection, until its end.
    fn talk(&self, mut stream: &TcpStream) -> Option<()> {
        let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
        let mut to = String::new();
        stream.write_all(b"220 mail\r\n").ok()?;
        loop {
            let line = lines.next()?;
            let answer = match line.split([' ', ':']).next()?.to_ascii_uppercase().as_str() {
                "RCPT" => {
                    line.split(['<', '>']).nth(1)?.clone_into(&mut to);
                    "250 ok"
                }
                "DATA" => {
                    stream.write_all(b"354 go on\r\n").ok()?;
                    let content: Vec<String> = lines.by_ref().take_while(|line| line != ".").collect();
                    self.mails.lock().unwrap().push(read(&to, &content));
                    "250 queued"
                }
                "QUIT" => return None,
                _ => "250 ok",
            };
            stream.write_all(format!("{answer}\r\n").as_bytes()).ok()?;
        }
    }
}

/// A mail as it is shown. A code stands on a line of its own.
fn read(to: &str, content: &[String]) -> Value {
    let header = |name: &str| content.iter().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    let is_long = |line: &str| {
        let groups: Vec<&str> = line.split('-').collect();
        let is_group = |group: &&str| group.len() == 4 && group.bytes().all(|byte| byte.is_ascii_alphanumeric());
        groups.len() == 3 && groups.iter().all(is_group)
    };
    let is_short = |line: &str| line.len() == 6 && line.bytes().all(|byte| byte.is_ascii_digit());
    let is_code = |line: &&str| is_short(line) || is_long(line);
    let code = content.iter().map(|line| line.trim()).find(is_code);
    json!({
        "channel": "email", "to": to, "from": header("From: "), "subject": header("Subject: "),
        "body": content.join("\n"), "code": code,
    })
}
