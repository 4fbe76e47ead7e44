//! The handle over a machine of one thread that does the same again for the same seed, and over tokio.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, Weak},
    task::{Context, Wake, Waker},
    time::Duration,
};

use domain::time::Timestamp;
use futures::future::{BoxFuture, poll_fn};
use runtime::{Cache, Ended, Machine, NoRandomness, Runtime, Tasks, TimedOut};
use tokio::sync::{mpsc, watch};

const MOMENT: Duration = Duration::from_millis(1);

/// One thread, a clock that moves when nothing is ready, a generator with a seed.
struct Simulated {
    state: Mutex<State>,
    this: Weak<Self>,
}

#[derive(Default)]
struct State {
    running: Duration,
    seed: u64,
    tasks: BTreeMap<u64, Option<BoxFuture<'static, ()>>>,
    ready: BTreeSet<u64>,
    last: u64,
    alarms: BTreeMap<(Duration, u64), Waker>,
    trace: Vec<(Duration, &'static str)>,
}

struct Ready(Weak<Simulated>, u64);

impl Wake for Ready {
    fn wake(self: Arc<Self>) {
        if let Some(machine) = self.0.upgrade() {
            machine.state.lock().unwrap().ready.insert(self.1);
        }
    }
}

impl State {
    /// The next number of the generator (a step of `splitmix64`).
    fn draw(&mut self) -> u64 {
        self.seed = self.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.seed ^ (self.seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed ^ (mixed >> 27)
    }
}

impl Simulated {
    fn new(seed: u64) -> Arc<Self> {
        let state = Mutex::new(State { seed, ..State::default() });
        Arc::new_cyclic(|this| Self { state, this: this.clone() })
    }

    /// Runs until nothing is left that could go on; what went on when.
    fn run(&self) -> Vec<(Duration, &'static str)> {
        loop {
            let mut state = self.state.lock().unwrap();
            if state.ready.is_empty() {
                let Some(((at, _), waker)) = state.alarms.pop_first() else { return std::mem::take(&mut state.trace) };
                state.running = state.running.max(at);
                drop(state);
                waker.wake();
                continue;
            }
            let place = usize::try_from(state.draw()).unwrap() % state.ready.len();
            let chosen = *state.ready.iter().nth(place).unwrap();
            state.ready.remove(&chosen);
            let Some(Some(mut task)) = state.tasks.insert(chosen, None) else { continue };
            drop(state);
            let waker = Waker::from(Arc::new(Ready(self.this.clone(), chosen)));
            let is_done = task.as_mut().poll(&mut Context::from_waker(&waker)).is_ready();
            let mut state = self.state.lock().unwrap();
            if is_done {
                state.tasks.remove(&chosen);
            } else {
                state.tasks.insert(chosen, Some(task));
            }
        }
    }

    fn note(&self, what: &'static str) {
        let mut state = self.state.lock().unwrap();
        let now = state.running;
        state.trace.push((now, what));
    }
}

impl Machine for Simulated {
    fn now(&self) -> Timestamp {
        let millis = self.running().as_millis();
        Timestamp::from_millis(i64::try_from(millis).unwrap())
    }
    fn running(&self) -> Duration {
        self.state.lock().unwrap().running
    }
    fn sleep(&self, pause: Duration) -> BoxFuture<'static, ()> {
        let (machine, at) = (self.this.clone(), self.running() + pause);
        Box::pin(poll_fn(move |context| {
            let machine = machine.upgrade().unwrap();
            let mut state = machine.state.lock().unwrap();
            if state.running >= at {
                return std::task::Poll::Ready(());
            }
            state.last += 1;
            let number = state.last;
            state.alarms.insert((at, number), context.waker().clone());
            std::task::Poll::Pending
        }))
    }
    fn spawn(&self, _: &'static str, task: BoxFuture<'static, ()>) {
        let mut state = self.state.lock().unwrap();
        state.last += 1;
        let number = state.last;
        state.tasks.insert(number, Some(task));
        state.ready.insert(number);
    }
    fn run_blocking(&self, name: &'static str, work: Box<dyn FnOnce() + Send>) {
        self.spawn(name, Box::pin(async move { work() }));
    }
    fn fill(&self, bytes: &mut [u8]) -> Result<(), NoRandomness> {
        let mut state = self.state.lock().unwrap();
        for part in bytes.chunks_mut(8) {
            part.copy_from_slice(&state.draw().to_le_bytes()[..part.len()]);
        }
        Ok(())
    }
}

/// Tasks that wait for each other and for time; what happened when.
fn trace(seed: u64) -> Vec<(Duration, &'static str)> {
    let machine = Simulated::new(seed);
    let runtime = Runtime::new(Arc::<Simulated>::clone(&machine)).unwrap();
    let (announce, announced) = watch::channel(0);
    for name in ["one", "two", "three", "four", "five", "six"] {
        let (machine, runtime, mut announced) = (Arc::downgrade(&machine), runtime.clone(), announced.clone());
        let task = runtime.clone().spawn(name, async move {
            announced.wait_for(|number| *number == 1).await.unwrap();
            machine.upgrade().unwrap().note(name);
            let pause = runtime.random_bytes::<1>().unwrap()[0];
            runtime.sleep(MOMENT * u32::from(pause)).await;
            machine.upgrade().unwrap().note(name);
        });
        drop(task);
    }
    let hashed = runtime.blocking("hashing", || 7);
    drop(runtime.clone().spawn("announces", async move {
        assert_eq!(hashed.await, Ok(7));
        runtime.sleep(Duration::from_hours(1)).await;
        announce.send(1).unwrap();
    }));
    drop(announced);
    machine.run()
}

#[test]
fn the_same_seed_gives_the_same_trace_and_another_seed_another() {
    let first = trace(7);
    assert_eq!(first.len(), 12, "{first:?}");
    assert!(first.iter().all(|(at, _)| *at >= Duration::from_hours(1)), "an hour passes at once: {first:?}");
    for _ in 0..20 {
        assert_eq!(trace(7), first);
    }
    assert_ne!(trace(8), first);
}

#[test]
fn a_machine_without_randomness_is_refused() {
    struct Dull(Arc<Simulated>);
    impl Machine for Dull {
        fn now(&self) -> Timestamp {
            self.0.now()
        }
        fn running(&self) -> Duration {
            self.0.running()
        }
        fn sleep(&self, pause: Duration) -> BoxFuture<'static, ()> {
            self.0.sleep(pause)
        }
        fn spawn(&self, name: &'static str, task: BoxFuture<'static, ()>) {
            self.0.spawn(name, task);
        }
        fn run_blocking(&self, name: &'static str, work: Box<dyn FnOnce() + Send>) {
            self.0.run_blocking(name, work);
        }
        fn fill(&self, _: &mut [u8]) -> Result<(), NoRandomness> {
            Err(NoRandomness)
        }
    }
    assert_eq!(Runtime::new(Arc::new(Dull(Simulated::new(1)))).unwrap_err(), NoRandomness);
}

#[test]
fn a_full_cache_forgets_the_same_keys_for_the_same_seed() {
    let kept = |seed| {
        let runtime = Runtime::new(Simulated::new(seed)).unwrap();
        let cache = Cache::new(&runtime, 1_000);
        (0..5_000).for_each(|key| cache.insert(key, ()));
        (0..5_000).filter(|key| cache.peek(key).is_some()).collect::<Vec<i32>>()
    };
    assert_eq!(kept(1), kept(1));
    assert_ne!(kept(1), kept(2));
    assert!(kept(1).len() <= 1_088, "no part holds more than its share: {}", kept(1).len());
}

#[tokio::test]
async fn a_task_tells_what_it_made_or_how_it_ended() {
    let runtime = Runtime::system().unwrap();
    assert_eq!(runtime.spawn("makes", async { 7 }).await, Ok(7));
    assert_eq!(runtime.spawn("panics", async { panic!("in a test") }).await, Err::<(), _>(Ended::Panicked));
    assert_eq!(runtime.blocking("panics", || panic!("in a test")).await, Err::<(), _>(Ended::Panicked));
    let waits = runtime.spawn("waits", std::future::pending::<()>());
    waits.abort();
    assert_eq!(waits.await, Err(Ended::Aborted));
}

#[tokio::test]
async fn a_task_that_is_dropped_goes_on_and_one_that_is_held_ends_with_its_holder() {
    let runtime = Runtime::system().unwrap();
    let (tell, mut told) = mpsc::channel::<&str>(1);
    let on = tell.clone();
    drop(runtime.spawn("goes on", async move { on.send("went on").await.unwrap() }));
    assert_eq!(told.recv().await, Some("went on"));
    drop(runtime.spawn("ends", async move { tell.send(std::future::pending().await).await }).abort_on_drop());
    let ended = runtime.timeout(Duration::from_secs(10), told.recv()).await;
    assert_eq!(ended, Ok(None), "its end of the channel is gone");
}

#[tokio::test]
async fn tasks_are_told_by_their_keys_and_end_with_their_holder() {
    let runtime = Runtime::system().unwrap();
    let mut tasks = Tasks::new();
    assert_eq!(tasks.next().await, None::<(i32, Result<i32, Ended>)>);
    tasks.spawn(&runtime, "makes", 1, async { 7 });
    assert_eq!(tasks.next().await, Some((1, Ok(7))));
    let (tell, mut told) = mpsc::channel::<i32>(1);
    tasks.spawn(&runtime, "waits", 2, std::future::pending());
    tasks.abort_all();
    assert_eq!(tasks.next().await, Some((2, Err(Ended::Aborted))));
    tasks.spawn(&runtime, "waits", 3, async move {
        tell.closed().await;
        7
    });
    assert_eq!(tasks.len(), 1);
    drop(tasks);
    assert_eq!(runtime.timeout(Duration::from_secs(10), told.recv()).await, Ok(None));
}

#[tokio::test(start_paused = true)]
async fn waiting_is_as_long_as_it_was_asked_for() {
    let runtime = Runtime::system().unwrap();
    let begun = runtime.instant();
    assert_eq!(runtime.timeout(MOMENT * 10, std::future::pending::<()>()).await, Err(TimedOut));
    assert_eq!(runtime.since(begun), MOMENT * 10);
    assert_eq!(runtime.timeout_at(begun, std::future::ready(7)).await, Ok(7), "what is ready is never too late");
    assert_eq!(runtime.timeout_at(begun + MOMENT * 15, std::future::pending::<()>()).await, Err(TimedOut));
    assert_eq!(runtime.since(begun), MOMENT * 15);
    let mut every = runtime.every(MOMENT * 5);
    for at in [15, 20, 25] {
        every.tick().await;
        assert_eq!(runtime.since(begun), MOMENT * at);
    }
    runtime.sleep(MOMENT * 100).await;
    every.tick().await;
    every.tick().await;
    assert_eq!(runtime.since(begun), MOMENT * 130, "ticks that were missed do not come in a bunch");
}
