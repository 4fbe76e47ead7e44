//! What is on record of one send, read from its delivery stream. Pure.

use domain::{delivery::SEND_TIMEOUT, events::Event, time::Timestamp};
use schemas::envelope::RecordedEvent;

use crate::{
    failover::{Try, TryEnd},
    gateway::FailureKind,
};

/// The tries of one send.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Past {
    /// Those that are over, oldest first.
    pub tries: Vec<Try>,
    /// The one that nobody has recorded the end of: its gateway, and when it began.
    pub open: Option<(String, Timestamp)>,
    /// Whether nothing more will be tried.
    pub is_over: bool,
}

impl Past {
    /// Reads the events of a delivery stream.
    pub fn of(history: &[RecordedEvent]) -> Self {
        let mut past = Self::default();
        let mut unknown = 0;
        for recorded in history {
            match &recorded.event {
                Event::SendStarted(e) => past.open = Some((e.provider.clone(), recorded.metadata.at)),
                Event::CodeDispatched(_) | Event::CodeDelivered(_) => {
                    past.open = None;
                    past.is_over = true;
                }
                Event::CodeDeliveryFailed(e) => {
                    past.open = None;
                    past.is_over = e.is_final;
                    let end = TryEnd::Failed(FailureKind::of_recorded(&e.reason));
                    past.tries.push(Try { provider: e.provider.clone(), end });
                }
                Event::SendOutcomeUnknown(e) => {
                    past.open = None;
                    unknown += 1;
                    past.is_over = unknown > 1;
                    past.tries.push(Try { provider: e.provider.clone(), end: TryEnd::Unknown });
                }
                _ => {}
            }
        }
        past
    }

    /// When a try that someone else may be at has had its time; `None` when none is under way.
    pub fn taken_until(&self, now: Timestamp) -> Option<Timestamp> {
        let (_, started_at) = self.open.as_ref()?;
        Some(started_at.plus(SEND_TIMEOUT)).filter(|until| now < *until)
    }

    /// The tries as they count for the next one: an open one had its time, so its outcome is unknown.
    pub fn counted(&self) -> Vec<Try> {
        let open = self.open.iter().map(|(provider, _)| Try { provider: provider.clone(), end: TryEnd::Unknown });
        self.tries.iter().cloned().chain(open).collect()
    }
}
