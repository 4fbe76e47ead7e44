//! Settings of connections.

use std::time::Duration;

use serde::Deserialize;

use super::ConfigError;

/// Connections of the HTTP interface. Times in seconds.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Http {
    /// At most so many at a time.
    pub connections: usize,
    /// Of one source at most so many, unless it is a trusted proxy.
    pub connections_per_source: usize,
    /// For the head of a request.
    pub head_timeout: u64,
    /// For its body.
    pub body_timeout: u64,
    /// For the next request.
    pub idle_timeout: u64,
    /// For a client that takes nothing of its answer.
    pub write_timeout: u64,
}

impl Default for Http {
    fn default() -> Self {
        Self {
            connections: 800,
            connections_per_source: 200,
            head_timeout: 10,
            body_timeout: 10,
            idle_timeout: 75,
            write_timeout: 30,
        }
    }
}

impl Http {
    /// How long a connection waits.
    pub fn patience(&self) -> crate::http::Patience {
        crate::http::Patience {
            head: Duration::from_secs(self.head_timeout),
            body: Duration::from_secs(self.body_timeout),
            idle: Duration::from_secs(self.idle_timeout),
            write: Duration::from_secs(self.write_timeout),
        }
    }

    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        for (setting, connections) in
            [("connections", self.connections), ("connections_per_source", self.connections_per_source)]
        {
            if connections == 0 {
                let setting = format!("http.{setting}");
                return Err(ConfigError::new(setting, "is 0, so nobody would be answered", "give at least 1"));
            }
        }
        for (setting, seconds) in [
            ("head_timeout", self.head_timeout),
            ("body_timeout", self.body_timeout),
            ("idle_timeout", self.idle_timeout),
            ("write_timeout", self.write_timeout),
        ] {
            if !(1..=3_600).contains(&seconds) {
                let setting = format!("http.{setting}");
                return Err(ConfigError::new(setting, "is not 1 to 3600 seconds", "give a number of seconds"));
            }
        }
        Ok(())
    }
}
