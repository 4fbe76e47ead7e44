//! What the fake server keeps: one journal with sparse positions, and the server's own rules for appends.

use std::collections::HashMap;

use uuid::Uuid;

use super::wire::{
    Content, Filter, Halves, Place, Position, ReadEvent, ReadResp, RecordedEvent, Revision, StreamIdentifier, UuidValue,
};

#[derive(Debug, Clone)]
pub struct Record {
    pub stream: String,
    pub revision: u64,
    pub commit: u64,
    pub prepare: u64,
    pub id: Uuid,
    pub kind: String,
    pub content_type: String,
    pub custom: Vec<u8>,
    pub data: Vec<u8>,
}

impl Record {
    pub fn response(&self) -> ReadResp {
        let (high, low) = self.id.as_u64_pair();
        let id = Halves { high: high.cast_signed(), low: low.cast_signed() };
        let event = RecordedEvent {
            id: Some(super::wire::Uuid { value: Some(UuidValue::Structured(id)) }),
            stream: Some(StreamIdentifier { name: self.stream.clone().into_bytes() }),
            revision: self.revision,
            prepare: self.prepare,
            commit: self.commit,
            metadata: HashMap::from([
                ("type".to_owned(), self.kind.clone()),
                ("content-type".to_owned(), self.content_type.clone()),
                ("created".to_owned(), "17955216000000000".to_owned()),
            ]),
            custom: self.custom.clone(),
            data: self.data.clone(),
        };
        ReadResp { content: Some(Content::Event(ReadEvent { event: Some(event), commit: self.commit })) }
    }
}

/// An event before it is in the journal.
pub struct Draft {
    pub id: Uuid,
    pub kind: String,
    pub content_type: String,
    pub custom: Vec<u8>,
    pub data: Vec<u8>,
}

pub enum Verdict {
    /// Revision and position of the last event.
    Appended(u64, u64),
    /// The stream's last revision.
    Wrong(Option<u64>),
    Deleted,
}

#[derive(Default)]
pub struct Journal {
    pub records: Vec<Record>,
    streams: HashMap<String, Vec<usize>>,
    /// Revisions before this are gone.
    truncated: HashMap<String, u64>,
    deleted: Vec<String>,
    next: u64,
}

impl Journal {
    /// As the server decides (`CheckCommit`): by the expected revision, and by the ids where it has passed.
    pub fn append(&mut self, stream: &str, expected: Option<u64>, drafts: Vec<Draft>) -> Verdict {
        if self.deleted.iter().any(|deleted| deleted == stream) {
            return Verdict::Deleted;
        }
        let places = self.streams.get(stream).cloned().unwrap_or_default();
        let last = places.last().map(|place| self.records[*place].revision);
        let first = expected.map_or(0, |revision| revision + 1);
        if last == expected {
            return self.write(stream, first, drafts);
        }
        let soft_deleted = self.truncated.get(stream).zip(last).is_some_and(|(before, last)| *before > last);
        if expected.is_none() && soft_deleted {
            return self.write(stream, last.map_or(0, |revision| revision + 1), drafts);
        }
        if last < expected {
            return Verdict::Wrong(last);
        }
        let mut found = None;
        for (n, draft) in (first..).zip(&drafts) {
            found = usize::try_from(n).ok().and_then(|n| places.get(n)).map(|place| &self.records[*place]);
            if found.is_none_or(|record| record.id != draft.id) {
                return Verdict::Wrong(last);
            }
        }
        found.map_or(Verdict::Wrong(last), |record| Verdict::Appended(record.revision, record.commit))
    }

    fn write(&mut self, stream: &str, first: u64, drafts: Vec<Draft>) -> Verdict {
        let mut answer = Verdict::Wrong(None);
        for (revision, draft) in (first..).zip(drafts) {
            let position = self.take_position(draft.data.len());
            self.push(stream, revision, position, position, draft);
            answer = Verdict::Appended(revision, position);
        }
        if self.records.len().is_multiple_of(3) {
            // The server writes events of its own between ours, and so do others.
            self.foreign("$stats-127.0.0.1:2113", "$statsCollected", b"{}");
        }
        answer
    }

    fn take_position(&mut self, size: usize) -> u64 {
        self.next += 137 + u64::try_from(size).unwrap();
        1_000 + self.next
    }

    fn push(&mut self, stream: &str, revision: u64, commit: u64, prepare: u64, draft: Draft) {
        let Draft { id, kind, content_type, custom, data } = draft;
        let stream = stream.to_owned();
        self.streams.entry(stream.clone()).or_default().push(self.records.len());
        self.records.push(Record { stream, revision, commit, prepare, id, kind, content_type, custom, data });
    }

    /// An event that Countersign did not write, at the end of a stream.
    pub fn foreign(&mut self, stream: &str, kind: &str, custom: &[u8]) {
        let position = self.take_position(0);
        self.foreign_at(stream, kind, custom, position);
    }

    /// One of a transaction: it stands elsewhere than it was committed.
    pub fn foreign_in_transaction(&mut self, stream: &str, custom: &[u8]) {
        let prepare = self.take_position(0);
        self.foreign_at(stream, "Foreign", custom, prepare);
    }

    fn foreign_at(&mut self, stream: &str, kind: &str, custom: &[u8], prepare: u64) {
        let revision = self.streams.get(stream).map_or(0, Vec::len);
        let commit = if kind == "Foreign" { self.take_position(0) } else { prepare };
        let draft = Draft {
            id: Uuid::from_u128(u128::from(commit) | 7 << 100),
            kind: kind.to_owned(),
            content_type: "application/json".to_owned(),
            custom: custom.to_vec(),
            data: b"{}".to_vec(),
        };
        self.push(stream, u64::try_from(revision).unwrap(), commit, prepare, draft);
    }

    /// As `$tb` or `$maxCount` in the stream's metadata: what stands before a revision is gone. Beyond the last
    /// it is a soft deletion.
    pub fn truncate(&mut self, stream: &str, before: u64) {
        self.truncated.insert(stream.to_owned(), before);
    }

    /// For good.
    pub fn delete(&mut self, stream: &str) {
        self.deleted.push(stream.to_owned());
    }

    pub fn is_deleted(&self, stream: &str) -> bool {
        self.deleted.iter().any(|deleted| deleted == stream)
    }

    /// `None` when there is no such stream.
    pub fn read_stream(&self, stream: &str, from: &Revision, backwards: bool, count: usize) -> Option<Vec<&Record>> {
        let before = self.truncated.get(stream).copied().unwrap_or(0);
        let mut records: Vec<_> = self
            .streams
            .get(stream)?
            .iter()
            .map(|place| &self.records[*place])
            .filter(|record| record.revision >= before)
            .collect();
        if records.is_empty() {
            return None;
        }
        if backwards {
            records.reverse();
        }
        records.retain(|record| match from {
            Revision::At(revision) if backwards => record.revision <= *revision,
            Revision::At(revision) => record.revision >= *revision,
            Revision::Start(_) | Revision::End(_) => true,
        });
        records.truncate(count);
        Some(records)
    }

    pub fn read_all(&self, from: &Place, backwards: bool, filter: Option<&Filter>, count: usize) -> Vec<&Record> {
        let is_asked = |record: &&Record| {
            passes(&record.stream, filter)
                && match from {
                    Place::At(position) if backwards => record.commit < position.commit,
                    Place::At(position) => record.commit >= position.commit,
                    Place::Start(_) => !backwards,
                    Place::End(_) => backwards,
                }
        };
        let records = self.records.iter();
        if backwards {
            records.rev().filter(is_asked).take(count).collect()
        } else {
            records.filter(is_asked).take(count).collect()
        }
    }

    /// What a subscription sends of the record at a place.
    pub fn subscribed(&self, place: usize, filter: Option<&Filter>) -> Option<ReadResp> {
        let record = self.records.get(place)?;
        if passes(&record.stream, filter) {
            return Some(record.response());
        }
        let position = Position { commit: record.commit, prepare: record.prepare };
        Some(ReadResp { content: Some(Content::Checkpoint(position)) })
    }

    /// Where a subscription after a place begins.
    pub fn place_after(&self, from: &Place) -> usize {
        match from {
            Place::At(position) => self.records.partition_point(|record| record.commit <= position.commit),
            Place::Start(_) => 0,
            Place::End(_) => self.records.len(),
        }
    }
}

fn passes(stream: &str, filter: Option<&Filter>) -> bool {
    let Some(expression) = filter.and_then(|filter| filter.stream.as_ref()) else { return true };
    expression.prefixes.iter().any(|prefix| stream.starts_with(prefix))
}
