//! How a server is told what to do.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    path::{Path, PathBuf},
    process::Command,
};

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

/// Settings of one server, as environment variables after the prefix; perhaps over a file.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    file: Option<PathBuf>,
    variables: BTreeMap<String, String>,
    /// A program that runs the server, with its arguments.
    runner: Vec<String>,
}

impl Settings {
    /// Those of a file.
    pub fn of_file(file: &Path) -> Self {
        Self { file: Some(file.to_owned()), ..Self::default() }
    }

    /// These, and where they say nothing, others.
    #[must_use]
    pub fn or(mut self, others: Self) -> Self {
        for (name, value) in others.variables {
            self.variables.entry(name).or_insert(value);
        }
        self
    }

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
        ["registrations_per_source", "sends_per_source", "texts_per_prefix"]
            .into_iter()
            .fold(self, |settings, limit| settings.with(&format!("policy.limits.{limit}"), generous))
    }

    /// The server is run by this program.
    #[must_use]
    pub fn under(mut self, runner: &[&str]) -> Self {
        self.runner = runner.iter().map(ToString::to_string).collect();
        self
    }

    /// The binary, run as these settings say, with nothing set yet.
    pub fn command(&self) -> Command {
        let Some((program, arguments)) = self.runner.split_first() else { return self.beside() };
        let mut command = clean(Command::new(program));
        command.args(arguments).arg(BINARY).args(self.config());
        command
    }

    /// The same for a command beside the server, which nothing else runs.
    pub fn beside(&self) -> Command {
        let mut command = binary();
        command.args(self.config());
        command
    }

    /// How the file is named, where there is one.
    fn config(&self) -> impl Iterator<Item = &OsStr> {
        self.file.iter().flat_map(|file| [OsStr::new("--config"), file.as_os_str()])
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
