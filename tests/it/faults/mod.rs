//! Faults, each with what it must not cost: nothing.

mod bad_setups;
mod broker;
mod clock;
mod disk;
mod fake_gateway;
mod gateways;
mod killed;
mod load;
mod receipts;
mod servers;
mod signed;
mod takeover;
