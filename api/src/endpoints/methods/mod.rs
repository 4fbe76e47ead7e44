//! Methods: authenticator apps and phone numbers.

pub(crate) mod change;
pub(crate) mod disable;
pub(crate) mod enable;
pub(crate) mod list;
pub(crate) mod resend_code;
pub(crate) mod start_sms;
pub(crate) mod start_totp;
