//! Which gateway is asked next. Pure: the order of the gateways and what is on record of the send, in;
//! a place in the order, or nothing more to try, out.

use crate::gateway::FailureKind;

/// Most tries of one send, whatever they end with.
pub const MAX_TRIES: usize = 20;

/// Tries in a row that one gateway may put off before the next one is asked.
pub const TRANSIENT_TRIES: usize = 3;

/// A try that is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Try {
    /// The gateway.
    pub provider: String,
    /// How it ended.
    pub end: TryEnd,
}

/// How a try ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TryEnd {
    /// The gateway did not take the message.
    Failed(FailureKind),
    /// Nobody knows: the worker stopped between the gateway's answer and its record.
    Unknown,
}

/// Where to go next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// To the gateway at this place of the order.
    Gateway(usize),
    /// Nothing is left to be tried.
    GiveUp,
}

/// The gateway of the next try.
///
/// * The first one in order; a resend of what went out by `unreceipted` without a receipt starts behind it.
/// * A hard failure takes its gateway out of this send and moves on.
/// * A time-out moves on, around to the first again if it must. Each may have put a copy on its way, so
///   there are as many of them as gateways, and two at least.
/// * What is put off stays where it is, [`TRANSIENT_TRIES`] times.
/// * After an unknown outcome the same gateway is asked again: it was the worker that failed, and a gateway
///   that knows the reference sends no second copy.
pub fn route(gateways: &[&str], tries: &[Try], unreceipted: Option<&str>) -> Route {
    let count = gateways.len();
    let place = |name: &str| gateways.iter().position(|gateway| *gateway == name);
    let mut out = vec![false; count];
    let mut timeouts = 0;
    let mut put_off = 0;
    let mut at = unreceipted.and_then(place).map_or(0, |place| place + 1);
    for past in tries {
        let Some(found) = place(&past.provider) else {
            // A gateway that is no longer configured says nothing about the others.
            continue;
        };
        at = found;
        put_off = if past.end == TryEnd::Failed(FailureKind::Transient) { put_off + 1 } else { 0 };
        match past.end {
            TryEnd::Failed(FailureKind::Hard) => {
                out[found] = true;
                at += 1;
            }
            TryEnd::Failed(FailureKind::TimedOut) => {
                timeouts += 1;
                at += 1;
            }
            TryEnd::Failed(FailureKind::Transient) if put_off % TRANSIENT_TRIES == 0 => at += 1,
            TryEnd::Failed(FailureKind::Transient) | TryEnd::Unknown => {}
        }
    }
    if tries.len() >= MAX_TRIES || timeouts >= count.max(2) {
        return Route::GiveUp;
    }
    (0..count).map(|step| (at + step) % count).find(|place| !out[*place]).map_or(Route::GiveUp, Route::Gateway)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: [&str; 2] = ["one", "two"];
    const THREE: [&str; 3] = ["one", "two", "three"];
    const HARD: TryEnd = TryEnd::Failed(FailureKind::Hard);
    const TIMED_OUT: TryEnd = TryEnd::Failed(FailureKind::TimedOut);
    const TRANSIENT: TryEnd = TryEnd::Failed(FailureKind::Transient);

    fn after(tries: &[(&str, TryEnd)]) -> Vec<Try> {
        tries.iter().map(|(provider, end)| Try { provider: (*provider).to_owned(), end: *end }).collect()
    }

    #[test]
    fn the_first_gateway_is_asked_first() {
        assert_eq!(route(&THREE, &[], None), Route::Gateway(0));
    }

    #[test]
    fn without_a_gateway_there_is_nothing_to_try() {
        assert_eq!(route(&[], &[], None), Route::GiveUp);
    }

    #[test]
    fn a_hard_failure_moves_to_the_next_and_takes_the_gateway_out() {
        assert_eq!(route(&THREE, &after(&[("one", HARD)]), None), Route::Gateway(1));
        assert_eq!(route(&THREE, &after(&[("one", HARD), ("two", TIMED_OUT)]), None), Route::Gateway(2));
        assert_eq!(
            route(&THREE, &after(&[("one", HARD), ("two", TIMED_OUT), ("three", TIMED_OUT)]), None),
            Route::Gateway(1)
        );
    }

    #[test]
    fn when_every_gateway_refused_it_is_over() {
        assert_eq!(route(&TWO, &after(&[("one", HARD), ("two", HARD)]), None), Route::GiveUp);
    }

    #[test]
    fn a_time_out_moves_to_the_next_and_each_gateway_has_one() {
        assert_eq!(route(&TWO, &after(&[("one", TIMED_OUT)]), None), Route::Gateway(1));
        assert_eq!(route(&TWO, &after(&[("one", TIMED_OUT), ("two", TIMED_OUT)]), None), Route::GiveUp);
    }

    #[test]
    fn a_single_gateway_that_timed_out_is_asked_once_more() {
        assert_eq!(route(&["one"], &after(&[("one", TIMED_OUT)]), None), Route::Gateway(0));
        assert_eq!(route(&["one"], &after(&[("one", TIMED_OUT), ("one", TIMED_OUT)]), None), Route::GiveUp);
    }

    #[test]
    fn what_is_put_off_stays_with_its_gateway_three_times() {
        assert_eq!(route(&TWO, &after(&[("one", TRANSIENT); 2]), None), Route::Gateway(0));
        assert_eq!(route(&TWO, &after(&[("one", TRANSIENT); 3]), None), Route::Gateway(1));
        assert_eq!(route(&["one"], &after(&[("one", TRANSIENT); 5]), None), Route::Gateway(0));
        assert_eq!(route(&["one"], &after(&[("one", TRANSIENT); MAX_TRIES]), None), Route::GiveUp);
    }

    #[test]
    fn an_unknown_outcome_is_repeated_with_the_same_gateway() {
        assert_eq!(route(&TWO, &after(&[("one", HARD), ("two", TryEnd::Unknown)]), None), Route::Gateway(1));
    }

    #[test]
    fn a_resend_without_a_receipt_starts_behind_the_gateway_of_the_last_send() {
        assert_eq!(route(&THREE, &[], Some("one")), Route::Gateway(1));
        assert_eq!(route(&THREE, &[], Some("three")), Route::Gateway(0));
        assert_eq!(route(&["one"], &[], Some("one")), Route::Gateway(0));
        assert_eq!(route(&TWO, &after(&[("two", HARD)]), Some("one")), Route::Gateway(0));
    }

    #[test]
    fn a_gateway_that_is_no_longer_configured_does_not_count() {
        assert_eq!(route(&TWO, &after(&[("gone", HARD)]), Some("gone")), Route::Gateway(0));
    }
}
