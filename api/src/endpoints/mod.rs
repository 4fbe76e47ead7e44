//! The endpoints: one file each, with its request, answer, problems, documentation and handler.

pub(crate) mod access_tokens;
pub(crate) mod accounts;
pub(crate) mod api_keys;
pub(crate) mod audit;
pub(crate) mod dev;
pub(crate) mod devices;
pub(crate) mod email;
pub(crate) mod email_undos;
pub(crate) mod health;
pub(crate) mod introspect;
pub(crate) mod methods;
pub(crate) mod password;
pub(crate) mod receipts;
pub(crate) mod recovery_codes;
pub(crate) mod security;
pub(crate) mod sessions;
pub(crate) mod sign_in;
pub(crate) mod sign_out;
pub(crate) mod verifications;
