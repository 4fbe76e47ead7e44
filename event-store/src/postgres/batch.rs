//! Appends that share one statement, as the columns that it takes.

use std::collections::{HashSet, VecDeque};

use sha2::{Digest, Sha256};
use tokio::sync::oneshot;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::database::signed;
use crate::port::{Append, AppendError, Appended, Receipt};

/// A batch ends when its events are this long together.
const BYTES: usize = 2 << 20;

/// An append that waits for its answer.
pub(super) struct Request {
    pub(super) append: Append,
    pub(super) reply: oneshot::Sender<Result<Appended, AppendError>>,
    /// It was in a batch that was refused as a whole: now it is asked whether it is to blame.
    pub(super) alone: bool,
}

/// Takes what can be appended in one statement: at most `limit` appends, in order of arrival, each to a stream
/// of its own and with a receipt key of its own. What does not fit stays where it is.
pub(super) fn take(queue: &mut VecDeque<Request>, limit: usize) -> Vec<Request> {
    if queue.front().is_some_and(|first| first.alone) {
        return queue.pop_front().into_iter().collect();
    }
    let (mut streams, mut receipts) = (HashSet::with_capacity(limit), HashSet::new());
    let (mut batch, mut left) = (Vec::with_capacity(limit.min(queue.len())), VecDeque::new());
    let mut bytes = 0;
    while let Some(request) = queue.pop_front() {
        if batch.len() >= limit || bytes > BYTES || request.alone {
            queue.push_front(request);
            break;
        }
        let receipt_key = request.append.receipt.as_ref().map(|receipt| receipt.key);
        // A stream whose turn has not come keeps the later ones of it behind.
        let is_first = streams.insert(request.append.stream.clone());
        if is_first && receipt_key.is_none_or(|key| receipts.insert(key)) {
            bytes += request.append.events.iter().map(|event| event.data.len() + event.metadata.len()).sum::<usize>();
            batch.push(request);
        } else {
            left.push_back(request);
        }
    }
    while let Some(request) = left.pop_back() {
        queue.push_front(request);
    }
    batch
}

/// Stands for a stream's name in the index. The first half of an id that is ordered by time keeps new streams
/// together; the hash keeps them apart.
pub(super) fn stream_key(name: &str) -> Uuid {
    let hash = Sha256::digest(name.as_bytes());
    let mut key = [0; 16];
    key.copy_from_slice(&hash[..16]);
    let id = name.len().checked_sub(36).and_then(|start| name.get(start..)).and_then(|id| Uuid::try_parse(id).ok());
    if let Some(id) = id {
        key[..8].copy_from_slice(&id.as_bytes()[..8]);
    }
    Uuid::from_bytes(key)
}

/// The parameters of `append_events`, in its order.
#[derive(Default)]
pub(super) struct Columns<'a> {
    keys: Vec<Uuid>,
    expected: Vec<i64>,
    counts: Vec<i32>,
    event_appends: Vec<i32>,
    event_keys: Vec<Uuid>,
    event_versions: Vec<i64>,
    event_ids: Vec<Uuid>,
    event_schema_versions: Vec<i32>,
    event_streams: Vec<&'a str>,
    event_types: Vec<&'a str>,
    event_metadata: Vec<&'a [u8]>,
    event_data: Vec<&'a [u8]>,
    receipt_appends: Vec<i32>,
    receipt_keys: Vec<&'a [u8]>,
    receipt_bodies: Vec<&'a [u8]>,
    receipt_streams: Vec<String>,
    receipt_answers: Vec<&'a [u8]>,
    receipt_at: Vec<i64>,
    receipt_expires_at: Vec<i64>,
}

/// The names of the streams of a batch.
pub(super) fn names(requests: &[Request]) -> Vec<String> {
    requests.iter().map(|request| request.append.stream.to_string()).collect()
}

impl<'a> Columns<'a> {
    pub(super) fn of(requests: &'a [Request], names: &'a [String]) -> Self {
        let mut columns = Self::default();
        for ((Request { append, .. }, name), number) in requests.iter().zip(names).zip(1..) {
            columns.add(append, name, number);
        }
        columns
    }

    fn add(&mut self, append: &'a Append, name: &'a str, number: i32) {
        let key = stream_key(name);
        let expected = signed(append.expected.version().0);
        self.keys.push(key);
        self.expected.push(expected);
        self.counts.push(i32::try_from(append.events.len()).unwrap_or(i32::MAX));
        for (event, version) in append.events.iter().zip(expected + 1..) {
            self.event_appends.push(number);
            self.event_keys.push(key);
            self.event_versions.push(version);
            self.event_ids.push(event.id.0);
            self.event_schema_versions.push(i32::from(event.schema_version));
            self.event_streams.push(name);
            self.event_types.push(&event.event_type);
            self.event_metadata.push(&event.metadata);
            self.event_data.push(&event.data);
        }
        if let Some(Receipt { key, body, stream, answer, at, expires_at }) = &append.receipt {
            self.receipt_appends.push(number);
            self.receipt_keys.push(key);
            self.receipt_bodies.push(body);
            self.receipt_streams.push(stream.to_string());
            self.receipt_answers.push(answer);
            self.receipt_at.push(at.as_millis());
            self.receipt_expires_at.push(expires_at.as_millis());
        }
    }

    pub(super) fn params(&self) -> [&(dyn ToSql + Sync); 19] {
        [
            &self.keys,
            &self.expected,
            &self.counts,
            &self.event_appends,
            &self.event_keys,
            &self.event_versions,
            &self.event_ids,
            &self.event_schema_versions,
            &self.event_streams,
            &self.event_types,
            &self.event_metadata,
            &self.event_data,
            &self.receipt_appends,
            &self.receipt_keys,
            &self.receipt_bodies,
            &self.receipt_streams,
            &self.receipt_answers,
            &self.receipt_at,
            &self.receipt_expires_at,
        ]
    }
}

/// The statement that takes them.
pub(super) const APPEND: &str = "SELECT base, outcomes FROM append_events(\
     $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)";

/// What became of an append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Written now; the position of its last event.
    Written(u64),
    /// Written by an earlier try.
    WrittenEarlier(u64),
    Conflict,
}

/// Reads the answer: one verdict for each append.
pub(super) fn verdicts(requests: &[Request], base: i64, outcomes: Option<Vec<i64>>) -> Vec<Verdict> {
    match outcomes {
        None => requests
            .iter()
            .scan(base.unsigned_abs(), |last, request| {
                *last += u64::try_from(request.append.events.len()).unwrap_or_default();
                Some(Verdict::Written(*last))
            })
            .collect(),
        Some(outcomes) => outcomes
            .into_iter()
            .map(|outcome| match outcome {
                0 => Verdict::Conflict,
                position if position < 0 => Verdict::WrittenEarlier(position.unsigned_abs()),
                position => Verdict::Written(position.unsigned_abs()),
            })
            .collect(),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use domain::ids::{AccountId, StreamId};

    use super::*;
    use crate::port::Expected;

    fn request(stream: u128, after: u64) -> Request {
        let stream = StreamId::Account(AccountId(Uuid::from_u128(stream)));
        let expected = Expected::Version(schemas::envelope::Version(after));
        let append = Append { stream, expected, events: Vec::new(), receipt: None };
        Request { append, reply: oneshot::channel().0, alone: false }
    }

    fn told(requests: &[Request]) -> Vec<(u128, u64)> {
        let stream = |request: &Request| match &request.append.stream {
            StreamId::Account(id) => id.0.as_u128(),
            other => panic!("{other}"),
        };
        requests.iter().map(|request| (stream(request), request.append.expected.version().0)).collect()
    }

    #[test]
    fn a_stream_is_once_in_a_batch_and_its_appends_keep_their_order() {
        let mut queue: VecDeque<Request> = [(1, 0), (2, 0), (1, 1), (1, 2), (3, 0)]
            .into_iter()
            .map(|(stream, after)| request(stream, after))
            .collect();
        assert_eq!(told(&take(&mut queue, 10)), [(1, 0), (2, 0), (3, 0)]);
        assert_eq!(told(&take(&mut queue, 10)), [(1, 1)]);
        assert_eq!(told(&take(&mut queue, 10)), [(1, 2)]);
        assert!(take(&mut queue, 10).is_empty());
    }

    #[test]
    fn a_batch_has_its_limit_and_what_was_refused_goes_alone() {
        let mut queue: VecDeque<Request> = (0..5).map(|stream| request(stream, 0)).collect();
        queue.get_mut(3).unwrap().alone = true;
        assert_eq!(take(&mut queue, 2).len(), 2);
        assert_eq!(told(&take(&mut queue, 10)), [(2, 0)]);
        assert_eq!(told(&take(&mut queue, 10)), [(3, 0)]);
        assert_eq!(told(&take(&mut queue, 10)), [(4, 0)]);
    }

    #[test]
    fn keys_of_streams_made_at_one_time_are_neighbours_and_differ() {
        let id = "0192f0a0-1111-7222-8333-444455556666";
        let (account, delivery) = (stream_key(&format!("account-{id}")), stream_key(&format!("delivery-{id}")));
        assert_eq!(account.as_bytes()[..8], delivery.as_bytes()[..8]);
        assert_ne!(account, delivery);
        assert_ne!(stream_key("email-00"), stream_key("email-01"));
        assert_eq!(stream_key("email-00"), stream_key("email-00"));
    }
}
