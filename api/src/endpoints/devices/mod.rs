//! Devices that an account knows.

pub(crate) mod forget;
pub(crate) mod list;
