//! What stops the start.

use std::fmt;

/// A setting that stops the start: what is wrong with which one, and what helps, in one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    setting: String,
    problem: String,
    cure: String,
}

impl ConfigError {
    /// What is wrong with which setting, and what helps.
    pub fn new(setting: impl Into<String>, problem: impl Into<String>, cure: impl Into<String>) -> Self {
        Self { setting: setting.into(), problem: problem.into(), cure: cure.into() }
    }

    /// What is wrong with which setting.
    pub fn problem(&self) -> String {
        format!("setting {}: {}", self.setting, one_line(&self.problem))
    }

    /// What helps.
    pub fn cure(&self) -> &str {
        &self.cure
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.problem(), self.cure)
    }
}

impl std::error::Error for ConfigError {}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
