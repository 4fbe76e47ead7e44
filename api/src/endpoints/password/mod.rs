//! Passwords: changed by who knows them, reset by who does not.

pub(crate) mod change;
pub(crate) mod request_reset;
pub(crate) mod reset;
pub(crate) mod send_code;
