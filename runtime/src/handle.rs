//! How the machine is asked.

use std::{fmt, panic::AssertUnwindSafe, pin::pin, sync::Arc, task::Poll, time::Duration};

use domain::{entropy::Entropy, time::Timestamp};
use futures::{
    FutureExt,
    future::{AbortHandle, Abortable, BoxFuture, poll_fn},
};
use tokio::sync::oneshot;
use zeroize::Zeroizing;

use crate::{
    Machine, NoRandomness, System,
    cache::HashSeed,
    task::{Ended, Task},
    waiting::{Every, Instant, TimedOut},
};

/// A handle to the machine; cheap to clone.
#[derive(Clone)]
pub struct Runtime {
    machine: Arc<dyn Machine>,
    hash_seed: HashSeed,
}

impl Runtime {
    /// Over a machine. A machine without randomness is refused before anything begins.
    pub fn new(machine: Arc<dyn Machine>) -> Result<Self, NoRandomness> {
        let mut seed = [0; 16];
        machine.fill(&mut seed)?;
        Ok(Self { machine, hash_seed: HashSeed::new(seed) })
    }

    /// Over tokio and the operating system.
    pub fn system() -> Result<Self, NoRandomness> {
        Self::new(Arc::new(System::default()))
    }

    /// The time of day; [`Machine::now`].
    pub fn now(&self) -> Timestamp {
        self.machine.now()
    }

    /// How long the machine has run; [`Machine::running`].
    pub fn running(&self) -> Duration {
        self.machine.running()
    }

    /// This moment, to measure and to wait from.
    pub fn instant(&self) -> Instant {
        Instant(self.machine.timer())
    }

    /// How long ago a moment was.
    pub fn since(&self, moment: Instant) -> Duration {
        self.machine.timer().saturating_sub(moment.0)
    }

    /// Ends after this long.
    pub fn sleep(&self, pause: Duration) -> BoxFuture<'static, ()> {
        self.machine.sleep(pause)
    }

    /// Ends at a moment, at once when it has passed.
    pub fn sleep_until(&self, moment: Instant) -> BoxFuture<'static, ()> {
        self.sleep(moment.0.saturating_sub(self.machine.timer()))
    }

    /// Waits for work no longer than this from its first look at it. Work that is ready at that look costs no timer.
    pub async fn timeout<T>(&self, most: Duration, work: impl Future<Output = T>) -> Result<T, TimedOut> {
        or_alarm(work, || self.sleep(most)).await
    }

    /// Waits for work until a moment.
    pub async fn timeout_at<T>(&self, moment: Instant, work: impl Future<Output = T>) -> Result<T, TimedOut> {
        or_alarm(work, || self.sleep_until(moment)).await
    }

    /// Ticks at once, and then again and again with this pause between.
    pub fn every(&self, pause: Duration) -> Every {
        Every::new(self.clone(), pause)
    }

    /// Runs a task beside the others. It goes on when what is returned is dropped.
    pub fn spawn<T: Send + 'static>(
        &self,
        name: &'static str,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Task<T> {
        let (abort, registration) = AbortHandle::new_pair();
        let (tell, told) = oneshot::channel();
        self.machine.spawn(
            name,
            Box::pin(async move {
                let ended = Abortable::new(AssertUnwindSafe(work).catch_unwind(), registration).await;
                // Nobody may want to know any more.
                let _ = tell.send(match ended {
                    Ok(ended) => ended.map_err(|_| Ended::Panicked),
                    Err(_) => Err(Ended::Aborted),
                });
            }),
        );
        Task::new(abort, told)
    }

    /// Runs what keeps its thread for a while; aborted in time, it does not begin.
    pub fn blocking<T: Send + 'static>(
        &self,
        name: &'static str,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Task<T> {
        let (abort, _) = AbortHandle::new_pair();
        let (tell, told) = oneshot::channel();
        let is_wanted = abort.clone();
        self.machine.run_blocking(
            name,
            Box::new(move || {
                let ended = if is_wanted.is_aborted() {
                    Err(Ended::Aborted)
                } else {
                    std::panic::catch_unwind(AssertUnwindSafe(work)).map_err(|_| Ended::Panicked)
                };
                let _ = tell.send(ended);
            }),
        );
        Task::new(abort, told)
    }

    /// `N` random bytes, wiped when dropped.
    pub fn random_bytes<const N: usize>(&self) -> Result<Zeroizing<[u8; N]>, NoRandomness> {
        let mut bytes = Zeroizing::new([0; N]);
        self.machine.fill(bytes.as_mut_slice())?;
        Ok(bytes)
    }

    /// The random part of a command's context.
    pub fn entropy(&self) -> Result<Entropy, NoRandomness> {
        Ok(Entropy::new(*self.random_bytes::<32>()?))
    }

    /// What this machine hashes keys of maps with.
    pub fn hash_seed(&self) -> HashSeed {
        self.hash_seed
    }
}

/// The work is looked at first: what is there in time is never refused for a timer that ran out together with it.
async fn or_alarm<T>(work: impl Future<Output = T>, set: impl Fn() -> BoxFuture<'static, ()>) -> Result<T, TimedOut> {
    let mut work = pin!(work);
    let mut alarm = None;
    poll_fn(|context| {
        if let Poll::Ready(done) = work.as_mut().poll(context) {
            return Poll::Ready(Ok(done));
        }
        alarm.get_or_insert_with(&set).as_mut().poll(context).map(|()| Err(TimedOut))
    })
    .await
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runtime").finish_non_exhaustive()
    }
}
