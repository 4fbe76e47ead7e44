//! Verifications: a check of who is there, for one purpose.

pub(crate) mod attempt;
pub(crate) mod read;
pub(crate) mod resend_code;
pub(crate) mod send_code;
pub(crate) mod start;
