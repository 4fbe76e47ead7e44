//! What the files of the data folder are called.

/// The log with the data keys.
pub const LOG: &str = "log.db";
/// The read models.
pub const VIEWS: &str = "views.db";
/// What is neither history nor derived from it: limits, last uses, the inbox, checkpoints.
pub const OPERATIONS: &str = "operations.db";
/// The keys that wrap the data keys.
pub const KEY_RING: &str = "keyring.toml";
