//! Text messages over HTTP: what Twilio and a webhook are asked, and what their answers lead to.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use domain::{
    secret::{Secret, SecretText},
    time::{Seconds, Timestamp},
};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::json;
use uuid::Uuid;
use workers::{
    FailureKind, GatewayError, SmsGateway, SmsMessage,
    gateways::{
        twilio::{TwilioGateway, TwilioOptions, TwilioSender},
        webhook::{WebhookGateway, WebhookOptions},
    },
};

use crate::support::{
    NUMBER,
    http_server::{Asked, HttpServer, Reply},
};

const CODE: &str = "123456";
const TOKEN: &str = "hunter2hunter2hunter2hunter2";
const REFERENCE: Uuid = Uuid::from_u128(0x0192_d3a0_0000_7000_8000_0000_0000_0001);

fn secret(text: &str) -> SecretText {
    Secret::new(text.to_owned())
}

fn account() -> String {
    format!("AC{}", "0a".repeat(16))
}

fn text() -> SmsMessage {
    let at = Timestamp::from_seconds(1_795_000_000);
    SmsMessage {
        reference: REFERENCE,
        attempt: 2,
        to: NUMBER.to_owned(),
        body: Secret::new(format!("{CODE} is your code. Ä & ü")),
        code: Some(Secret::new(CODE.to_owned())),
        at,
        expires_at: at.plus(Seconds::minutes(9)),
    }
}

fn twilio_options(server: &HttpServer) -> TwilioOptions {
    let mut options = TwilioOptions::new(account(), secret(TOKEN), TwilioSender::From("+15017122661".to_owned()));
    options.base_url = Some(server.url.clone());
    options.public_url = Some("https://accounts.example.com/".to_owned());
    options.timeout = Duration::from_secs(10);
    options
}

fn twilio(server: &HttpServer) -> TwilioGateway {
    TwilioGateway::new(&twilio_options(server)).unwrap()
}

fn webhook_options(server: &HttpServer) -> WebhookOptions {
    let mut options = WebhookOptions::new(format!("{}/send?tenant=1", server.url), secret(TOKEN));
    options.public_url = Some("https://accounts.example.com".to_owned());
    options
}

fn webhook(server: &HttpServer) -> WebhookGateway {
    WebhookGateway::new(&webhook_options(server)).unwrap()
}

/// Nothing of the text, of its reader or of the secrets is in a failure.
fn quiet(error: GatewayError) -> (FailureKind, &'static str) {
    let text = format!("{error} {error:?} {}", error.recorded_reason());
    for secret in [NUMBER, &NUMBER[1..], CODE, TOKEN, "127.0.0.1"] {
        assert!(!text.contains(secret), "{text}");
    }
    (error.kind, error.reason)
}

fn form(asked: &Asked) -> Vec<(String, String)> {
    form_urlencoded::parse(asked.body.as_bytes()).into_owned().collect()
}

#[tokio::test]
async fn twilio_is_asked_for_a_message_with_a_call_back_that_names_gateway_order_and_attempt() {
    let server = HttpServer::start([]).await;
    let accepted = twilio(&server).send(&text()).await.unwrap();
    assert_eq!(accepted.provider_message_id.as_deref(), Some("SM1"));
    assert!(!accepted.is_delivered);
    let asked = &server.asked()[0];
    assert_eq!(asked.path, format!("/2010-04-01/Accounts/{}/Messages.json", account()));
    let basic = STANDARD.encode(format!("{}:{TOKEN}", account()));
    assert_eq!(asked.header("authorization"), format!("Basic {basic}"));
    assert_eq!(asked.header("content-type"), "application/x-www-form-urlencoded");
    let call_back = format!("https://accounts.example.com/v1/receipts/twilio?order={REFERENCE}&attempt=2");
    let wanted = [
        ("To", NUMBER),
        ("Body", "123456 is your code. Ä & ü"),
        ("From", "+15017122661"),
        ("ValidityPeriod", "540"),
        ("StatusCallback", &call_back),
    ];
    assert_eq!(form(asked), wanted.map(|(name, value)| (name.to_owned(), value.to_owned())));
}

#[tokio::test]
async fn twilio_is_checked_by_a_call_that_changes_nothing() {
    let key = Some((format!("SK{}", "1".repeat(32)), secret("key secret")));
    for (key, path) in [(None, ".json"), (key, "/IncomingPhoneNumbers.json?PageSize=1")] {
        for (status, found) in [
            (200, Some(Ok(()))),
            (401, Some(Err((FailureKind::Hard, "credentials_refused")))),
            (403, None),
            (503, Some(Err((FailureKind::Transient, "gateway_error")))),
        ] {
            let server = HttpServer::start([Reply::Say(status, "{}".to_owned())]).await;
            let options = TwilioOptions { api_key: key.clone(), ..twilio_options(&server) };
            let checked = TwilioGateway::new(&options).unwrap().check().await;
            assert_eq!(checked.map(|checked| checked.map_err(quiet)), found, "{status}");
            let asked = &server.asked()[0];
            assert_eq!(asked.path, format!("/2010-04-01/Accounts/{}{path}", account()));
            assert!(asked.body.is_empty() && !asked.header("authorization").is_empty());
        }
    }
}

#[tokio::test]
async fn a_webhook_knows_no_harmless_call() {
    let server = HttpServer::start([]).await;
    assert_eq!(webhook(&server).check().await, None);
    assert!(server.asked().is_empty());
}

#[tokio::test]
async fn twilio_takes_an_api_key_and_a_messaging_service_and_may_be_asked_for_no_receipts() {
    let server = HttpServer::start([]).await;
    let mut options = twilio_options(&server);
    let (key, service) = (format!("SK{}", "1".repeat(32)), format!("MG{}", "2".repeat(32)));
    options.api_key = Some((key.clone(), secret("key secret")));
    options.sender = TwilioSender::MessagingService(service.clone());
    options.public_url = None;
    TwilioGateway::new(&options).unwrap().send(&text()).await.unwrap();
    let asked = &server.asked()[0];
    let basic = STANDARD.encode(format!("{key}:key secret"));
    assert_eq!(asked.header("authorization"), format!("Basic {basic}"));
    let form = form(asked);
    assert!(form.contains(&("MessagingServiceSid".to_owned(), service)));
    assert!(form.iter().all(|(name, _)| name != "From" && name != "StatusCallback"));
}

#[tokio::test]
async fn what_twilio_answers_says_what_may_be_tried_next() {
    let refusal = |status, code| Reply::Say(status, json!({"code": code, "message": NUMBER}).to_string());
    for (reply, kind, reason) in [
        (refusal(400, 21211), FailureKind::Hard, "invalid_number"),
        (refusal(400, 21610), FailureKind::Hard, "unsubscribed"),
        (refusal(400, 21614), FailureKind::Hard, "not_mobile"),
        (refusal(401, 20003), FailureKind::Hard, "credentials_refused"),
        (refusal(429, 20429), FailureKind::Transient, "busy"),
        (Reply::Say(500, "<html>".to_owned()), FailureKind::Transient, "gateway_error"),
        (Reply::Say(503, String::new()), FailureKind::Transient, "gateway_error"),
        (Reply::Say(307, String::new()), FailureKind::Hard, "redirected"),
        (Reply::Close, FailureKind::TimedOut, "timed_out"),
    ] {
        let told = format!("{reply:?}");
        let server = HttpServer::start([reply]).await;
        assert_eq!(quiet(twilio(&server).send(&text()).await.unwrap_err()), (kind, reason), "{told}");
        assert_eq!(server.asked().len(), 1, "asked once");
    }
}

#[tokio::test]
async fn a_gateway_that_is_slow_has_an_unknown_outcome_and_its_late_answer_belongs_to_nobody() {
    let late = Reply::Late(Duration::from_millis(400), 201, "{\"sid\":\"LATE\"}".to_owned());
    let server = HttpServer::start([Reply::Hang, late]).await;
    let mut options = twilio_options(&server);
    options.timeout = Duration::from_millis(250);
    let gateway = TwilioGateway::new(&options).unwrap();
    for _ in 0..2 {
        assert_eq!(quiet(gateway.send(&text()).await.unwrap_err()).0, FailureKind::TimedOut);
    }
    let accepted = gateway.send(&text()).await.unwrap();
    assert_eq!(accepted.provider_message_id.as_deref(), Some("SM1"), "not that of the one before");
}

#[tokio::test]
async fn an_answer_that_comes_twice_counts_once() {
    let twice = Reply::Twice(201, "{\"sid\":\"FIRST\"}".to_owned());
    let server = HttpServer::start([twice]).await;
    let gateway = twilio(&server);
    assert_eq!(gateway.send(&text()).await.unwrap().provider_message_id.as_deref(), Some("FIRST"));
    assert_eq!(gateway.send(&text()).await.unwrap().provider_message_id.as_deref(), Some("SM1"));
}

#[tokio::test]
async fn a_yes_whose_rest_is_lost_is_a_yes() {
    for reply in
        [Reply::Half(201), Reply::Say(200, "not json".to_owned()), Reply::Say(201, "{\"sid\":\"x y\"}".to_owned())]
    {
        let server = HttpServer::start([reply]).await;
        assert_eq!(twilio(&server).send(&text()).await.unwrap().provider_message_id, None);
    }
}

#[tokio::test]
async fn without_a_connection_nothing_was_sent() {
    let url = HttpServer::start([]).await.url.clone();
    let mut options = WebhookOptions::new(url, secret(TOKEN));
    options.timeout = Duration::from_secs(5);
    let error = WebhookGateway::new(&options).unwrap().send(&text()).await.unwrap_err();
    assert_eq!(quiet(error), (FailureKind::Transient, "unreachable"));
}

#[tokio::test]
async fn a_webhook_is_posted_a_signed_message_whose_id_is_that_of_the_send() {
    let server = HttpServer::start([]).await;
    let accepted = webhook(&server).send(&text()).await.unwrap();
    assert_eq!(accepted.provider_message_id.as_deref(), Some("id-1"));
    let asked = &server.asked()[0];
    assert_eq!((asked.path.as_str(), asked.header("content-type")), ("/send?tenant=1", "application/json"));
    let data = json!({
        "reference": REFERENCE, "attempt": 2, "to": NUMBER, "body": "123456 is your code. Ä & ü",
        "expires_at": text().expires_at, "receipt_url": "https://accounts.example.com/v1/receipts/webhook",
    });
    assert_eq!(asked.json(), json!({"type": "sms.send", "timestamp": text().at, "data": data}));
    let (id, timestamp) = (asked.header("webhook-id"), asked.header("webhook-timestamp"));
    assert_eq!((id, timestamp), ("msg_0192d3a0000070008000000000000001", "1795000000"));
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(TOKEN.as_bytes()).unwrap();
    mac.update(format!("{id}.{timestamp}.{}", asked.body).as_bytes());
    let expected = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
    assert_eq!(asked.header("webhook-signature"), expected);
}

#[tokio::test]
async fn a_webhook_signs_with_both_secrets_while_one_is_replaced_and_may_say_that_it_arrived() {
    let server = HttpServer::start([Reply::Say(200, "{\"delivered\":true}".to_owned())]).await;
    let mut options = webhook_options(&server);
    options.secrets.insert(0, secret("another secret of enough bytes"));
    let accepted = WebhookGateway::new(&options).unwrap().send(&text()).await.unwrap();
    assert!(accepted.is_delivered && accepted.provider_message_id.is_none());
    assert_eq!(server.asked()[0].header("webhook-signature").split(' ').count(), 2);
}

#[tokio::test]
async fn what_a_webhook_answers_says_what_may_be_tried_next() {
    for (status, kind, reason) in [
        (400, FailureKind::Hard, "refused"),
        (401, FailureKind::Hard, "credentials_refused"),
        (410, FailureKind::Hard, "refused"),
        (302, FailureKind::Hard, "redirected"),
        (408, FailureKind::Transient, "busy"),
        (429, FailureKind::Transient, "busy"),
        (502, FailureKind::Transient, "gateway_error"),
    ] {
        let server = HttpServer::start([Reply::Say(status, NUMBER.to_owned())]).await;
        assert_eq!(quiet(webhook(&server).send(&text()).await.unwrap_err()), (kind, reason), "{status}");
        assert_eq!(server.asked().len(), 1);
    }
}
