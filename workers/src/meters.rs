//! What operators see of the workers. Labels are names of ours: no address, number or code is one.

use domain::{time::Timestamp, values::Channel};

use crate::jobs::Verdict;

/// Seconds from an order to its gateway's yes, by `channel` and `provider`.
pub const DELIVERY_SECONDS: &str = "countersign_delivery_seconds";
/// Tries by `channel`, `provider` and `result` (`dispatched`, `hard`, `timed_out`, `transient`).
pub const SENDS: &str = "countersign_sends_total";
/// Verdicts by `role` and `verdict`.
pub const JOBS: &str = "countersign_worker_jobs_total";
/// Orders that are not over, by `role`.
pub const UNFINISHED: &str = "countersign_worker_unfinished_jobs";
/// Messages that came again, by `role`.
#[cfg(feature = "nats")]
pub const REDELIVERIES: &str = "countersign_worker_redeliveries_total";
/// Orders that went to the dead letters, by `role` and `reason`.
#[cfg(feature = "nats")]
pub const DEAD_LETTERS: &str = "countersign_dead_letters_total";
/// Positions that the relay is behind the log.
#[cfg(feature = "nats")]
pub const RELAY_LAG: &str = "countersign_relay_lag";
/// Publishes that the broker has not acknowledged yet.
#[cfg(feature = "nats")]
pub const RELAY_UNDER_WAY: &str = "countersign_relay_unacknowledged";
/// Events that the relay published.
#[cfg(feature = "nats")]
pub const RELAY_PUBLISHED: &str = "countersign_relay_published_total";

const fn name(channel: Channel) -> &'static str {
    match channel {
        Channel::Sms => "sms",
        Channel::Email => "email",
    }
}

pub(crate) fn dispatched(channel: Channel, provider: &str, ordered_at: Timestamp, now: Timestamp) {
    let millis = u32::try_from(now.as_millis().saturating_sub(ordered_at.as_millis()).max(0)).unwrap_or(u32::MAX);
    metrics::histogram!(DELIVERY_SECONDS, "channel" => name(channel), "provider" => provider.to_owned())
        .record(f64::from(millis) / 1_000.0);
    sent(channel, provider, "dispatched");
}

pub(crate) fn sent(channel: Channel, provider: &str, result: &'static str) {
    metrics::counter!(SENDS, "channel" => name(channel), "provider" => provider.to_owned(), "result" => result)
        .increment(1);
}

pub(crate) fn verdict(role: &'static str, verdict: Verdict) {
    metrics::counter!(JOBS, "role" => role, "verdict" => verdict.name()).increment(1);
}

pub(crate) fn unfinished(role: &'static str, count: usize) {
    metrics::gauge!(UNFINISHED, "role" => role).set(gauge(count));
}

#[cfg(feature = "nats")]
pub(crate) fn redelivered(role: &'static str) {
    metrics::counter!(REDELIVERIES, "role" => role).increment(1);
}

#[cfg(feature = "nats")]
pub(crate) fn buried(role: &'static str, reason: &'static str) {
    metrics::counter!(DEAD_LETTERS, "role" => role, "reason" => reason).increment(1);
}

#[cfg(feature = "nats")]
pub(crate) fn relay(lag: u64, under_way: usize) {
    metrics::gauge!(RELAY_LAG).set(gauge(lag));
    metrics::gauge!(RELAY_UNDER_WAY).set(gauge(under_way));
}

#[cfg(feature = "nats")]
pub(crate) fn published() {
    metrics::counter!(RELAY_PUBLISHED).increment(1);
}

fn gauge(value: impl TryInto<u32>) -> f64 {
    value.try_into().map_or(f64::from(u32::MAX), f64::from)
}
