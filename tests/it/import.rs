//! Accounts that come from elsewhere, through the real binary.

use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader},
};

use serde_json::json;

use crate::support::{PASSWORD, Server, Setup, binary, eventually, id};

/// SHA-256 of `ABCD-EFGH-IJKL`, without a salt.
const BACKUP_CODE_HASH: &str = "$sha256$u0lH6zZgObHAe8q4NdrH6Nlz33mVK/IWuSppXv8sjg0";
const APP: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

fn file(server: &Server, name: &str, lines: &[String]) -> String {
    let path = server.path().join(name);
    std::fs::write(&path, lines.join("\n")).unwrap();
    path.to_str().unwrap().to_owned()
}

fn row(email: &str, code_hash: &str) -> String {
    json!({
        "email": email,
        "methods": [{"kind": "totp", "secret": APP, "label": "Old app"}, {"kind": "sms", "phone_number": "+436601234567"}],
        "recovery_codes": [code_hash],
    })
    .to_string()
}

#[test]
fn a_rehearsal_where_nothing_is_makes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (file, data) = (folder.path().join("accounts.jsonl"), folder.path().join("data"));
    let lines = [row("ada@example.com", BACKUP_CODE_HASH), row("bert@example.com", "$1$old$scheme"), "x".to_owned()];
    std::fs::write(&file, lines.join("\n")).unwrap();
    let output = binary().args(["import", "--dry-run"]).arg(&file).arg("--data").arg(&data).output().unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(!output.status.success() && told.contains("1 would be imported, 0 there already, 2 refused"), "{told}");
    assert!(told.contains("holds no data yet: each row is looked at by itself"), "{told}");
    assert!(told.contains("line 1: imported\n") && told.contains("line 2: refused: "), "{told}");
    assert!(!data.exists(), "a look makes nothing");
}

#[tokio::test]
async fn rows_are_imported_once_and_wrong_ones_not_at_all() {
    let server = Server::start();
    let held = crate::support::Person::sign_up(&server, "held").await;
    server.remember(APP);
    let lines = [
        row("ada@example.com", BACKUP_CODE_HASH),
        String::new(),
        "# a comment".to_owned(),
        row("bert@example.com", "$1$old$scheme"),
        "{\"email\": \"cleo@example.com\", \"methods\": [{\"kind\": \"totp\", \"secret\": \"GEZDGNBV\"}]}".to_owned(),
        row("ada@example.com", BACKUP_CODE_HASH),
        row(&held.email, BACKUP_CODE_HASH),
        "nonsense".to_owned(),
    ];
    let path = file(&server, "accounts.jsonl", &lines);
    let (ok, rehearsed, _) = server.try_command(&["import", &path, "--dry-run"]);
    assert!(!ok && rehearsed.contains("1 would be imported, 0 there already, 5 refused"), "{rehearsed}");
    let (ok, report, _) = server.try_command(&["import", &path]);
    assert!(!ok && report.contains("1 imported, 0 there already, 5 refused"), "{report}");
    for line in [
        "line 1: imported as ",
        "line 4: refused: ",
        "line 5: refused: methods: a TOTP key must have 80 bits",
        "line 6: refused: has the address of line 1",
        "line 7: refused: another account has this address",
        "line 8: refused: is neither",
    ] {
        assert!(report.contains(line), "{line} is not in {report}");
    }
    assert!(!report.contains('@'), "a report names nobody: {report}");
    let (_, again, _) = server.try_command(&["import", &path]);
    assert!(again.contains("0 imported, 1 there already, 5 refused"), "{again}");
    // The imported person sets a password, with a backup code of the old system as the second factor.
    let client = server.client();
    let asked = client.post("/v1/password-resets", json!({"email": "ada@example.com"})).await;
    let holder = client.with(asked.body["token"].as_str().unwrap());
    let code = client.code("ada@example.com", 1).await;
    let path = format!("/v1/password-resets/{}", id(&asked.body));
    let second = |code: &str| json!({"method": "recovery_code", "code": code});
    let body = json!({"code": code, "second_factor": second("ABCD-EFGH-IJKM"), "new_password": PASSWORD});
    holder.post(&path, body).await.refused(422, "wrong_code");
    let body = json!({"second_factor": second("ABCD-EFGH-IJKL"), "new_password": PASSWORD});
    let answer = holder.post(&path, body).await;
    assert!(answer.status.is_success(), "{}", answer.body);
    // And signs in with the app that was on the phone all along.
    let body = json!({"email": "ada@example.com", "password": PASSWORD});
    let started = client.post("/v1/sign-in", body).await.expect(202);
    let holder = client.with(started["verification"]["token"].as_str().unwrap());
    let path = format!("/v1/verifications/{}/attempts", id(&started));
    let code = server.fresh_totp(APP);
    let signed_in = holder.post(&path, json!({"method": "totp", "code": code})).await.expect(200);
    let owner = client.with(signed_in["session_token"].as_str().unwrap());
    let methods = owner.get("/v1/accounts/me/methods").await.expect(200);
    assert_eq!(methods["methods"].as_array().unwrap().len(), 2);
    assert_eq!(owner.get("/v1/accounts/me/recovery-codes").await.expect(200)["remaining"], 0);
}

#[tokio::test]
async fn a_list_of_uris_is_imported_and_weak_keys_are_marked() {
    let server = Server::start();
    let lines = [
        format!("otpauth://totp/Vast:ida@example.com?secret={APP}&issuer=Vast"),
        "ida@example.com otpauth://totp/Second?secret=GEZDGNBVGY3TQOJQ&digits=8".to_owned(),
        format!("otpauth://hotp/jo@example.com?secret={APP}&counter=1"),
    ];
    let path = file(&server, "uris.txt", &lines);
    let (ok, report, _) = server.try_command(&["import", &path]);
    assert!(!ok && report.contains("1 imported, 0 there already, 1 refused"), "{report}");
    assert!(report.contains("weak TOTP key of 80 bits"), "{report}");
    let account = report.split_once("imported as ").unwrap().1.split(',').next().unwrap();
    let history = server.command(&["replay", account, "--json"]);
    assert_eq!(history.lines().count(), 1, "one event");
    assert!(history.contains("AccountImported"));
    let (ok, _, complaint) = server.try_command(&["import", "/nowhere/at/all"]);
    assert!(!ok && complaint.contains("cannot be read"), "{complaint}");
}

/// The account of a line of the report, when it is in.
fn account_in(line: &str) -> Option<&str> {
    let (_, account) = line.split_once("imported as ").or_else(|| line.split_once("there already as "))?;
    account.split(',').next()
}

#[tokio::test]
async fn an_import_that_is_killed_is_completed_by_the_next() {
    killed_and_completed(Setup::Sqlite).await;
}

#[tokio::test]
async fn an_import_into_postgres_that_is_killed_is_completed_by_the_next() {
    killed_and_completed(Setup::Postgres).await;
}

async fn killed_and_completed(setup: Setup) {
    const ROWS: usize = 700;
    let server = setup.server().await;
    let lines: Vec<String> = (0..ROWS).map(|n| row(&format!("person-{n}@example.com"), BACKUP_CODE_HASH)).collect();
    let path = file(&server, "accounts.jsonl", &lines);
    for rows in [1, 300] {
        let mut killed = server.begin_command(&["import", &path]);
        let mut report = BufReader::new(killed.stdout.take().unwrap()).lines();
        assert!(report.nth(rows - 1).is_some(), "so many rows are told of");
        // The next windows are under way: somewhere between a key, a claim and an account.
        killed.kill().unwrap();
        killed.wait().unwrap();
    }
    let (ok, report, complaint) = server.try_command(&["import", &path]);
    assert!(ok, "{complaint}{report}");
    let told: Vec<&str> = report.lines().collect();
    let accounts: Vec<&str> = told.iter().filter_map(|line| account_in(line)).collect();
    assert_eq!(accounts.iter().collect::<BTreeSet<_>>().len(), ROWS);
    for (line, told) in (1..=ROWS).zip(&told) {
        assert!(told.starts_with(&format!("line {line}: ")), "the report has the order of the file: {told}");
    }
    let (ok, again, _) = server.try_command(&["import", &path]);
    assert!(ok && again.ends_with(&format!("0 imported, {ROWS} there already, 0 refused\n")), "{again}");
    assert!(again.lines().filter_map(account_in).eq(accounts.iter().copied()), "the same accounts");
    for account in accounts.iter().step_by(250) {
        assert_eq!(server.command(&["replay", account, "--json"]).lines().count(), 1, "one event");
    }
    let security = server.client_with("security:read");
    eventually("the accounts in the view", async || {
        let totals = &security.get("/v1/security/adoption").await.expect(200)["totals"];
        (totals["accounts"] == ROWS && totals["two_factor_enabled"] == ROWS).then_some(())
    })
    .await;
}
