//! The rules, as sentences: what happened, who asks what and when, what follows.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod account_numbers;
mod addresses;
mod any;
mod checks;
mod deciding;
mod deliveries;
mod ending_sessions;
mod enrollment;
mod folding;
mod histories;
mod journeys;
mod kit;
mod lifecycle;
mod locks;
mod methods;
mod numbers;
mod offers;
mod passwords;
mod proofs;
mod properties;
mod reach;
mod recovery;
mod sends;
mod sessions;
mod sides;
mod sign_in;
mod sign_up;
mod steps;
mod streams;
mod texting;
mod told;
mod totp;
mod verifications;
mod witness;
mod words;
