#![expect(clippy::unwrap_used, reason = "tests")]

use domain::secret::Secret;

use super::*;

const ORDER: &str = "0192d3a0-0000-7000-8000-000000000001";
const NOW: i64 = 1_795_000_000;

fn secret(text: &str) -> SecretText {
    Secret::new(text.to_owned())
}

fn options() -> WebhookOptions {
    WebhookOptions::new("https://sms.example.com/send", secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"))
}

fn read_at(now: i64, body: &str, change: impl Fn(&str, String) -> Option<String>) -> Result<Receipt, ReceiptRefused> {
    let timestamp = NOW.to_string();
    let signature = signature::sign(&options().keys().unwrap(), "msg_1", &timestamp, body.as_bytes());
    let headers =
        [("webhook-id", "msg_1".to_owned()), ("webhook-timestamp", timestamp), ("webhook-signature", signature)]
            .map(|(name, value)| (name, change(name, value)));
    let header =
        |wanted: &str| headers.iter().find(|(name, _)| *name == wanted).and_then(|(_, value)| value.as_deref());
    let now = Timestamp::from_seconds(now);
    WebhookReceipts::new(&options()).unwrap().read(&CallBack { query: "", header: &header, body: body.as_bytes(), now })
}

fn read(body: &str) -> Result<Receipt, ReceiptRefused> {
    read_at(NOW, body, |_, value| Some(value))
}

fn told(state: &str) -> String {
    format!("{{\"type\":\"sms.receipt\",\"data\":{{\"reference\":\"{ORDER}\",\"attempt\":2,{state}}}}}")
}

#[test]
fn a_signed_receipt_names_order_attempt_and_state() {
    let order_id = EventId(ORDER.parse().unwrap());
    for (state, expected) in [
        ("\"state\":\"delivered\"", ReceiptState::Delivered),
        ("\"state\":\"pending\"", ReceiptState::Pending),
        ("\"state\":\"failed\"", ReceiptState::Failed { reason: "hard.undelivered" }),
        ("\"state\":\"failed\",\"reason\":\"unreachable\"", ReceiptState::Failed { reason: "hard.unreachable" }),
        ("\"state\":\"failed\",\"reason\":\"no +436601234567\"", ReceiptState::Failed { reason: "hard.undelivered" }),
        ("\"state\":\"delivered\",\"carrier\":\"A\"", ReceiptState::Delivered),
    ] {
        assert_eq!(read(&told(state)), Ok(Receipt { order_id, attempt: 2, state: expected }), "{state}");
    }
}

#[test]
fn what_is_signed_but_says_nothing_cannot_be_read() {
    for body in ["", "{}", "null", "not json", &told("\"state\":\"lost\""), &told("\"state\":1"), "{\"data\":{}}"] {
        assert_eq!(read(body), Err(ReceiptRefused::Unreadable), "{body}");
    }
}

#[test]
fn an_unsigned_altered_or_old_receipt_is_a_forgery() {
    let body = told("\"state\":\"delivered\"");
    for missing in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
        let refused = read_at(NOW, &body, |name, value| (name != missing).then_some(value));
        assert_eq!(refused, Err(ReceiptRefused::Forged), "without {missing}");
        let refused =
            read_at(NOW, &body, |name, value| Some(if name == missing { format!("{value}1") } else { value }));
        assert_eq!(refused, Err(ReceiptRefused::Forged), "with another {missing}");
    }
    assert!(read_at(NOW + 299, &body, |_, value| Some(value)).is_ok());
    assert_eq!(read_at(NOW + 301, &body, |_, value| Some(value)), Err(ReceiptRefused::Forged));
    assert_eq!(read_at(NOW - 301, &body, |_, value| Some(value)), Err(ReceiptRefused::Forged));
}

#[test]
fn impossible_options_are_refused_with_one_line_that_shows_no_secret() {
    type Change = fn(&mut WebhookOptions);
    let changes: [(Change, &str); 6] = [
        (|o| o.name = String::new(), "name"),
        (|o| o.url = "http://sms.example.com".to_owned(), "url"),
        (|o| o.secrets = vec![secret("hunter2")], "secret"),
        (|o| o.secrets.clear(), "secret"),
        (|o| o.secrets.push(secret("whsec_hunter2")), "secret"),
        (|o| o.timeout = Duration::ZERO, "timeout"),
    ];
    for (change, option) in changes {
        let mut options = options();
        change(&mut options);
        let error = WebhookGateway::new(&options).map(drop).unwrap_err();
        assert_eq!(error.option, option);
        let line = error.to_string();
        assert!(line.lines().count() == 1 && !line.contains("hunter2"), "{line}");
    }
    let shown =
        format!("{:?} {:?}", WebhookGateway::new(&options()).unwrap(), WebhookReceipts::new(&options()).unwrap());
    assert!(!format!("{:?}{shown}", options()).contains("MfKQ"));
}
