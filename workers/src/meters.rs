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
    metrics::gauge!(UNFINISHED, "role" => role).set(u32::try_from(count).map_or(f64::from(u32::MAX), f64::from));
}
