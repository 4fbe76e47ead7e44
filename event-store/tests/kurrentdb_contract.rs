//! The contract over real servers: the one that `COUNTERSIGN_TEST_KURRENTDB` names, as in
//! `esdb://127.0.0.1:2113?tls=false`, with PostgreSQL beside it.
//!
//! A server keeps what it is given, so each case begins where the log ends, and they run one after the other.
//! Where no server is named every case is reported as ignored, which the usual harness cannot do at run time.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test harness")]

use std::{
    panic::AssertUnwindSafe,
    process::ExitCode,
    sync::{Arc, OnceLock},
};

use async_trait::async_trait;
use domain::secret::SecretText;
use event_store::{
    contract::{Case, LogUnderTest},
    kurrentdb::{KurrentOptions, KurrentStore},
    port::{EventLog, KeyStore, SnapshotStore},
    postgres::{Database, PostgresSideStore},
};
use servers::postgres::TestDatabase;
use tokio::time::Instant;

const SERVER: &str = "COUNTERSIGN_TEST_KURRENTDB";

static URL: OnceLock<String> = OnceLock::new();

struct Kurrent {
    database: Arc<TestDatabase>,
    side: Arc<PostgresSideStore>,
    store: Arc<KurrentStore>,
}

impl Kurrent {
    async fn over(database: Arc<TestDatabase>) -> Self {
        let pool = Database::connect(&database.options()).await.unwrap();
        let side = Arc::new(PostgresSideStore::open(pool).await.unwrap());
        let url = SecretText::new(URL.get().unwrap().clone());
        let store = Arc::new(KurrentStore::open(KurrentOptions::new(url), side.clone()).await.unwrap());
        Self { database, side, store }
    }
}

#[async_trait]
impl LogUnderTest for Kurrent {
    async fn fresh() -> Self {
        Self::over(Arc::new(TestDatabase::fresh().await)).await
    }
    async fn beside(&self) -> Self {
        Self::over(Arc::clone(&self.database)).await
    }
    fn log(&self) -> Arc<dyn EventLog> {
        self.store.clone()
    }
    fn keys(&self) -> Arc<dyn KeyStore> {
        self.side.clone()
    }
    fn snapshots(&self) -> Arc<dyn SnapshotStore> {
        self.side.clone()
    }
    fn is_shared(&self) -> bool {
        true
    }
}

/// What of the usual harness's arguments is understood: a part of a name, `--exact`, and `--list`.
struct Wanted {
    parts: Vec<String>,
    is_exact: bool,
    is_list: bool,
}

impl Wanted {
    fn from_arguments() -> Self {
        let arguments: Vec<String> = std::env::args().skip(1).collect();
        let has = |flag: &str| arguments.iter().any(|argument| argument == flag);
        let (is_exact, is_list) = (has("--exact"), has("--list"));
        Self { parts: arguments.into_iter().filter(|argument| !argument.starts_with('-')).collect(), is_exact, is_list }
    }

    fn has(&self, case: &Case) -> bool {
        let is_it = |part: &String| if self.is_exact { case.name == part } else { case.name.contains(part.as_str()) };
        self.parts.is_empty() || self.parts.iter().any(is_it)
    }
}

fn main() -> ExitCode {
    let wanted = Wanted::from_arguments();
    let (cases, others): (Vec<_>, Vec<_>) =
        event_store::contract_cases!(Kurrent).into_iter().partition(|case| wanted.has(case));
    if wanted.is_list {
        for case in &cases {
            println!("{}: test", case.name);
        }
        return ExitCode::SUCCESS;
    }
    println!("\nrunning {} tests", cases.len());
    let begun = Instant::now();
    let (mut passed, mut ignored, mut failed) = (0, 0, Vec::new());
    if let Some(url) = std::env::var(SERVER).ok().filter(|url| !url.is_empty()) {
        URL.get_or_init(|| url);
        for case in &cases {
            // A runtime of its own, as each case has elsewhere: what it leaves behind ends with it.
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
            let run = std::panic::catch_unwind(AssertUnwindSafe(|| runtime.block_on((case.run)())));
            println!("test {} ... {}", case.name, if run.is_ok() { "ok" } else { "FAILED" });
            if run.is_ok() { passed += 1 } else { failed.push(case.name) }
        }
    } else {
        for case in &cases {
            println!("test {} ... ignored, {SERVER} names no server", case.name);
        }
        ignored = cases.len();
        println!("\nSKIPPED: kurrentdb contract ({SERVER} names no server)");
    }
    if !failed.is_empty() {
        println!("\nfailures:\n    {}", failed.join("\n    "));
    }
    println!(
        "\ntest result: {}. {passed} passed; {} failed; {ignored} ignored; 0 measured; {} filtered out; finished in {:.2}s\n",
        if failed.is_empty() { "ok" } else { "FAILED" },
        failed.len(),
        others.len(),
        begun.elapsed().as_secs_f64(),
    );
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
