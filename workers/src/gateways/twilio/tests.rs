#![expect(clippy::unwrap_used, reason = "tests")]

use domain::{delivery::FailureKind, secret::Secret, time::Timestamp};

use super::*;

const ORDER: &str = "0192d3a0-0000-7000-8000-000000000001";
/// Made with Python's `hmac` and `hashlib` over the address and the sorted form of [`FORM`].
const SIGNATURE: &str = "I1PjskIp/14tnRDI3UBqZTkONVg=";
const WITH_PORT: &str = "NgWL4/mxvLewTNAqlirCQorsmcw=";
const FORM: &str = "SmsSid=SM2&SmsStatus=delivered&MessageStatus=delivered&To=%2B436601234567&MessageSid=SM2\
                    &AccountSid=AC1&From=%2B15017122661&ApiVersion=2010-04-01";

fn secret(text: &str) -> SecretText {
    Secret::new(text.to_owned())
}

fn options() -> TwilioOptions {
    let sender = TwilioSender::From("+15017122661".to_owned());
    let mut options = TwilioOptions::new(format!("AC{}", "0".repeat(32)), secret("12345"), sender);
    options.public_url = Some("https://accounts.example.com".to_owned());
    options
}

fn receipts(options: &TwilioOptions) -> TwilioReceipts {
    TwilioReceipts::new(options).unwrap().unwrap()
}

fn query() -> String {
    format!("order={ORDER}&attempt=2")
}

fn read(
    receipts: &TwilioReceipts,
    query: &str,
    body: &str,
    signature: Option<&str>,
) -> Result<Receipt, ReceiptRefused> {
    let header = |name: &str| signature.filter(|_| name == "x-twilio-signature");
    receipts.read(&CallBack { query, header: &header, body: body.as_bytes(), now: Timestamp::from_seconds(1) })
}

/// The signature that Twilio would send, by the algorithm as it is documented, written once more.
fn signed(url: &str, token: &str, body: &str) -> String {
    let mut parameters: Vec<(String, String)> = form_urlencoded::parse(body.as_bytes()).into_owned().collect();
    parameters.sort();
    let text: String =
        std::iter::once(url.to_owned()).chain(parameters.into_iter().map(|(name, value)| name + &value)).collect();
    let mut mac = Hmac::<Sha1>::new_from_slice(token.as_bytes()).unwrap();
    mac.update(text.as_bytes());
    STANDARD.encode(mac.finalize().into_bytes())
}

fn told(status: &str, more: &str) -> Receipt {
    let body = format!("MessageStatus={status}&MessageSid=SM1{more}");
    let url = format!("https://accounts.example.com/v1/receipts/twilio?{}", query());
    read(&receipts(&options()), &query(), &body, Some(&signed(&url, "12345", &body))).unwrap()
}

#[test]
fn the_example_of_twilios_documentation_is_signed_alike() {
    let body = "CallSid=CA1234567890ABCDE&Caller=%2B14158675309&Digits=1234&From=%2B14158675309&To=%2B18005551212";
    let signature = signed("https://mycompany.com/myapp.php?foo=1&bar=2", "12345", body);
    assert_eq!(signature, "RSOYDt4T1cUTdK1PDd93/VVr8B8=");
}

#[test]
fn a_signed_call_back_names_order_and_attempt() {
    let receipt = read(&receipts(&options()), &query(), FORM, Some(SIGNATURE)).unwrap();
    let order_id = EventId(ORDER.parse().unwrap());
    assert_eq!(receipt, Receipt { order_id, attempt: 2, state: ReceiptState::Delivered });
}

#[test]
fn the_address_counts_with_its_port_and_without() {
    assert!(read(&receipts(&options()), &query(), FORM, Some(WITH_PORT)).is_ok());
    let mut on_a_port = options();
    on_a_port.public_url = Some("https://accounts.example.com:8443/".to_owned());
    for signature in ["WvBLnVVxUW5bybT2A1elASTY5Ow=", SIGNATURE] {
        assert!(read(&receipts(&on_a_port), &query(), FORM, Some(signature)).is_ok());
    }
    assert_eq!(read(&receipts(&on_a_port), &query(), FORM, Some(WITH_PORT)), Err(ReceiptRefused::Forged));
}

#[test]
fn whatever_is_changed_makes_it_a_forgery() {
    let receipts = receipts(&options());
    let query = query();
    let other_attempt = query.replace("attempt=2", "attempt=3");
    for (query, body, signature) in [
        (query.as_str(), FORM.replace("delivered", "failed"), Some(SIGNATURE)),
        (&query, format!("{FORM}&More=1"), Some(SIGNATURE)),
        (&query, String::new(), Some(SIGNATURE)),
        (&other_attempt, FORM.to_owned(), Some(SIGNATURE)),
        ("", FORM.to_owned(), Some(SIGNATURE)),
        (&query, FORM.to_owned(), None),
        (&query, FORM.to_owned(), Some("")),
        (&query, FORM.to_owned(), Some("not base64")),
        (&query, FORM.to_owned(), Some("I1PjskIp")),
    ] {
        assert_eq!(read(&receipts, query, &body, signature), Err(ReceiptRefused::Forged), "{query} {body}");
    }
}

#[test]
fn while_a_token_is_replaced_either_is_taken() {
    let mut rotating = options();
    rotating.auth_token = secret("the new one");
    assert_eq!(read(&receipts(&rotating), &query(), FORM, Some(SIGNATURE)), Err(ReceiptRefused::Forged));
    rotating.other_auth_tokens = vec![secret("12345")];
    assert!(read(&receipts(&rotating), &query(), FORM, Some(SIGNATURE)).is_ok());
}

#[test]
fn each_status_is_told_for_what_it_is() {
    for status in ["accepted", "scheduled", "queued", "sending", "sent", "something new"] {
        assert_eq!(told(status, "").state, ReceiptState::Pending, "{status}");
    }
    for status in ["delivered", "read"] {
        assert_eq!(told(status, "").state, ReceiptState::Delivered, "{status}");
    }
    for (status, code, reason) in [
        ("undelivered", "&ErrorCode=30003", "hard.unreachable"),
        ("undelivered", "&ErrorCode=30005", "hard.invalid_number"),
        ("undelivered", "&ErrorCode=30006", "hard.not_mobile"),
        ("failed", "&ErrorCode=30007", "hard.filtered"),
        ("failed", "&ErrorCode=99999", "hard.undelivered"),
        ("canceled", "", "hard.undelivered"),
    ] {
        assert_eq!(told(status, code).state, ReceiptState::Failed { reason }, "{status} {code}");
    }
}

#[test]
fn a_signed_call_back_without_an_order_cannot_be_read() {
    for query in ["", "order=1&attempt=1", "attempt=1", &format!("order={ORDER}"), &format!("order={ORDER}&attempt=-1")]
    {
        let mut url = "https://accounts.example.com/v1/receipts/twilio".to_owned();
        if !query.is_empty() {
            url = format!("{url}?{query}");
        }
        let refused = read(&receipts(&options()), query, FORM, Some(&signed(&url, "12345", FORM)));
        assert_eq!(refused, Err(ReceiptRefused::Unreadable), "{query}");
    }
}

#[test]
fn without_a_public_address_there_are_no_receipts() {
    let mut silent = options();
    silent.public_url = None;
    assert!(TwilioReceipts::new(&silent).unwrap().is_none());
}

#[test]
fn what_twilio_refuses_is_told_by_its_code_before_its_status() {
    let of = |status, code: u32| failure(status, format!("{{\"code\":{code},\"message\":\"+43660\"}}").as_bytes());
    for (status, code, kind, reason) in [
        (400, 21_211, FailureKind::Hard, "invalid_number"),
        (400, 21_614, FailureKind::Hard, "not_mobile"),
        (400, 21_610, FailureKind::Hard, "unsubscribed"),
        (403, 21_408, FailureKind::Hard, "no_route"),
        (400, 21_606, FailureKind::Hard, "sender_refused"),
        (401, 20_003, FailureKind::Hard, "credentials_refused"),
        (429, 20_429, FailureKind::Transient, "busy"),
        (400, 99_999, FailureKind::Hard, "refused"),
    ] {
        let error = of(status, code);
        assert_eq!((error.kind, error.reason), (kind, reason), "{code}");
    }
    assert_eq!(failure(503, b"<html>").kind, FailureKind::Transient);
    assert_eq!(failure(429, b"").kind, FailureKind::Transient);
    assert_eq!(failure(404, b"not json").kind, FailureKind::Hard);
}

#[test]
fn impossible_options_are_refused_with_one_line_that_shows_no_secret() {
    type Change = fn(&mut TwilioOptions);
    let changes: [(Change, &str); 9] = [
        (|o| o.name = "Twilio 1".to_owned(), "name"),
        (|o| o.account_sid = "AC1".to_owned(), "account_sid"),
        (|o| o.api_key = Some(("hunter2".to_owned(), secret("hunter2"))), "api_key_sid"),
        (|o| o.auth_token = secret(""), "auth_token"),
        (|o| o.sender = TwilioSender::From(" ".to_owned()), "from"),
        (|o| o.sender = TwilioSender::MessagingService("hunter2".to_owned()), "messaging_service_sid"),
        (|o| o.base_url = Some("http://api.example.com".to_owned()), "base_url"),
        (|o| o.timeout = Duration::from_secs(21), "timeout"),
        (|o| o.ca_file = Some("/nowhere/ca.pem".into()), "ca_file"),
    ];
    for (change, option) in changes {
        let mut options = options();
        change(&mut options);
        let error = TwilioGateway::new(&options).map(drop).unwrap_err();
        assert_eq!(error.option, option);
        let line = error.to_string();
        assert!(line.lines().count() == 1 && !line.contains("hunter2"), "{line}");
    }
    let mut open = options();
    open.other_auth_tokens = vec![secret("")];
    assert_eq!(TwilioReceipts::new(&open).map(drop).unwrap_err().option, "auth_token", "anybody could sign with it");
    let shown = format!("{:?} {:?}", TwilioGateway::new(&options()).unwrap(), receipts(&options()));
    assert!(!format!("{:?}{shown}", options()).contains("12345"));
}
