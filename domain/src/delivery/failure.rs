//! What a failed try means for the next one.

use serde::{Deserialize, Serialize};

/// What a failure means for the next try.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// This gateway will never take this message: ask the next one.
    Hard,
    /// It did not answer in time; it may have taken the message. Ask the next one.
    TimedOut,
    /// It did not take the message now: ask again after a while.
    Transient,
}

const HARD: &str = "hard.";
const TIMED_OUT: &str = "timed_out";
const TRANSIENT: &str = "transient.";

impl FailureKind {
    /// The reason as `CodeDeliveryFailed` keeps it: kind and word, so that whoever takes the order next
    /// (after a restart, on another machine) knows which gateways are out.
    pub fn recorded(self, word: &str) -> String {
        match self {
            Self::Hard => [HARD, word].concat(),
            Self::TimedOut => TIMED_OUT.to_owned(),
            Self::Transient => [TRANSIENT, word].concat(),
        }
    }

    /// The kind within a recorded reason.
    pub fn of_recorded(reason: &str) -> Self {
        if reason.starts_with(HARD) {
            Self::Hard
        } else if reason == TIMED_OUT {
            Self::TimedOut
        } else {
            Self::Transient
        }
    }

    /// A short stable word, for metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hard => "hard",
            Self::TimedOut => TIMED_OUT,
            Self::Transient => "transient",
        }
    }
}
