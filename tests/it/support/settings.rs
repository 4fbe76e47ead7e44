//! How a server is told what to do.

use std::{collections::BTreeMap, process::Command};

const BINARY: &str = env!("CARGO_BIN_EXE_countersign");

/// The binary, with a clean environment.
pub fn binary() -> Command {
    clean(Command::new(BINARY))
}

fn clean(mut command: Command) -> Command {
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("COUNTERSIGN")) {
        command.env_remove(name);
    }
    command
}

/// Settings of one server, as environment variables after the prefix.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    variables: BTreeMap<String, String>,
    /// A program that runs the server, with its arguments.
    runner: Vec<String>,
}

impl Settings {
    /// One more setting: `("policy.code_lives", "300")`.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.insert(variable(name), value.to_owned());
        self
    }

    /// Limits that no load test reaches.
    #[must_use]
    pub fn generous(self) -> Self {
        let generous = "{ count = 1000000, window = 3600 }";
        self.with("policy.limits.registrations_per_source", generous).with("policy.limits.sends_per_source", generous)
    }

    /// The server is run by this program.
    #[must_use]
    pub fn under(mut self, runner: &[&str]) -> Self {
        self.runner = runner.iter().map(ToString::to_string).collect();
        self
    }

    /// The binary, run as these settings say, with nothing set yet.
    pub fn command(&self) -> Command {
        let Some((program, arguments)) = self.runner.split_first() else { return binary() };
        let mut command = clean(Command::new(program));
        command.args(arguments).arg(BINARY);
        command
    }

    /// What was set, if it was.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(&variable(name)).map(String::as_str)
    }

    /// As environment variables.
    pub fn variables(&self) -> impl Iterator<Item = (&str, &str)> {
        self.variables.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

fn variable(name: &str) -> String {
    format!("COUNTERSIGN__{}", name.replace('.', "__").to_ascii_uppercase())
}
