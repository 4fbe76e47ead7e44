//! Accounts.

pub(crate) mod create;
pub(crate) mod erase;
pub(crate) mod read;
