//! The rules, as sentences: what happened, who asks what and when, what follows.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]
#![expect(missing_docs, reason = "tests name what they mean")]

mod histories;
mod kit;
mod sign_in;
mod sign_up;
