//! Getting out of a subscription that the server has finished.
//!
//! The client does not see the end of a subscription that ends well, as behind a proxy that is restarted: it
//! asks for the next message again and again within one poll, warns each time that it is unknown, and gives
//! neither the thread back nor a time-out a chance. Those warnings are the only place where anyone else's
//! code runs, so they are listened to, and after many in a row the poll is unwound.

use std::{
    fmt,
    panic::{AssertUnwindSafe, resume_unwind},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use eventstore::{Subscription, SubscriptionEvent};
use futures::FutureExt;
use tracing::{
    Dispatch, Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
    instrument::WithSubscriber,
    level_filters::LevelFilter,
    span,
};

use super::link::Trouble;

/// A message that only newer clients know is passed over with the same warning; never so many in a row.
const TOO_MANY: usize = 1_000;

/// Listens to the client while it is polled.
pub(super) struct Listener {
    warnings: Arc<Warnings>,
    dispatch: Dispatch,
}

impl Listener {
    pub(super) fn new() -> Self {
        let warnings = Arc::new(Warnings(AtomicUsize::new(0)));
        Self { dispatch: Dispatch::from(Arc::clone(&warnings) as Arc<dyn Subscriber + Send + Sync>), warnings }
    }

    /// The next message of a subscription.
    pub(super) async fn next(&self, subscription: &mut Subscription) -> Result<SubscriptionEvent, Trouble> {
        self.warnings.0.store(0, Ordering::Relaxed);
        let next = subscription.next_subscription_event().with_subscriber(self.dispatch.clone());
        match AssertUnwindSafe(next).catch_unwind().await {
            Ok(next) => next.map_err(Trouble::from),
            Err(_) => Err(Trouble::Lost("the server has finished the subscription".to_owned())),
        }
    }
}

struct Warnings(AtomicUsize);

impl Subscriber for Warnings {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() == Level::WARN && metadata.target().starts_with("kurrentdb")
    }
    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::WARN)
    }
    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn event(&self, event: &Event<'_>) {
        let mut is_unknown = IsUnknown(false);
        event.record(&mut is_unknown);
        if is_unknown.0 && self.0.fetch_add(1, Ordering::Relaxed) >= TOO_MANY {
            // Not a panic: nothing is printed.
            resume_unwind(Box::new("finished"));
        }
    }
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

struct IsUnknown(bool);

impl Visit for IsUnknown {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0 |= field.name() == "message" && format!("{value:?}").contains("unknown subscription message");
    }
}
