//! The port.

use std::time::Duration;

use domain::time::Timestamp;
use futures::future::BoxFuture;

/// There are no random numbers to be had: nothing that needs one may go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the operating system's random number generator failed")]
pub struct NoRandomness;

/// What runs the program. [`Runtime`](crate::Runtime) is how it is asked.
///
/// # A machine that does the same again
///
/// is one thread with a queue of its own, clocks that move when nothing is ready, and a generator with a seed.
/// It chooses among the tasks that are ready by their number and not by the order in which they were woken:
/// `tokio::sync::watch` wakes those who wait on it in an order that it draws for itself. Whoever waits is woken all
/// the same, so the set is the same and the choice is the machine's.
pub trait Machine: Send + Sync + 'static {
    /// The time of day. It may be set, also back.
    fn now(&self) -> Timestamp;

    /// How long it has run, from a start of its own. Nobody sets it: what has to pass passes by it.
    fn running(&self) -> Duration;

    /// What [`Machine::sleep`] counts by. The same as [`Machine::running`], but in tests that let hours pass at once
    /// while what waits goes on waiting.
    fn timer(&self) -> Duration {
        self.running()
    }

    /// Ends after this long, and not before.
    fn sleep(&self, pause: Duration) -> BoxFuture<'static, ()>;

    /// Runs a task beside the others. The name says what it is, to whoever watches.
    fn spawn(&self, name: &'static str, task: BoxFuture<'static, ()>);

    /// Runs what keeps its thread for a while beside all tasks.
    fn run_blocking(&self, name: &'static str, work: Box<dyn FnOnce() + Send>);

    /// Fills with random bytes that nobody can guess.
    fn fill(&self, bytes: &mut [u8]) -> Result<(), NoRandomness>;
}
