//! The disk is full: what was acknowledged stays, what is not is refused, and when there is room again it goes on.

use std::{path::PathBuf, process::Command};

use serde_json::json;

use super::load::every_view_equals_a_replay;
use crate::support::{PASSWORD, Server, Settings, eventually};

/// A small file system in memory.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Mounts one; `None` where this user may not.
    fn mount(at: PathBuf) -> Option<Self> {
        std::fs::create_dir_all(&at).unwrap();
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=6m,mode=0700", "none"]).arg(&at).output();
        mounted.is_ok_and(|output| output.status.success()).then_some(Self(at))
    }

    fn grow(&self) {
        let grown = Command::new("mount").args(["-o", "remount,size=64m"]).arg(&self.0).status().unwrap();
        assert!(grown.success());
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: the server may be ending yet.
        drop(Command::new("umount").arg("--lazy").arg(&self.0).status());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings::default().generous();
    let Some(disk) = SmallDisk::mount(folder.path().join("data")) else {
        return under_a_file_size_limit(settings).await;
    };
    let server = Server::start_in(folder, settings);
    let client = server.client();
    let accounts = fill(&server).await;

    // What is refused is refused politely, and answers that change nothing go on.
    let refused = client.post("/v1/accounts", json!({"email": "more@example.com", "password": PASSWORD})).await;
    refused.refused(503, "unavailable");
    client.get("/health/live").await.expect(200);

    disk.grow();
    it_goes_on(&server, &accounts).await;
}

/// Where nothing can be mounted: files that may not grow beyond a size.
async fn under_a_file_size_limit(settings: Settings) {
    let server =
        Server::start_with(settings.clone().under(&["sh", "-c", "trap '' XFSZ; ulimit -f 1200; exec \"$@\"", "sh"]));
    let accounts = fill(&server).await;
    let refused =
        server.client().post("/v1/accounts", json!({"email": "more@example.com", "password": PASSWORD})).await;
    refused.refused(503, "unavailable");
    let server = tokio::task::block_in_place(|| server.kill_and_restart_with(settings));
    it_goes_on(&server, &accounts).await;
}

/// Registers accounts until there is no room; those that were acknowledged.
async fn fill(server: &Server) -> Vec<String> {
    let client = server.client_with("accounts:write");
    let mut accounts = Vec::new();
    for number in 0..20_000 {
        let body = json!({"email": format!("full-{number}@example.com"), "email_verified": true});
        let answer = client.post("/v1/accounts", body).await;
        if answer.status == 503 {
            answer.refused(503, "unavailable");
            assert!(accounts.len() > 20, "there was room before: {}", accounts.len());
            return accounts;
        }
        accounts.push(answer.expect(201)["account_id"].as_str().unwrap().to_owned());
    }
    panic!("the disk does not fill");
}

async fn it_goes_on(server: &Server, accounts: &[String]) {
    let client = server.client_with("accounts:write");
    eventually("room", || async {
        let body = json!({"email": "after@example.com", "email_verified": true});
        (client.post("/v1/accounts", body).await.status == 201).then_some(())
    })
    .await;
    for account in accounts {
        let answer = client.get(&format!("/v1/accounts/{account}")).await;
        assert_eq!(answer.status, 200, "an acknowledged account is gone: {}", answer.body);
    }
    every_view_equals_a_replay(server);
    let (ok, out, err) = server.try_command(&["doctor"]);
    assert!(ok, "{out}{err}");
}
