//! A running server for one test: the real binary, a data folder of its own, a clock that the test moves.

mod client;
mod leaks;
mod mail;
mod person;
mod process;
mod server;
mod settings;
mod setup;
mod watcher;

pub use client::{Answer, Client, USER_AGENT};
pub use mail::MailCatcher;
pub use person::{PASSWORD, Person, id};
pub use server::Server;
pub use settings::{Settings, binary};
pub use setup::{Broker, Engines, ROLES, Setup};
pub(crate) use setup::{over_both_logs, over_every_setup, over_setup};
pub use watcher::Watcher;

use std::time::Duration;

/// How long a test waits for what must come: long, since it is no failure when a machine is busy.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// Asks until there is an answer; fails the test when there is none in time.
pub async fn eventually<T, F: Future<Output = Option<T>>>(what: &str, mut ask: impl FnMut() -> F) -> T {
    let asked = async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let answer = tokio::time::timeout(DEADLINE, asked).await;
    answer.unwrap_or_else(|elapsed| panic!("{what} did not come: {elapsed}"))
}

/// The six digits that an authenticator app shows at a moment: SHA-1, 30 seconds.
pub fn totp_at(secret_base32: &str, seconds: u64) -> String {
    let secret = totp_rs::Secret::try_from_base32(secret_base32).expect("the key is base32");
    totp_rs::Builder::new().with_secret(secret).build().expect("the key is long enough").generate(seconds).to_string()
}

/// Another code of the same length.
pub fn another(code: &str) -> String {
    code.chars().map(|digit| if digit == '7' { '1' } else { '7' }).collect()
}
