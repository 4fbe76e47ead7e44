//! The real command line of vast.ai, unmodified, against the real binary.

mod client;
mod methods;
mod sign_in;
mod wrong_codes;
