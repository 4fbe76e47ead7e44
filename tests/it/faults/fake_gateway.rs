//! A provider of text messages that behaves as badly as a test wants, behind the signed webhook or as Twilio.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use serde_json::{Value, json};

use super::{load::delivery, signed::Receipt};
use crate::support::Settings;

/// Both ends know it.
pub const SECRET: &str = "a-secret-of-thirty-two-characters";

/// What the provider speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// The webhook of `docs/webhook-gateway.md`.
    Webhook,
    /// Twilio's REST API.
    Twilio,
}

/// How the provider behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    /// Takes the message.
    Takes,
    /// Takes the message, and says so twice.
    SaysItTwice,
    /// Answers 500 and takes nothing.
    Breaks,
    /// Takes the message, and says so so late that nobody listens any more.
    TakesAndAnswersAfter(Duration),
    /// Never answers, and takes nothing.
    Hangs,
}

/// A message that the provider took.
#[derive(Debug, Clone)]
pub struct Text {
    /// The order.
    pub reference: String,
    /// The try.
    pub attempt: u64,
    /// The number.
    pub to: String,
    /// The words.
    pub body: String,
    /// Where its receipt is to go, if anywhere.
    pub receipts: Option<String>,
}

/// The provider. A clone is the same one.
#[derive(Debug, Clone)]
pub struct FakeGateway {
    name: &'static str,
    protocol: Protocol,
    url: String,
    mood: Arc<Mutex<Mood>>,
    taken: Arc<Mutex<Vec<Text>>>,
    asked: Arc<Mutex<usize>>,
}

impl FakeGateway {
    /// One that takes everything.
    pub fn start(name: &'static str) -> Self {
        Self::speaking(Protocol::Webhook, name)
    }

    /// The same with this protocol.
    pub fn speaking(protocol: Protocol, name: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/messages", listener.local_addr().unwrap());
        let mood = Arc::new(Mutex::new(Mood::Takes));
        let gateway = Self { name, protocol, url, mood, taken: Arc::default(), asked: Arc::default() };
        let provider = gateway.clone();
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let provider = provider.clone();
                thread::spawn(move || provider.answer(stream));
            }
        });
        gateway
    }

    /// The settings that send texts by these, in their order. A second is long enough for an answer.
    pub fn settings(gateways: &[&Self]) -> String {
        let entry = |gateway: &&Self| {
            let Self { name, url, .. } = gateway;
            let own = match gateway.protocol {
                Protocol::Webhook => format!("kind = \"webhook\", url = \"{url}\", secret = \"{SECRET}\""),
                Protocol::Twilio => format!(
                    "kind = \"twilio\", base_url = \"{url}\", auth_token = \"{SECRET}\", from = \"+15005550006\", \
                     account_sid = \"AC0123456789abcdef0123456789abcdef\""
                ),
            };
            format!("{{ {own}, name = \"{name}\", timeout = 1 }}")
        };
        format!("[{}]", gateways.iter().map(entry).collect::<Vec<_>>().join(", "))
    }

    /// Those settings with others.
    pub fn with(gateways: &[&Self], settings: Settings) -> Settings {
        settings.with("sms", &Self::settings(gateways))
    }

    /// From now on it behaves so.
    pub fn behave(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    /// How often it was asked, whatever it did.
    pub fn asked(&self) -> usize {
        *self.asked.lock().unwrap()
    }

    /// What it tells of a message that it took, signed.
    pub fn receipt(&self, text: &Text, state: &str, now: u64) -> Receipt {
        match self.protocol {
            Protocol::Webhook => Receipt::by_webhook(text, state, now),
            Protocol::Twilio => Receipt::by_twilio(text, state),
        }
    }

    /// What it took.
    pub fn taken(&self) -> Vec<Text> {
        self.taken.lock().unwrap().clone()
    }

    /// What it took for one number.
    pub fn taken_for(&self, to: &str) -> Vec<Text> {
        self.taken().into_iter().filter(|text| text.to == to).collect()
    }

    /// The code in the last message to a number.
    pub fn code(&self, to: &str) -> Option<String> {
        self.taken_for(to).last().map(Text::code)
    }

    /// What the provider took is what the history says: no send without its record, none after its end, one copy
    /// of each, and one more where an outcome was unknown; every copy says the same.
    pub fn agrees_with(&self, history: &[Value]) {
        for order in history.iter().filter(|event| event["data"]["channel"] == "sms" && event["type"] == "CodeIssued") {
            let reference = order["id"].as_str().unwrap();
            let copies: Vec<Text> = self.taken().into_iter().filter(|text| text.reference == reference).collect();
            let record: Vec<&Value> = delivery(history, order).collect();
            let count = |name: &str| record.iter().filter(|event| event["type"] == name).count();
            for copy in &copies {
                let is_recorded =
                    |event: &&Value| event["type"] == "SendStarted" && event["data"]["attempt"] == copy.attempt;
                assert!(record.iter().any(is_recorded), "a send without its record: {record:?}");
                assert_eq!(copy.code(), copies[0].code(), "copies of one order say the same");
            }
            assert!(copies.len() <= 1 + count("SendOutcomeUnknown").min(1), "{} copies: {record:?}", copies.len());
            if count("CodeDispatched") > 0 {
                assert!(!copies.is_empty(), "a record without its send: {record:?}");
            }
        }
    }

    fn answer(&self, stream: TcpStream) {
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let mut stream = stream;
        while let Some((head, body)) = request(&mut reader) {
            *self.asked.lock().unwrap() += 1;
            let mood = *self.mood.lock().unwrap();
            if !matches!(mood, Mood::Breaks | Mood::Hangs) {
                self.take(&head, &body);
            }
            let answered = match mood {
                Mood::Takes => respond(&mut stream, 200),
                Mood::SaysItTwice => respond(&mut stream, 200).and_then(|()| respond(&mut stream, 200)),
                Mood::Breaks => respond(&mut stream, 500),
                Mood::TakesAndAnswersAfter(time) => {
                    // So long, or until whoever waits hangs up: the answer reaches nobody then.
                    stream.set_read_timeout(Some(time)).unwrap();
                    drop(reader.read(&mut [0; 1]));
                    respond(&mut stream, 200)
                }
                // Until whoever waits hangs up.
                Mood::Hangs => reader.read(&mut [0; 1]).and(Err(std::io::ErrorKind::TimedOut.into())),
            };
            if answered.is_err() {
                return;
            }
        }
    }

    fn take(&self, head: &str, body: &[u8]) {
        let header = |name: &str| {
            let line = head.lines().find(|line| line.to_ascii_lowercase().starts_with(&format!("{name}:")));
            line.and_then(|line| line.split_once(':')).map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
        };
        let text = match self.protocol {
            Protocol::Webhook => {
                assert!(header("webhook-signature").starts_with("v1,"), "{head}");
                Text::posted(body)
            }
            Protocol::Twilio => {
                assert!(header("authorization").starts_with("Basic "), "{head}");
                Text::created(body)
            }
        };
        self.taken.lock().unwrap().push(text);
    }
}

impl Text {
    /// As it is posted to a webhook.
    fn posted(body: &[u8]) -> Self {
        let posted: Value = serde_json::from_slice(body).unwrap();
        let data = &posted["data"];
        let text = |field: &str| data[field].as_str().unwrap_or_default().to_owned();
        Self {
            reference: text("reference"),
            attempt: data["attempt"].as_u64().unwrap(),
            to: text("to"),
            body: text("body"),
            receipts: data["receipt_url"].as_str().map(str::to_owned),
        }
    }

    /// As it is created at Twilio, which knows of order and try from the address of the call-back alone.
    fn created(body: &[u8]) -> Self {
        let fields = |text: &[u8]| form_urlencoded::parse(text).into_owned().collect::<BTreeMap<String, String>>();
        let mut form = fields(body);
        let receipts = form.remove("StatusCallback").expect("an address for receipts");
        let mut named = fields(receipts.split_once('?').expect("a query").1.as_bytes());
        Self {
            reference: named.remove("order").unwrap(),
            attempt: named["attempt"].parse().unwrap(),
            to: form.remove("To").unwrap(),
            body: form.remove("Body").unwrap(),
            receipts: Some(receipts),
        }
    }

    /// The six digits within.
    pub fn code(&self) -> String {
        let words = self.body.split(|c: char| !c.is_ascii_digit());
        words.into_iter().find(|word| word.len() == 6).expect("a code").to_owned()
    }
}

/// The next request on a connection: its head and its body.
fn request(reader: &mut impl BufRead) -> Option<(String, Vec<u8>)> {
    let mut head = String::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if line == "\r\n" {
            break;
        }
        head.push_str(&line);
    }
    let length =
        head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length:").map(str::to_owned));
    let mut body = vec![0; length.and_then(|text| text.trim().parse().ok()).unwrap_or(0)];
    reader.read_exact(&mut body).ok()?;
    Some((head, body))
}

fn respond(stream: &mut TcpStream, status: u16) -> std::io::Result<()> {
    let body = json!({"id": "provider-message", "sid": "SM00000000000000000000000000000001"}).to_string();
    write!(
        stream,
        "HTTP/1.1 {status} Whatever\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}
