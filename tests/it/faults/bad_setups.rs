//! Set-ups that cannot work: one line that names the setting and the cure, a bad exit, and nothing written.
//! `doctor` finds each of them too.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    process::Output,
    thread,
};

use servers::nats::NatsServer;

use crate::support::{MailCatcher, Person, Server, Settings, Setup};

/// A stopped server over PostgreSQL, with data.
async fn stopped() -> Server {
    let mut server = Setup::Postgres.server().await;
    Person::sign_up(&server, "hannah").await;
    assert!(server.terminate().success());
    server
}

/// Neither `serve` nor `doctor` goes on; both say what is wrong with which setting, and write nothing.
#[track_caller]
fn refused(server: &Server, change: impl Fn(Settings) -> Settings, named: &str, problem: &str) {
    let before = server.engines().contents();
    let text = |output: &Output| {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        text(&output.stdout) + &text(&output.stderr)
    };
    let serve = server.run_with(&["serve", "--listen", "127.0.0.1:0"], |settings| {
        change(settings.with("metrics_listen", "127.0.0.1:0").with("log.level", "error"))
    });
    assert!(!serve.status.success(), "{}", text(&serve));
    assert!(serve.stdout.is_empty(), "{}", text(&serve));
    assert_eq!(text(&serve).trim_end().lines().count(), 1, "one line: {}", text(&serve));
    let doctor = server.run_with(&["doctor"], &change);
    assert!(!doctor.status.success(), "{}", text(&doctor));
    for told in [text(&serve), text(&doctor)] {
        assert!(told.contains(named), "{named} is not named: {told}");
        assert!(told.contains(problem), "{problem:?} is not said: {told}");
        for password in server.engines().passwords() {
            assert!(!told.contains(&password), "a password is shown");
        }
    }
    assert!(server.engines().contents() == before, "something was written");
}

#[tokio::test]
async fn a_database_that_cannot_be_used_is_named() {
    let server = stopped().await;
    let url = server.engines().database.as_ref().unwrap().url().to_owned();
    let password = server.engines().passwords()[0].clone();

    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let unreachable = format!("postgres://postgres@{nobody}/countersign?sslmode=disable");
    refused(
        &server,
        |settings| settings.with("postgres.url", &unreachable),
        "postgres.url",
        &nobody.port().to_string(),
    );
    let wrong = url.replace(&password, "not-the-password");
    refused(&server, |settings| settings.with("postgres.url", &wrong), "postgres", "password");
    let missing = url.replace("/test_", "/no_such_");
    refused(&server, |settings| settings.with("postgres.url", &missing), "postgres.url", "has no such database");
    let old = old_server();
    refused(&server, |settings| settings.with("postgres.url", &old), "postgres.url", "too old");
    refused(&server, |settings| settings.with("postgres.url", "mysql://localhost/x"), "postgres.url", "postgres://");
}

#[tokio::test]
async fn a_database_of_a_newer_version_is_left_alone() {
    let server = stopped().await;
    let client = server.engines().database.as_ref().unwrap().client().await;
    let components = client.query("SELECT DISTINCT component FROM schema_migrations", &[]).await.unwrap();
    assert!(components.len() >= 3, "log, views and operations have their versions");
    for row in components {
        let component: &str = row.get(0);
        let newer = "INSERT INTO schema_migrations (component, version, checksum) VALUES ($1, 999, 'x')";
        client.execute(newer, &[&component]).await.unwrap();
        refused(&server, |settings| settings, "postgres.url", "newer Countersign");
        client.execute("DELETE FROM schema_migrations WHERE version = 999", &[]).await.unwrap();
    }
    let (ok, out, err) = server.try_command(&["doctor"]);
    assert!(ok, "{out}{err}");
}

#[tokio::test]
async fn a_stream_that_this_version_cannot_read_is_named() {
    let server = stopped().await;
    let client = server.engines().database.as_ref().unwrap().client().await;
    for (column, value, problem) in [("type", "'NotYetInvented'", "NotYetInvented"), ("schema_version", "999", "999")] {
        let kept = format!(
            "CREATE TABLE kept AS SELECT position, {column} AS value FROM events ORDER BY position DESC LIMIT 1"
        );
        client.batch_execute(&kept).await.unwrap();
        let spoil = format!("UPDATE events SET {column} = {value} WHERE position = (SELECT position FROM kept)");
        client.batch_execute(&spoil).await.unwrap();
        refused(&server, |settings| settings, "event_log", problem);
        let mend = format!(
            "UPDATE events SET {column} = value FROM kept WHERE events.position = kept.position; DROP TABLE kept"
        );
        client.batch_execute(&mend).await.unwrap();
    }
    let (ok, out, err) = server.try_command(&["doctor"]);
    assert!(ok, "{out}{err}");
}

#[tokio::test]
async fn doctor_asks_the_gateways_and_sends_nothing() {
    let server = Server::start();
    let mail = MailCatcher::start();
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let doctor = |change: &dyn Fn(Settings) -> Settings| {
        let output = server.run_with(&["doctor"], |settings| {
            change(settings.with("smtp.host", "127.0.0.1").with("smtp.from", "no-reply@example.com"))
        });
        (output.status.success(), String::from_utf8(output.stdout).unwrap())
    };
    let over =
        |settings: Settings, port: u16, tls: &str| settings.with("smtp.port", &port.to_string()).with("smtp.tls", tls);
    let (ok, told) = doctor(&|settings| over(settings, mail.port(), "none"));
    assert!(ok && told.contains(&format!("ok    mail: 127.0.0.1:{} answers", mail.port())), "{told}");
    for (port, tls, problem, cure) in
        [(nobody, "none", "unreachable", "smtp.port"), (mail.port(), "starttls", "no_starttls", "smtp.tls")]
    {
        let (ok, told) = doctor(&|settings| over(settings, port, tls));
        assert!(!ok && told.contains("ILL   mail:") && told.contains(problem) && told.contains(cure), "{told}");
    }
    let sms = format!(
        "[{{kind = \"webhook\", url = \"http://127.0.0.1:{nobody}\", secret = \"a secret of enough bytes to sign\"}}, \
          {{kind = \"twilio\", account_sid = \"AC{}\", auth_token = \"hunter2\", from = \"+15005550006\", \
            base_url = \"http://127.0.0.1:{nobody}\"}}]",
        "0a".repeat(16)
    );
    let (ok, told) = doctor(&|settings| over(settings, mail.port(), "none").with("sms", &sms));
    assert!(!ok && told.contains("ok    text messages: by webhook; not checked"), "{told}");
    assert!(told.contains("ILL   text messages: twilio does not let us in (unreachable)"), "{told}");
    assert!(!told.contains("hunter2"), "{told}");
    assert_eq!(mail.count(), 0);
}

#[tokio::test]
async fn a_broker_that_cannot_be_used_is_named() {
    let server = stopped().await;
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let unreachable = format!("nats://{nobody}");
    refused(&server, |settings| settings.with("nats.url", &unreachable), "nats.url", &nobody.port().to_string());
    let plain = NatsServer::start_without_jetstream().await;
    refused(&server, |settings| settings.with("nats.url", &plain.url()), "nats.url", "JetStream");
    let closed = NatsServer::start_with("authorization { user: someone, password: the-right-one }").await;
    let wrong = |settings: Settings| {
        settings.with("nats.url", &closed.url()).with("nats.user", "someone").with("nats.password", "the-wrong-one")
    };
    refused(&server, wrong, "nats", "refuses these credentials");
}

#[tokio::test]
async fn a_key_ring_of_other_data_opens_nothing_here() {
    let server = stopped().await;
    let other = server.path().join("other.toml");
    vault::KeyRing::load_or_create(&other, &runtime::Runtime::system().unwrap()).unwrap();
    let other = other.to_str().unwrap();
    refused(&server, |settings| settings.with("key_ring_file", other), "key_ring_file", "does not open");
    refused(&server, |settings| settings.with("key_ring_file", "/no/such/ring"), "key_ring_file", "missing");
}

/// Something that says it is PostgreSQL 12.
fn old_server() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || drop(greet(stream)));
        }
    });
    format!("postgres://postgres:anything@{address}/countersign?sslmode=disable")
}

fn greet(mut stream: TcpStream) -> std::io::Result<()> {
    let message = |kind: u8, body: &[u8]| {
        let length = u32::try_from(body.len() + 4).unwrap().to_be_bytes();
        [&[kind], &length[..], body].concat()
    };
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let mut startup = vec![0; u32::from_be_bytes(length) as usize - 4];
    stream.read_exact(&mut startup)?;
    let ready = message(b'Z', b"I");
    stream.write_all(&message(b'R', &0_u32.to_be_bytes()))?;
    stream.write_all(&message(b'S', b"server_version\x0012.22\0"))?;
    stream.write_all(&ready)?;
    loop {
        let mut head = [0; 5];
        stream.read_exact(&mut head)?;
        let mut body = vec![0; u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize - 4];
        stream.read_exact(&mut body)?;
        if head[0] != b'Q' {
            return Ok(());
        }
        // `SHOW transaction_read_only`: one column, one row, `off`.
        let column =
            [&b"\0\x01transaction_read_only\0"[..], &[0; 6], &25_u32.to_be_bytes(), &[0xff; 6], &[0; 2]].concat();
        stream.write_all(&message(b'T', &column))?;
        stream.write_all(&message(b'D', b"\0\x01\0\0\0\x03off"))?;
        stream.write_all(&message(b'C', b"SHOW\0"))?;
        stream.write_all(&ready)?;
    }
}
