//! The address of an account.

pub(crate) mod change;
pub(crate) mod resend;
pub(crate) mod unfreeze;
pub(crate) mod verify;
