//! The command line: settings, exit codes, administrative commands beside a running server.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, process::Output};

use serde_json::{Value, json};

use crate::support::{PASSWORD, Person, Server, Watcher, binary, id};

fn run(data: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = binary();
    command.args(arguments).arg("--data").arg(data).envs(environment.iter().copied());
    command.output().expect("the binary starts")
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn a_wrong_setting_stops_the_start_with_one_line_and_its_cure() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let file = folder.path().join("countersign.toml");
    fs::write(&file, "[policy]\ncode_live = 5\n").unwrap();
    let file = file.to_str().unwrap();
    for (arguments, environment, named) in [
        (vec!["serve", "--config", file], vec![], "policy.code_live"),
        (vec!["serve", "--config", "/no/such/file"], vec![], "--config"),
        (vec!["serve"], vec![("COUNTERSIGN__LISTN", "x")], "COUNTERSIGN__LISTN"),
        (vec!["serve"], vec![("COUNTERSIGN__POLICY__CODE_LIVES", "0")], "policy.code_lives"),
        (vec!["serve"], vec![("COUNTERSIGN__LISTEN", "nowhere")], "COUNTERSIGN__LISTEN"),
        (vec!["serve"], vec![("COUNTERSIGN__KEY_RING_FILE", "/no/such/ring")], "key_ring_file"),
        (vec!["serve"], vec![("COUNTERSIGN__KEY_RING", "version = 1")], "key_ring"),
        (vec!["serve"], vec![("COUNTERSIGN__LOG__LEVEL", "a=b=c")], "log.level"),
        (vec!["doctor"], vec![], "data"),
    ] {
        let output = run(&data, &arguments, &environment);
        assert_eq!(output.status.code(), Some(2), "{arguments:?} {environment:?}: {}", stderr(&output));
        assert_eq!(stderr(&output).trim_end().lines().count(), 1, "{}", stderr(&output));
        assert!(stderr(&output).contains(&format!("setting {named}")), "{}", stderr(&output));
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn every_setting_is_documented() {
    let documented = include_str!("../../docs/configuration.md");
    let policy = include_str!("../../domain/src/policy.rs");
    let folder = tempfile::tempdir().unwrap();
    // The refusal of an unknown setting names the known ones.
    let levels = ["", "HASHING__", "LOG__", "POSTGRES__", "NATS__", "SMTP__"].map(|level| (level, documented));
    for (level, known_in) in levels.into_iter().chain([("POLICY__", policy)]) {
        let name = format!("COUNTERSIGN__{level}NO_SUCH");
        let told = stderr(&run(folder.path(), &["serve"], &[(&name, "1")]));
        let names: Vec<&str> = told.split('`').skip(3).step_by(2).collect();
        assert!(names.len() >= 2, "{told}");
        for name in names {
            assert!(known_in.contains(name), "{name} is not documented");
        }
    }
}

#[test]
fn a_taken_address_is_named() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let taken = server.base().trim_start_matches("http://").to_owned();
    let output = run(&folder.path().join("data"), &["serve", "--listen", &taken], &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains(&taken), "{}", stderr(&output));
}

#[test]
fn the_settings_of_compose_are_settings() {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    fs::write(&secret, "a-password").unwrap();
    let secret = secret.to_str().unwrap();
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/countersign.toml");
    let elsewhere = [("COUNTERSIGN__POSTGRES__PASSWORD_FILE", secret), ("COUNTERSIGN__NATS__PASSWORD_FILE", secret)];
    let output = run(folder.path(), &["healthcheck", "--config", file], &elsewhere);
    // Nobody is there to answer; a setting that is none would be exit code 2.
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(stderr(&output).contains("127.0.0.1:8080 does not answer"), "{}", stderr(&output));
}

#[tokio::test]
async fn the_health_check_asks_the_process_itself() {
    let mut server = Server::start();
    let listen = server.base().trim_start_matches("http://").to_owned();
    let asked = run(&server.data(), &["healthcheck"], &[("COUNTERSIGN__LISTEN", &listen)]);
    assert!(asked.status.success(), "{}", stderr(&asked));
    server.kill();
    let asked = run(&server.data(), &["healthcheck"], &[("COUNTERSIGN__LISTEN", &listen)]);
    assert_eq!(asked.status.code(), Some(1));
    assert!(stderr(&asked).contains(&listen), "{}", stderr(&asked));
}

#[test]
fn every_command_explains_itself_with_examples() {
    for arguments in [
        vec!["--help"],
        vec!["serve", "--help"],
        vec!["keys", "create", "--help"],
        vec!["sessions", "cut-off", "--help"],
        vec!["projections", "rebuild", "--help"],
        vec!["replay", "--help"],
        vec!["doctor", "--help"],
        vec!["healthcheck", "--help"],
        vec!["keyring", "rotate", "--help"],
        vec!["erase", "--help"],
    ] {
        let output = binary().args(&arguments).output().unwrap();
        let help = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success() && help.contains("Example"), "{arguments:?}: {help}");
        assert!(help.contains("  countersign "), "{arguments:?}: {help}");
    }
}

#[tokio::test]
async fn a_key_is_printed_alone_and_works_at_once() {
    let server = Server::start();
    let printed = server.command(&["keys", "create", "--name", "auditor", "--scopes", "audit:read,security:read"]);
    assert_eq!(printed.lines().count(), 1);
    assert!(printed.starts_with("cs_key_"), "{printed}");
    server.client().with(printed.trim()).get("/v1/audit/events").await.expect(200);
    let (ok, out, err) = server.try_command(&["keys", "create", "--name", "x", "--scopes", "everything"]);
    assert!(!ok && out.is_empty() && err.contains("audit:read"), "{err}");
    let ended = ["keys", "create", "--name", "x", "--scopes", "admin", "--expires", "2020-01-01T00:00:00Z"];
    assert!(!server.try_command(&ended).0);
    server.leaves_nothing_behind().await;
}

#[tokio::test]
async fn a_cut_off_ends_the_sessions_of_a_running_server_and_stays_over_a_restart() {
    let server = Server::start();
    let person = Person::sign_up(&server, "barbara").await;
    server.advance(60);
    let cut_off = |before: &str| {
        server.try_command(&["sessions", "cut-off", "--before", before, "--reason", "a proxy was broken into"])
    };
    let (ok, out, err) = cut_off("2200-01-01T00:00:00Z");
    assert!(!ok && out.is_empty() && err.contains("future"), "{err}");
    person.client.get("/v1/accounts/me").await.expect(200);
    let now = i64::try_from(server.now()).expect("a moment");
    let before = domain::time::Timestamp::from_seconds(now - 30).to_string();
    let (ok, out, err) = cut_off(&before);
    assert!(ok && out.contains(&before), "{out}{err}");
    let is_over = async || (person.client.get("/v1/accounts/me").await.status == 401).then_some(());
    assert!(event_store::testing::eventually(is_over).await.is_some(), "the server follows the log");
    let again = json!({"email": person.email, "password": PASSWORD});
    let session = server.client().post("/v1/sign-in", again).await.expect(200);
    let fresh = server.client().with(session["session_token"].as_str().expect("a token"));

    let server = server.kill_and_restart();
    let at_the_restarted = |token: &str| server.client().with(token);
    at_the_restarted(person.client.token()).get("/v1/accounts/me").await.refused(401, "unauthenticated");
    at_the_restarted(fresh.token()).get("/v1/accounts/me").await.expect(200);
    server.leaves_nothing_behind().await;
}

#[tokio::test]
async fn the_data_folder_is_closed_to_others_and_a_lost_ring_is_not_replaced() {
    let mut server = Server::start();
    Person::sign_up(&server, "radia").await;
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&server.data()), 0o700);
    let ring = server.data().join("keyring.toml");
    assert_eq!(mode(&ring), 0o600);
    assert!(server.terminate().success());

    let kept = server.path().join("kept.toml");
    fs::rename(&ring, &kept).unwrap();
    let output = run(&server.data(), &["serve", "--listen", "127.0.0.1:0"], &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("missing") && stderr(&output).contains("backup"), "{}", stderr(&output));
    assert!(!ring.exists(), "a fresh ring would open nothing");

    // Another data folder's ring.
    let other = tempfile::tempdir().unwrap();
    run(&other.path().join("data"), &["keys", "create", "--name", "x", "--scopes", "admin"], &[]);
    fs::copy(other.path().join("data/keyring.toml"), &ring).unwrap();
    let output = run(&server.data(), &["serve", "--listen", "127.0.0.1:0"], &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("does not open the data"), "{}", stderr(&output));
}

#[tokio::test]
async fn a_rotated_ring_opens_everything_and_changes_no_code() {
    rotated(false).await;
}

#[tokio::test]
async fn a_rotated_ring_opens_everything_after_a_restart() {
    rotated(true).await;
}

async fn rotated(restart: bool) {
    let server = Server::start();
    let mut person = Person::with_totp(&server, "sophie").await;
    let (verification, holder) = person.begin_sign_in(&server).await;
    let codes = format!("/v1/verifications/{}/codes", id(&verification));
    let mails = person.codes_mailed().await;
    holder.post(&codes, json!({"channel": "email"})).await.expect(202);
    let code = holder.code(&person.email, mails + 1).await;

    // Beside the running server, which goes on: with what it knows, and with what another process wraps by the
    // new key.
    let told = server.command(&["keyring", "rotate"]);
    assert!(told.starts_with("key 2 is the current one"), "{told}");
    server.client_with("security:read").get("/v1/security/accounts").await.expect(200);
    Person::sign_up(&server, "germain").await;
    let server = if restart { server.kill_and_restart() } else { server };
    let holder = server.client().with(holder.token());
    let path = format!("/v1/verifications/{}/attempts", id(&verification));
    holder.post(&path, json!({"method": "email", "code": code})).await.expect(200);
    person.sign_in_by_totp(&server).await;
    let (ok, out, _) = server.try_command(&["doctor"]);
    assert!(ok && out.contains("with key 2"), "{out}");
    server.leaves_nothing_behind().await;
}

#[tokio::test]
async fn the_operator_erases_an_account_for_good() {
    let server = Server::start();
    let watcher = Watcher::new(&server);
    let person = Person::with_totp(&server, "ida").await;
    let (ok, _, err) = server.try_command(&["erase", &person.account]);
    assert!(!ok && err.contains("--yes"), "{err}");
    server.command(&["erase", &person.account, "--yes"]);
    server.command(&["erase", &person.account, "--yes"]);
    assert!(!server.try_command(&["erase", "00000000-0000-7000-8000-000000000000", "--yes"]).0);

    let history = watcher.own_history(&person.account).await;
    assert_eq!(history.iter().filter(|event| event["type"] == "AccountErased").count(), 1);
    let replay = server.command(&["replay", &person.account, "--json"]);
    let first: Value = serde_json::from_str(replay.lines().next().unwrap()).unwrap();
    assert!(first["changes"].to_string().contains("[erased]"), "{first}");
    let answer = person.client.get("/v1/accounts/me/methods").await;
    assert_eq!(answer.status, 401, "{}", answer.body);
    let (ok, out, err) = server.try_command(&["doctor"]);
    assert!(ok, "{out}{err}");
    server.advance(11 * 60);
    // The address is free again.
    Person::sign_up_again(&server, &person.email).await;
    server.leaves_nothing_behind().await;
}

#[tokio::test]
async fn views_tell_where_they_are_and_can_be_rebuilt_beside_the_server() {
    let server = Server::start();
    let watcher = Watcher::new(&server);
    let person = Person::with_totp(&server, "annie").await;
    watcher.account(&person.account).await;
    let status = server.command(&["projections", "status", "--json"]);
    let views: Vec<Value> = status.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(views.iter().any(|view| view["view"] == "account_methods"), "{status}");
    assert!(server.command(&["projections", "status"]).contains("account_methods"));
    let report = server.command(&["projections", "rebuild", "account_methods"]);
    assert!(report.contains("equal"), "{report}");
    let (ok, _, err) = server.try_command(&["projections", "rebuild", "nonsense"]);
    assert!(!ok && err.contains("nonsense"), "{err}");
    // The server goes on with the rebuilt one.
    person.client.patch("/v1/accounts/me/methods/1", json!({"label": "new name"})).await.expect(200);
    assert_eq!(watcher.account(&person.account).await["two_factor_enabled"], true);
    server.leaves_nothing_behind().await;
}

#[tokio::test]
async fn the_views_come_back_by_themselves_when_their_file_is_gone() {
    let mut server = Server::start();
    let person = Person::with_totp(&server, "mina").await;
    assert!(server.terminate().success());
    fs::remove_file(server.data().join("views.db")).unwrap();
    let server = server.kill_and_restart();
    let watcher = Watcher::new(&server);
    assert_eq!(watcher.account(&person.account).await["two_factor_enabled"], true);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_in_flight_is_finished_before_the_end() {
    let mut server = Server::start();
    let client = server.client();
    let mut requests = tokio::task::JoinSet::new();
    for number in 0..20 {
        let client = client.clone();
        requests.spawn(async move {
            let body = json!({"email": format!("last-{number}@example.com"), "password": crate::support::PASSWORD});
            let body = Some(body.to_string().into_bytes());
            client.try_send(reqwest::Method::POST, "/v1/accounts", body, "application/json").await
        });
    }
    // The first answer shows that the rest is on its way.
    let first = requests.join_next().await.unwrap().unwrap().expect("an answer");
    assert_eq!(first.status, 201);
    let status = tokio::task::block_in_place(|| server.terminate());
    assert!(status.success(), "{status}");
    let mut answered = 1;
    while let Some(done) = requests.join_next().await {
        // What was not taken any more finds nobody there; what was taken is answered.
        if let Ok(answer) = done.unwrap() {
            assert_eq!(answer.status, 201, "{}", answer.body);
            answered += 1;
        }
    }
    assert!(answered > 1, "more than the first one was in flight");
    assert!(server.log().contains("\"stopped\""));
}
