//! Following the log to keep what is in memory current.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use domain::ids::StreamId;
use runtime::{Instant, Runtime};
use schemas::envelope::{Position, StoredEvent};
use tokio_util::sync::CancellationToken;

use crate::Engine;
use event_store::{port::LogError, subscription};

/// A state in memory may be this much behind the log; beyond, the stream itself is asked.
const MAY_LAG: Duration = Duration::from_secs(1);
/// How often the task says that it is still there when nothing happens.
const HEARTBEAT: Duration = Duration::from_millis(200);
const RETRY: Duration = Duration::from_millis(100);
const BATCH: usize = 512;

/// When memory was last known to hold everything that the log had announced.
#[derive(Default)]
pub(crate) struct Follower {
    current: Mutex<Option<Instant>>,
}

impl Follower {
    /// Whether what is in memory is at most a second old.
    pub(crate) fn is_current(&self, runtime: &Runtime) -> bool {
        let current = *self.current.lock().unwrap_or_else(PoisonError::into_inner);
        current.is_some_and(|at| runtime.since(at) < MAY_LAG)
    }

    fn mark(&self, at: Instant) {
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = Some(at);
    }
}

pub(crate) fn spawn(engine: &Engine, from: Position, cancel: CancellationToken) {
    let (runtime, engine) = (engine.runtime().clone(), engine.clone());
    runtime.spawn("engine follows the log", async move {
        tokio::select! {
            biased;
            () = cancel.cancelled() => {}
            () = run(&engine, from) => {}
        }
    });
}

async fn run(engine: &Engine, from: Position) {
    let runtime = engine.runtime();
    let mut subscription = subscription::subscribe(runtime, engine.log().clone(), from, BATCH);
    loop {
        let begun = runtime.instant();
        if subscription.is_caught_up() {
            engine.inner.follower.mark(begun);
        }
        match runtime.timeout(HEARTBEAT, subscription.next()).await {
            Ok(Ok(events)) => engine.followed(&events),
            Ok(Err(error)) => {
                log_trouble(&error);
                runtime.sleep(RETRY).await;
            }
            Err(_) => {}
        }
    }
}

fn log_trouble(error: &LogError) {
    tracing::warn!(%error, "the log cannot be followed; states are confirmed with it instead");
}

impl Engine {
    fn followed(&self, events: &[StoredEvent]) {
        for event in events {
            let Ok(stream) = event.stream.parse::<StreamId>() else { continue };
            self.inner.states.followed(&stream, event.version);
            self.inner.cut_off.followed(event);
            if &*event.event_type == "AccountErased" {
                self.keys().forget(&stream);
            }
        }
    }
}
