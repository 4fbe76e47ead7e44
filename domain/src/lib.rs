//! What may happen: commands, events and the rules between them. Pure and synchronous: the clock, the
//! randomness and everything slow come in as arguments.
//!
//! Each kind of stream is a [`Decider`](decision::Decider): `decide` turns a command into events and an outcome, or
//! names the one fact that it needs first ([`evidence`]); `evolve` turns events into state. [`inquiry`] asks until a
//! command is decided.

pub mod account;
pub mod api_key;
pub mod audit_access;
pub mod claim;
pub mod commands;
pub mod cut_off;
pub mod decision;
pub mod delivery;
pub mod entropy;
pub mod events;
pub mod evidence;
pub mod farewell;
pub mod ids;
pub mod inquiry;
pub mod limits;
pub mod numbers;
pub mod outcome;
pub mod personal;
pub mod policy;
pub mod secret;
pub mod state;
pub mod time;
pub mod values;
