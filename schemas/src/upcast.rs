//! Reading what older programs wrote: a chain of pure functions from each version to the next.
//!
//! An upcaster gets the data of one version and returns that of the next. It sees JSON, not Rust types:
//! types move on, and a function over them would change its meaning with them. A sealed value
//! (`{"$sealed": …}`) is moved as it is, key and all: it carries the tag that it was sealed with, so it
//! opens wherever it stands. An upcaster must not look into one, and cannot.

use serde_json::Value;

/// From one version of a type to the next.
#[derive(Debug, Clone, Copy)]
pub struct Upcaster {
    /// Stored type name.
    pub event_type: &'static str,
    /// The version it reads; it writes the next one.
    pub from: u16,
    /// Total and pure: whatever it is given, it returns something, always the same. What it cannot make
    /// sense of it returns unchanged, and strict decoding refuses it afterwards.
    pub upcast: fn(Value) -> Value,
}

/// Why no chain leads from a stored version to the current one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UpcastError {
    /// There never was such a version, or it comes from a newer program.
    #[error("{event_type} v{version} is unknown: this program knows v1 to v{current}")]
    UnknownVersion {
        /// Stored type name.
        event_type: String,
        /// Stored version.
        version: u16,
        /// The version in which it is written now.
        current: u16,
    },
    /// A step is missing from the table; a test sees to it that this does not happen.
    #[error("{event_type} v{version} has no upcaster")]
    Gap {
        /// Stored type name.
        event_type: String,
        /// The version from which nothing leads on.
        version: u16,
    },
}

/// All upcasters of a registry.
#[derive(Debug, Clone, Copy)]
pub struct Chain<'a>(&'a [Upcaster]);

impl<'a> Chain<'a> {
    /// From the table of all of them, in any order.
    pub const fn new(upcasters: &'a [Upcaster]) -> Self {
        Self(upcasters)
    }

    /// The data as the current version has it.
    pub fn upcast(self, event_type: &str, stored: u16, current: u16, mut data: Value) -> Result<Value, UpcastError> {
        if stored == 0 || stored > current {
            return Err(UpcastError::UnknownVersion { event_type: event_type.to_owned(), version: stored, current });
        }
        for version in stored..current {
            let step = self.0.iter().find(|step| step.event_type == event_type && step.from == version);
            let step = step.ok_or_else(|| UpcastError::Gap { event_type: event_type.to_owned(), version })?;
            data = (step.upcast)(data);
        }
        Ok(data)
    }
}
