//! The world behind one port: clocks, waiting, tasks, work that blocks, randomness.
//!
//! What waits, spawns, blocks, reads a clock or draws randomness asks a [`Runtime`], and a [`Runtime`] asks the
//! [`Machine`] below it. The binary's machine is tokio and the operating system ([`System`]); a test may move its
//! clocks, and a simulation may put another in its place that runs everything in one thread and does the same again
//! for the same seed. `tests/it/ports.rs` refuses whatever goes past it.
//!
//! `tokio::sync` and cancellation tokens stay: they wake whoever waits and need nothing of who runs it.

mod cache;
mod handle;
mod machine;
mod system;
mod task;
mod waiting;

pub use cache::{Cache, HashSeed};
pub use handle::Runtime;
pub use machine::{Machine, NoRandomness};
pub use system::System;
pub use task::{AbortOnDrop, Ended, Task, Tasks};
pub use waiting::{Every, Instant, TimedOut};
