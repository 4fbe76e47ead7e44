//! The log over the server.

use async_trait::async_trait;
use domain::{ids::StreamId, time::Timestamp};
use eventstore::{ResolvedEvent, StreamPosition, StreamState};
use schemas::envelope::{Position, StoredEvent, Version};
use tokio::sync::watch;

use super::{
    KurrentStore,
    events::{Incoming, incoming, outgoing},
    follower::at,
    link::Trouble,
    receipts,
};
use crate::port::{Append, AppendError, Appended, EventLog, Expected, LogError, Receipt};

/// The fewest events that are read when the server does not filter.
const UNFILTERED: usize = 256;

#[async_trait]
impl EventLog for KurrentStore {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        if append.events.is_empty() {
            return Err(AppendError::Log(LogError::Unavailable("an append without events".to_owned())));
        }
        let Some(pending) = receipts::pending(&append) else { return self.write(&append).await };
        let result = match self.claim(&pending).await {
            Ok(()) => self.write(&append).await,
            Err(error) => Err(error),
        };
        if matches!(result, Err(AppendError::Conflict)) {
            self.withdraw(&pending).await;
        }
        self.tidying.written(pending.receipt.at);
        result
    }

    async fn read_stream(&self, stream: &StreamId, after: Version, limit: usize) -> Result<Vec<StoredEvent>, LogError> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        // Versions begin at 1 and revisions at 0: the version to read after is the revision to read from.
        let name = stream.to_string();
        let read = match self.link.read_stream(&name, StreamPosition::Position(after.0), false, limit).await {
            Ok(read) => read,
            Err(Trouble::Missing) => return Ok(Vec::new()),
            Err(trouble) => return Err(trouble.of_reading()),
        };
        let mut events = Vec::with_capacity(read.len());
        let mut version = after;
        for event in read {
            let event = ours(event)?;
            version = version.plus(1);
            if event.version != version {
                return Err(truncated(&name, version));
            }
            events.push(event);
        }
        Ok(events)
    }

    async fn read_all(&self, after: Position, limit: usize) -> Result<Vec<StoredEvent>, LogError> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        if let Some(events) = self.newest.tail().after(after, limit) {
            return Ok(events);
        }
        let mut events: Vec<StoredEvent> = Vec::new();
        let mut seen = after;
        loop {
            // Reading forwards includes the place it begins at.
            let missing = (limit - events.len()).saturating_add(1);
            let count = if self.is_filtered { missing } else { missing.max(UNFILTERED) };
            let page =
                self.link.read_all(at(seen), false, self.is_filtered, count).await.map_err(Trouble::of_reading)?;
            let (is_full, begun_at) = (page.len() >= count, seen);
            for event in page {
                let event = incoming(event);
                let position = Position(event.position());
                if position <= seen {
                    continue;
                }
                match event {
                    Incoming::Ours(event) => events.push(event),
                    Incoming::Foreign(_) => {}
                    // What stands before it can still be had; the next call begins with it.
                    Incoming::Unreadable(..) if !events.is_empty() => return Ok(events),
                    Incoming::Unreadable(_, error) => return Err(error),
                }
                seen = position;
                if events.len() == limit {
                    return Ok(events);
                }
            }
            if !is_full || seen == begun_at {
                return Ok(events);
            }
        }
    }

    async fn head(&self, stream: &StreamId) -> Result<Version, LogError> {
        match self.link.read_stream(&stream.to_string(), StreamPosition::End, true, 1).await {
            Ok(read) => {
                read.into_iter().next().map_or(Ok(Version::NONE), |event| ours(event).map(|event| event.version))
            }
            Err(Trouble::Missing) => Ok(Version::NONE),
            Err(trouble) => Err(trouble.of_reading()),
        }
    }

    async fn last_position(&self) -> Result<Position, LogError> {
        self.last(self.is_filtered).await.map_err(Trouble::of_reading)
    }

    fn watch(&self) -> watch::Receiver<Position> {
        self.newest.watch()
    }

    async fn receipt(&self, key: &[u8; 32], now: Timestamp) -> Result<Option<Receipt>, LogError> {
        self.valid_receipt(key, now).await
    }
}

impl KurrentStore {
    /// Position of the last event of ours.
    pub(super) async fn last(&self, is_filtered: bool) -> Result<Position, Trouble> {
        let (mut from, mut count) = (StreamPosition::End, 1);
        loop {
            let page = self.link.read_all(from, true, is_filtered, count).await?;
            let is_full = page.len() >= count;
            let mut before = None;
            for event in page {
                let event = incoming(event);
                if !matches!(event, Incoming::Foreign(_)) {
                    return Ok(Position(event.position()));
                }
                before = Some(event.position());
            }
            let Some(before) = before.filter(|_| is_full) else { return Ok(Position::START) };
            from = at(Position(before));
            count = UNFILTERED;
        }
    }

    async fn write(&self, append: &Append) -> Result<Appended, AppendError> {
        let name = append.stream.to_string();
        let events: Vec<_> = append.events.iter().map(outgoing).collect();
        let expected = match append.expected {
            Expected::NoStream | Expected::Version(Version::NONE) => StreamState::NoStream,
            Expected::Version(version) => StreamState::StreamRevision(version.0 - 1),
        };
        let version = append.expected.version().plus(count(events.len()));
        match self.link.append(&name, expected, &events).await {
            Ok((revision, _)) if revision.saturating_add(1) != version.0 => {
                // A stream that was deleted softly goes on where it ended, whatever was expected of it.
                Err(AppendError::Unknown(truncated(&name, Version(1))))
            }
            Ok((_, position)) if position.commit != 0 && position.commit == position.prepare => {
                Ok(Appended { version, position: Position(position.commit) })
            }
            // Some servers do not say where events stand that stood there already.
            Ok(_) => self.written_earlier(append).await?.ok_or_else(|| AppendError::Unknown(truncated(&name, version))),
            // The server also says so of events that stand there already but are not the last any more, and
            // of some that stand there only in part.
            Err(Trouble::WrongVersion) => self.written_earlier(append).await?.ok_or(AppendError::Conflict),
            Err(Trouble::Garbled) => self.settled(append).await,
            Err(Trouble::Deleted) => Err(AppendError::Log(Trouble::Deleted.of_reading())),
            Err(trouble @ (Trouble::Lost(_) | Trouble::Missing)) => Err(AppendError::Unknown(trouble.of_reading())),
            Err(trouble @ (Trouble::Denied | Trouble::NotLeader | Trouble::Refused(_) | Trouble::NotSent(_))) => {
                Err(AppendError::Log(trouble.of_reading()))
            }
        }
    }

    /// Whether exactly these events stand where they were to go.
    async fn written_earlier(&self, append: &Append) -> Result<Option<Appended>, AppendError> {
        let after = append.expected.version();
        // Not knowing whether they do, it is not known whether the append happened.
        let stand = self.read_stream(&append.stream, after, append.events.len()).await.map_err(AppendError::Unknown)?;
        let are_same = stand.len() == append.events.len()
            && stand.iter().zip(&append.events).all(|(stands, event)| stands.id == event.id);
        Ok(stand.last().filter(|_| are_same).map(|last| Appended { version: last.version, position: last.position }))
    }

    /// What became of an append whose answer could not be read: it is in the log, or it never will be because
    /// others stand in its place, or nobody knows yet.
    async fn settled(&self, append: &Append) -> Result<Appended, AppendError> {
        if let Some(appended) = self.written_earlier(append).await? {
            return Ok(appended);
        }
        let head = self.head(&append.stream).await.map_err(AppendError::Unknown)?;
        if head == append.expected.version() {
            return Err(AppendError::Unknown(Trouble::Garbled.of_reading()));
        }
        Err(AppendError::Conflict)
    }
}

/// An event of a stream of ours.
fn ours(event: ResolvedEvent) -> Result<StoredEvent, LogError> {
    match incoming(event) {
        Incoming::Ours(event) => Ok(event),
        Incoming::Unreadable(_, error) => Err(error),
        Incoming::Foreign(position) => {
            Err(LogError::Unreadable(format!("the event at position {position} is of a stream that was not asked for")))
        }
    }
}

fn truncated(stream: &str, version: Version) -> LogError {
    LogError::Unreadable(format!(
        "stream {stream} lacks the event of version {version}: it was deleted or truncated on the server",
        version = version.0
    ))
}

fn count(events: usize) -> u64 {
    u64::try_from(events).unwrap_or(u64::MAX)
}
