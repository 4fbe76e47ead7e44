//! Sessions of an account.

pub(crate) mod list;
pub(crate) mod revoke;
