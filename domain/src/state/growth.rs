//! How fast a history grows by what succeeds. Wrong codes and sends have bounds of their own.

use serde::{Deserialize, Serialize};

use crate::time::{Seconds, Timestamp};

const HOUR: Seconds = Seconds::hours(1);
/// Moments are kept to five minutes: an hour is thirteen numbers, and what is counted leaves a little late.
const SLOT: Seconds = Seconds::minutes(5);

/// What succeeded in the last hour.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Growth {
    /// Sign-ins.
    pub sign_ins: LastHour,
    /// Checks that a credential began, sign-ins apart.
    pub checks: LastHour,
    /// Labels, primary methods, passwords, enrollments begun.
    pub changes: LastHour,
}

/// How often something happened in the last hour.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastHour(Vec<(Timestamp, u32)>);

impl LastHour {
    /// Once more.
    pub(crate) fn count(&mut self, at: Timestamp) {
        self.0.retain(|(slot, _)| at < leaves(*slot));
        match self.0.last_mut() {
            Some((slot, count)) if at < slot.plus(SLOT) => *count = count.saturating_add(1),
            _ => self.0.push((at, 1)),
        }
    }
    /// Where it happened as often as this: when it has not any more.
    pub fn full_until(&self, most: u32, now: Timestamp) -> Option<Timestamp> {
        let recent = self.0.iter().filter(|(slot, _)| now < leaves(*slot));
        let mut left = recent.clone().fold(0_u32, |sum, (_, count)| sum.saturating_add(*count));
        let mut until = None;
        for (slot, count) in recent {
            if left < most {
                break;
            }
            left -= count;
            until = Some(leaves(*slot));
        }
        until
    }
}

/// When all of a slot is over.
fn leaves(slot: Timestamp) -> Timestamp {
    slot.plus(SLOT).plus(HOUR)
}
