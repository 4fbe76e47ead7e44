//! Wrong codes, counted apart for the devices that an account knows and for everybody else.

use serde::{Deserialize, Serialize};

use super::Locks;
use crate::{
    time::{Seconds, Timestamp},
    values::Side,
};

const DAY: Seconds = Seconds::days(1);
const HOUR: Seconds = Seconds::hours(1);
/// At most so many moments of wrong imported codes are kept; see `Policy::imported_code_attempts_hour`.
const RECENT_KEPT: usize = 32;

/// The tallies of both sides.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tallies {
    /// Of sessions, access tokens and devices that the account knows.
    pub known_devices: Tally,
    /// Of everybody else.
    pub others: Tally,
}

impl Tallies {
    /// Both sides.
    pub const SIDES: [Side; 2] = [Side::KnownDevices, Side::Others];

    /// The tally of a side.
    pub fn of(&self, side: Side) -> &Tally {
        match side {
            Side::KnownDevices => &self.known_devices,
            Side::Others => &self.others,
        }
    }
    /// The tally of a side, to be changed.
    pub fn of_mut(&mut self, side: Side) -> &mut Tally {
        match side {
            Side::KnownDevices => &mut self.known_devices,
            Side::Others => &mut self.others,
        }
    }
}

/// Wrong codes of one side.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Wrong codes in a row and locks, by kind.
    pub locks: Locks,
    /// Wrong codes in a row over TOTP, SMS and email, when the last of them came.
    pub failures: u32,
    /// That count falls with time since then: whoever fills it, nobody is kept out for good.
    pub falling_since: Option<Timestamp>,
    /// Whether the last of them reached the cap.
    pub reached_cap: bool,
    /// Wrong recovery codes of an imported set.
    pub imported: ImportedCodes,
}

impl Tally {
    /// One more wrong code over TOTP, SMS and email: it is the n-th now.
    pub(crate) fn count(&mut self, failures: u32, reached_cap: bool, at: Timestamp) {
        // What fell is paid for by starting anew; the part of one that had not fallen yet is lost with it.
        if self.falling_since.is_none() || failures <= self.failures {
            self.falling_since = Some(at);
        }
        self.failures = failures;
        self.reached_cap = reached_cap;
    }
    /// The count as it is now, where it falls by so many a day.
    pub fn failures_at(&self, now: Timestamp, fall_per_day: u32) -> u32 {
        let fallen = self.falling_since.map_or(0, |since| {
            let passed = u64::try_from(now.as_millis().saturating_sub(since.as_millis())).unwrap_or(0);
            passed.saturating_mul(fall_per_day.into()) / (u64::from(DAY.0) * 1_000)
        });
        self.failures.saturating_sub(u32::try_from(fallen).unwrap_or(u32::MAX))
    }
    /// Whether the cap stops TOTP, SMS and email now.
    pub fn is_capped(&self, now: Timestamp, fall_per_day: u32) -> bool {
        self.reached_cap && self.failures_at(now, fall_per_day) >= self.failures
    }
    /// A success with a factor that is not email: all but the locks of the kinds begins anew.
    pub(crate) fn clear_cap(&mut self) {
        let Self { locks, .. } = *self;
        *self = Self { locks, ..Self::default() };
    }
}

/// Wrong recovery codes of an imported set, which may be short.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportedCodes {
    /// In a row.
    pub failures: u32,
    /// Those of the last hour.
    pub recent: Vec<Timestamp>,
}

impl ImportedCodes {
    /// One more: it is the n-th in a row.
    pub(crate) fn count(&mut self, failures: u32, at: Timestamp) {
        self.failures = failures;
        self.recent.retain(|earlier| at < earlier.plus(HOUR));
        self.recent.push(at);
        self.recent.drain(..self.recent.len().saturating_sub(RECENT_KEPT));
    }
    /// Where the last hour holds as many as this: when it does not any more.
    pub fn full_until(&self, most: u32, now: Timestamp) -> Option<Timestamp> {
        let recent: Vec<Timestamp> = self.recent.iter().map(|at| at.plus(HOUR)).filter(|until| now < *until).collect();
        let over = recent.len().checked_sub(most as usize)?;
        recent.get(over).or(recent.last()).copied()
    }
}
