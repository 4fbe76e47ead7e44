//! `PostgreSQL`: the database that several processes share, and what of Countersign stands in it.
//!
//! [`Database`] is the way to it: a pool, connections of one's own, migrations. The log, the views and what
//! is counted beside the log use the same one. No statement is sent without a time-out: the server ends it
//! ([`DatabaseOptions::statement_timeout`]), and a server that does not even do that is given up on a little later
//! ([`Database::timed`]).

mod batch;
mod database;
mod errors;
mod gather;
mod keys;
mod migrations;
mod receipts;
mod shared;
mod side;
mod snapshots;
mod store;
mod tidying;
mod tls;
mod watcher;
mod writer;

#[cfg(feature = "kurrentdb")]
pub(crate) use self::tidying::Tidying;
pub use self::{
    database::{Database, DatabaseOptions, Dedicated},
    errors::describe,
    migrations::Migration,
    receipts::{PendingReceipt, ReceiptProof},
    side::PostgresSideStore,
    store::{PostgresOptions, PostgresStore},
};
