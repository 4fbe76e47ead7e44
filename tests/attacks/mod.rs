//! Attacks on the running server that worked once, each beside the owner's own way, which still does.

mod known_devices;
mod proofs;
mod secrets_to_be;
mod strangers;
mod survivors;
