//! The gateways to the outside world: mail by SMTP, text messages by Twilio or by a webhook of one's own.
//!
//! Each adapter is made from plain options, refuses impossible ones with one line, answers within its own
//! time-out, and says of every failure what may be tried next. What a gateway says is never repeated, for it may
//! quote the number or the address: reasons are short words of ours. Receipts come back over HTTP and are read by
//! [`ReceiptVerifier`](domain::delivery::ReceiptVerifier)s, which know the same secrets.

mod http;
pub mod smtp;
pub mod twilio;
pub mod webhook;

use std::{fmt, time::Duration};

use crate::gateway::LONGEST_ANSWER;

/// An option of a gateway that cannot be. `Display` is one line, without the value of a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidOption {
    /// The option, by the name that the configuration gives it.
    pub option: &'static str,
    /// What is wrong with it.
    pub problem: String,
    /// What helps.
    pub cure: &'static str,
}

impl InvalidOption {
    fn new(option: &'static str, problem: impl Into<String>, cure: &'static str) -> Self {
        Self { option, problem: problem.into(), cure }
    }
}

impl fmt::Display for InvalidOption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}; {}", self.option, self.problem, self.cure)
    }
}

impl std::error::Error for InvalidOption {}

/// Where a gateway's receipts go, below the public address.
fn receipts_url(public_url: &str, gateway: &str) -> String {
    format!("{}/v1/receipts/{gateway}", public_url.trim_end_matches('/'))
}

/// A gateway's name stands in history, in metrics and in the path of its receipts.
fn checked_name(name: &str) -> Result<(), InvalidOption> {
    let is_plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_');
    if (1..=32).contains(&name.len()) && name.bytes().all(is_plain) {
        return Ok(());
    }
    Err(InvalidOption::new("name", "cannot stand in a path", "give 1 to 32 of a-z, 0-9, - and _"))
}

fn checked_timeout(timeout: Duration) -> Result<(), InvalidOption> {
    if timeout.is_zero() || timeout > LONGEST_ANSWER {
        let problem = format!("is {} seconds", timeout.as_secs());
        let cure = "give at least 1 and at most 20 seconds: after 30 another worker repeats the send";
        return Err(InvalidOption::new("timeout", problem, cure));
    }
    Ok(())
}
