//! What security teams ask, and what support may do.

pub(crate) mod account;
pub(crate) mod accounts;
pub(crate) mod adoption;
pub(crate) mod cut_off_sessions;
pub(crate) mod deliveries;
pub(crate) mod end_sessions;
pub(crate) mod erase;
pub(crate) mod lockouts;
pub(crate) mod reset;
pub(crate) mod unlock;
