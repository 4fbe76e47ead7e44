//! Which gateway is asked next.

use super::{Attempt, AttemptState, FailureKind};

/// Most tries of one send, whatever they end with.
pub const MAX_TRIES: usize = 20;

/// Tries in a row that one gateway may put off before the next one is asked.
pub const TRANSIENT_TRIES: usize = 3;

/// The gateways that a send may go by.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Routes {
    /// Their names, the preferred one first.
    pub gateways: Vec<String>,
    /// The one by which the same code went out before, without a receipt.
    pub unreceipted: Option<String>,
}

impl Routes {
    /// The gateway of the next try; `None` when nothing is left to be tried.
    ///
    /// * The first one in order; a resend of what went out without a receipt starts behind the gateway of that.
    /// * A hard failure takes its gateway out of this send and moves on.
    /// * A time-out moves on, around to the first again if it must. Each may have put a copy on its way, so
    ///   there are as many of them as gateways, and two at least.
    /// * What is put off stays where it is, [`TRANSIENT_TRIES`] times.
    /// * After an unknown outcome the same gateway is asked again: it was the worker that failed, and a gateway
    ///   that knows the reference sends no second copy.
    pub(super) fn next(&self, attempts: &[Attempt]) -> Option<&str> {
        let count = self.gateways.len();
        let place = |name: &str| self.gateways.iter().position(|gateway| gateway == name);
        let mut refusing = vec![false; count];
        let mut timeouts = 0;
        let mut put_off = 0;
        let mut at = self.unreceipted.as_deref().and_then(place).map_or(0, |place| place + 1);
        for attempt in attempts {
            let Some(found) = place(&attempt.provider) else {
                // A gateway that is no longer configured says nothing about the others.
                continue;
            };
            at = found;
            let failure = match attempt.state {
                AttemptState::Failed(kind) => Some(kind),
                _ => None,
            };
            put_off = if failure == Some(FailureKind::Transient) { put_off + 1 } else { 0 };
            match failure {
                Some(FailureKind::Hard) => {
                    if let Some(refusing) = refusing.get_mut(found) {
                        *refusing = true;
                    }
                    at += 1;
                }
                Some(FailureKind::TimedOut) => {
                    timeouts += 1;
                    at += 1;
                }
                Some(FailureKind::Transient) if put_off % TRANSIENT_TRIES == 0 => at += 1,
                Some(FailureKind::Transient) | None => {}
            }
        }
        if attempts.len() >= MAX_TRIES || timeouts >= count.max(2) {
            return None;
        }
        let around = self.gateways.iter().zip(refusing).cycle().skip(at % count.max(1)).take(count);
        around.filter(|(_, refusing)| !refusing).map(|(gateway, _)| gateway.as_str()).next()
    }
}
