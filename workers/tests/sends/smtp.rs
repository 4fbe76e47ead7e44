//! Mail over a real connection: what travels, what is refused, and what every failure leads to.

use std::time::Duration;

use domain::{secret::Secret, time::Timestamp};
use uuid::Uuid;
use workers::{
    EmailGateway, EmailMessage, FailureKind, GatewayError,
    gateways::smtp::{SmtpGateway, SmtpOptions, SmtpTls},
};

use crate::support::smtp_server::{Authority, Protection, SmtpServer, Taken, Word};

const TO: &str = "ada@example.org";
const CODE: &str = "654321";
const REFERENCE: Uuid = Uuid::from_u128(0x0192_d3a0_0000_7000_8000_0000_0000_0001);

fn mail() -> EmailMessage {
    EmailMessage {
        reference: REFERENCE,
        to: TO.to_owned(),
        subject: "Your Käsehaus code to sign in".to_owned(),
        body: Secret::new(format!("Your code is:\n\n    {CODE}\n\n.a line with a dot\n")),
        html: Secret::new(format!("<!DOCTYPE html>\n<p>{CODE}</p>\n")),
        code: Some(Secret::new(CODE.to_owned())),
        at: Timestamp::from_seconds(1_795_000_000),
    }
}

fn options(server: &SmtpServer, tls: SmtpTls) -> SmtpOptions {
    let mut options = SmtpOptions::new("localhost", "Käsehaus <no-reply@example.com>");
    options.port = Some(server.port);
    options.tls = tls;
    options.timeout = Duration::from_secs(10);
    options
}

fn plain(server: &SmtpServer) -> SmtpGateway {
    SmtpGateway::new(options(server, SmtpTls::None)).unwrap()
}

/// A gateway that soon loses its patience.
fn hasty(server: &SmtpServer) -> SmtpGateway {
    let timeout = Duration::from_millis(450);
    SmtpGateway::new(SmtpOptions { timeout, ..options(server, SmtpTls::None) }).unwrap()
}

fn protected(server: &SmtpServer, tls: SmtpTls, authority: &Authority) -> SmtpGateway {
    let mut options = options(server, tls);
    options.ca_file = Some(authority.ca_file());
    options.user = Some("ada".to_owned());
    options.password = Some(Secret::new("hunter2".to_owned()));
    SmtpGateway::new(options).unwrap()
}

/// Nothing of the mail, of its reader or of the login is in a failure.
fn quiet(error: GatewayError) -> (FailureKind, &'static str) {
    let text = format!("{error} {error:?} {}", error.recorded_reason());
    for secret in [TO, "ada", CODE, "hunter2", "no such user", "550"] {
        assert!(!text.contains(secret), "{text}");
    }
    (error.kind, error.reason)
}

/// The part of this type, its transfer encoding undone as far as these tests need it.
fn part(mail: &Taken, kind: &str) -> String {
    let start = mail.content.find(&format!("Content-Type: {kind}")).unwrap();
    let part = &mail.content[start..];
    let body = part.split_once("\r\n\r\n").unwrap().1.split("\r\n--").next().unwrap();
    body.replace("=\r\n", "")
}

#[tokio::test]
async fn a_mail_travels_as_text_and_html_under_an_id_of_its_own() {
    let server = SmtpServer::plain([]).await;
    let accepted = plain(&server).send(&mail()).await.unwrap();
    assert_eq!(accepted.provider_message_id, Some(format!("{REFERENCE}@example.com")));
    assert!(!accepted.is_delivered, "that a server has it is no receipt");
    let taken = server.taken();
    assert_eq!(taken.len(), 1);
    let mail = &taken[0];
    assert_eq!(
        (mail.from.as_str(), mail.to.as_str()),
        ("MAIL FROM:<no-reply@example.com>", "RCPT TO:<ada@example.org>")
    );
    for line in [
        &format!("Message-ID: <{REFERENCE}@example.com>"),
        "Auto-Submitted: auto-generated",
        "MIME-Version: 1.0",
        "To: ada@example.org",
        "Date: Wed, 18 Nov 2026 11:06:40 +0000",
    ] {
        assert!(mail.content.contains(&format!("{line}\r\n")), "{line} in {}", mail.content);
    }
    assert!(mail.content.contains("Content-Type: multipart/alternative;"));
    assert!(mail.content.is_ascii() && !mail.content.contains("Käsehaus"), "encoded words in headers");
    let (text, html) = (mail.content.find("text/plain").unwrap(), mail.content.find("text/html").unwrap());
    assert!(text < html, "what is better comes last (RFC 2046, 5.1.4)");
    assert!(part(mail, "text/plain").contains("    654321") && part(mail, "text/plain").contains("\r\n.a line"));
    assert!(part(mail, "text/html").contains("<p>654321</p>"));
    assert!(mail.content.lines().all(|line| line.len() <= 998));
}

#[tokio::test]
async fn the_repeat_of_a_send_has_the_same_message_id() {
    let server = SmtpServer::plain([]).await;
    for gateway in [plain(&server), plain(&server)] {
        gateway.send(&mail()).await.unwrap();
    }
    let id = |mail: &Taken| mail.content.lines().find(|line| line.starts_with("Message-ID")).unwrap().to_owned();
    let taken = server.taken();
    assert_eq!(id(&taken[0]), id(&taken[1]));
}

#[tokio::test]
async fn a_connection_is_kept_for_the_next_mail() {
    let server = SmtpServer::plain([]).await;
    let gateway = plain(&server);
    for _ in 0..3 {
        gateway.send(&mail()).await.unwrap();
    }
    assert_eq!((server.taken().len(), server.connections()), (3, 1));
}

#[tokio::test]
async fn no_more_connections_are_made_than_the_pool_has_room_for() {
    let server = SmtpServer::plain([]).await;
    let options = SmtpOptions { pool_size: 2, ..options(&server, SmtpTls::None) };
    let gateway = std::sync::Arc::new(SmtpGateway::new(options).unwrap());
    let sends: Vec<_> = (0..12)
        .map(|_| {
            let gateway = gateway.clone();
            tokio::spawn(async move { gateway.send(&mail()).await })
        })
        .collect();
    for send in sends {
        send.await.unwrap().unwrap();
    }
    assert_eq!(server.taken().len(), 12);
    assert!(server.connections() <= 2, "{}", server.connections());
}

#[tokio::test]
async fn a_kept_connection_that_the_server_has_closed_is_replaced() {
    for end in [Word::Close, Word::Say("421 4.4.2 idle for too long")] {
        let server = SmtpServer::plain([("MAIL", Word::Say("250 ok")), ("MAIL", end)]).await;
        let gateway = plain(&server);
        gateway.send(&mail()).await.unwrap();
        gateway.send(&mail()).await.unwrap();
        assert_eq!((server.taken().len(), server.connections()), (2, 2));
    }
}

#[tokio::test]
async fn starttls_and_implicit_tls_protect_login_and_mail() {
    let authority = Authority::for_host("localhost");
    for (protection, tls) in [(Protection::Starttls, SmtpTls::Starttls), (Protection::Implicit, SmtpTls::Implicit)] {
        let server = SmtpServer::start(protection, Some(&authority), true, []).await;
        let gateway = protected(&server, tls, &authority);
        gateway.check().await.unwrap();
        gateway.send(&mail()).await.unwrap();
        let taken = server.taken();
        assert!(taken.len() == 1 && taken[0].is_protected, "{tls:?}");
        assert!(!taken[0].login.is_empty());
    }
}

#[tokio::test]
async fn a_server_without_starttls_is_refused_and_told_nothing() {
    let server = SmtpServer::start(Protection::None, None, true, []).await;
    let authority = Authority::for_host("localhost");
    let gateway = protected(&server, SmtpTls::Starttls, &authority);
    let error = gateway.send(&mail()).await.unwrap_err();
    assert_eq!(quiet(error), (FailureKind::Transient, "no_starttls"));
    assert!(server.taken().is_empty());
}

#[tokio::test]
async fn a_certificate_of_somebody_else_is_refused() {
    let (ours, other) = (Authority::for_host("localhost"), Authority::for_host("localhost"));
    let elsewhere = Authority::for_host("mail.example.com");
    for (protection, tls) in [(Protection::Starttls, SmtpTls::Starttls), (Protection::Implicit, SmtpTls::Implicit)] {
        for (server_has, we_trust) in [(&other, &ours), (&elsewhere, &elsewhere)] {
            let server = SmtpServer::start(protection, Some(server_has), true, []).await;
            let error = protected(&server, tls, we_trust).send(&mail()).await.unwrap_err();
            assert_eq!(quiet(error), (FailureKind::Transient, "tls_refused"), "{tls:?}");
            assert!(server.taken().is_empty());
        }
    }
}

#[tokio::test]
async fn a_login_that_is_refused_is_worth_another_try_later() {
    let authority = Authority::for_host("localhost");
    let server = SmtpServer::start(Protection::Starttls, Some(&authority), true, []).await;
    let mut options = options(&server, SmtpTls::Starttls);
    options.ca_file = Some(authority.ca_file());
    options.user = Some("ada".to_owned());
    options.password = Some(Secret::new("hunter3".to_owned()));
    let gateway = SmtpGateway::new(options).unwrap();
    assert_eq!(quiet(gateway.send(&mail()).await.unwrap_err()), (FailureKind::Transient, "login_refused"));
    assert_eq!(quiet(gateway.check().await.unwrap_err()), (FailureKind::Transient, "login_refused"));
}

#[tokio::test]
async fn a_refusal_is_final_and_a_put_off_is_not() {
    for (verb, word, kind, reason) in [
        ("MAIL", "550 5.7.1 not you", FailureKind::Hard, "sender_refused"),
        ("RCPT", "550 5.1.1 no such user <ada@example.org>", FailureKind::Hard, "address_refused"),
        ("DATA", "554 5.5.1 no", FailureKind::Hard, "content_refused"),
        ("CONTENT", "554 5.7.1 spam", FailureKind::Hard, "content_refused"),
        ("MAIL", "451 4.3.0 later", FailureKind::Transient, "put_off"),
        ("RCPT", "450 4.2.0 greylisted", FailureKind::Transient, "put_off"),
        ("DATA", "452 4.3.1 full", FailureKind::Transient, "put_off"),
        ("CONTENT", "451 4.3.0 later", FailureKind::Transient, "put_off"),
    ] {
        let server = SmtpServer::plain([(verb, Word::Say(word))]).await;
        let gateway = plain(&server);
        assert_eq!(quiet(gateway.send(&mail()).await.unwrap_err()), (kind, reason), "{verb} {word}");
        assert!(server.taken().is_empty());
        gateway.send(&mail()).await.unwrap();
        assert_eq!(server.taken().len(), 1, "and the next mail is none the worse");
    }
}

#[tokio::test]
async fn a_server_that_falls_silent_before_the_content_has_not_taken_the_mail() {
    for verb in ["EHLO", "MAIL", "RCPT", "DATA"] {
        let server = SmtpServer::plain([(verb, Word::Hang)]).await;
        let error = hasty(&server).send(&mail()).await.unwrap_err();
        assert_eq!(quiet(error), (FailureKind::Transient, "no_answer"), "{verb}");
        assert!(server.taken().is_empty());
    }
}

#[tokio::test]
async fn a_server_that_falls_silent_after_the_content_may_have_taken_the_mail() {
    for end in [Word::Hang, Word::Close] {
        let server = SmtpServer::plain([("CONTENT", end)]).await;
        let gateway = hasty(&server);
        let error = gateway.send(&mail()).await.unwrap_err();
        assert_eq!(quiet(error).0, FailureKind::TimedOut, "{end:?}");
        assert_eq!(server.taken().len(), 1);
        // Its late answer must not pass for the answer to the next mail.
        gateway.send(&mail()).await.unwrap();
        assert_eq!(server.connections(), 2);
    }
}

#[tokio::test]
async fn an_answer_that_was_smuggled_in_before_tls_is_not_taken_for_a_yes() {
    let authority = Authority::for_host("localhost");
    let server = SmtpServer::start(
        Protection::Starttls,
        Some(&authority),
        false,
        [("STARTTLS", Word::Smuggle("250 mail.example.com\r\n")), ("RCPT", Word::Say("550 5.1.1 no such user"))],
    )
    .await;
    let mut options = options(&server, SmtpTls::Starttls);
    options.ca_file = Some(authority.ca_file());
    let error = SmtpGateway::new(options).unwrap().send(&mail()).await.unwrap_err();
    assert_ne!(quiet(error).0, FailureKind::TimedOut, "nothing was sent: the content never began");
    assert!(server.taken().is_empty());
}

#[tokio::test]
async fn nobody_at_the_door_is_a_reason_to_try_again() {
    let port = {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap().port()
    };
    let mut options = SmtpOptions::new("127.0.0.1", "no-reply@example.com");
    (options.port, options.tls) = (Some(port), SmtpTls::None);
    let gateway = SmtpGateway::new(options).unwrap();
    assert_eq!(quiet(gateway.send(&mail()).await.unwrap_err()), (FailureKind::Transient, "unreachable"));
}

#[tokio::test]
async fn an_address_that_could_break_out_of_its_line_is_not_sent_to() {
    let server = SmtpServer::plain([]).await;
    for to in ["ada@example.org\r\nRCPT TO:<eve@example.org>", "ada@example.org>", "", "ada"] {
        let error = plain(&server).send(&EmailMessage { to: to.to_owned(), ..mail() }).await.unwrap_err();
        assert_eq!((error.kind, error.reason), (FailureKind::Hard, "invalid_address"), "{to:?}");
    }
    let subject = "Hello\r\nBcc: eve@example.org".to_owned();
    plain(&server).send(&EmailMessage { subject, ..mail() }).await.unwrap();
    assert!(!server.taken()[0].content.contains("\r\nBcc:"), "{}", server.taken()[0].content);
}

#[tokio::test]
async fn impossible_options_are_refused_with_one_line_that_shows_no_secret() {
    type Change = fn(&mut SmtpOptions);
    let changes: [(Change, &str); 9] = [
        (|o| o.from = "nobody".to_owned(), "from"),
        (|o| o.host = String::new(), "host"),
        (|o| o.host = "smtp://mail".to_owned(), "host"),
        (|o| o.pool_size = 0, "pool_size"),
        (|o| o.timeout = Duration::from_mins(1), "timeout"),
        (|o| o.user = Some("ada".to_owned()), "user"),
        (|o| o.password = Some(Secret::new("hunter2".to_owned())), "user"),
        (
            |o| {
                o.tls = SmtpTls::None;
                o.user = Some("ada".to_owned());
                o.password = Some(Secret::new("hunter2".to_owned()));
            },
            "tls",
        ),
        (|o| o.ca_file = Some("Cargo.toml".into()), "ca_file"),
    ];
    for (change, option) in changes {
        let mut options = SmtpOptions::new("mail.example.com", "no-reply@example.com");
        change(&mut options);
        let error = SmtpGateway::new(options.clone()).map(drop).unwrap_err();
        assert_eq!(error.option, option);
        let line = format!("{error}");
        assert!(line.lines().count() == 1 && !line.contains("hunter2"), "{line}");
        assert!(!format!("{options:?}").contains("hunter2"));
    }
}
