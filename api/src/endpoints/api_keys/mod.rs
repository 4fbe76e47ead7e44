//! API clients' keys.

pub(crate) mod issue;
pub(crate) mod list;
pub(crate) mod revoke;
