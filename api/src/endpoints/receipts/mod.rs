//! What gateways tell of the messages that they took.

pub(crate) mod record;
