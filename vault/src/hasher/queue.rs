//! Who is next: the sources take turns, so that whoever asks for much waits for it and nobody else does.
//!
//! There are two lanes. Who has shown something before (a credential, a place or device that the account knows, a code
//! from its mailbox) does not wait behind those who have not; of four turns one is theirs all the same.

use std::collections::{BTreeMap, VecDeque};

/// Whose work it is, for the order in which it is done.
#[derive(Clone, PartialEq, Eq)]
pub struct Asker {
    /// The source network. Personal; it stays in memory.
    pub source: String,
    /// Whether they have shown something before.
    pub is_known: bool,
}

impl Asker {
    /// This program itself.
    pub const fn ourselves() -> Self {
        Self { source: String::new(), is_known: true }
    }
}

impl std::fmt::Debug for Asker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Asker").field("is_known", &self.is_known).finish_non_exhaustive()
    }
}

/// One turn in so many is a stranger's, while one waits.
const STRANGERS_TURN: u32 = 4;

/// How many may wait, in a lane and of a source in it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    pub(super) lane: usize,
    pub(super) source: usize,
}

/// What waits.
pub(super) struct Queue<J> {
    known: Lane<J>,
    strangers: Lane<J>,
    /// Turns since a stranger had one.
    turns: u32,
}

struct Lane<J> {
    sources: BTreeMap<String, VecDeque<J>>,
    /// The sources in the order of their turns, each once.
    turns: VecDeque<String>,
    waiting: usize,
}

impl<J> Default for Queue<J> {
    fn default() -> Self {
        Self { known: Lane::default(), strangers: Lane::default(), turns: 0 }
    }
}

impl<J> Default for Lane<J> {
    fn default() -> Self {
        Self { sources: BTreeMap::new(), turns: VecDeque::new(), waiting: 0 }
    }
}

impl<J> Queue<J> {
    /// Adds a job; the one that has to go for it, which may be itself.
    pub(super) fn push(&mut self, asker: &Asker, job: J, room: Room) -> Option<J> {
        let lane = if asker.is_known { &mut self.known } else { &mut self.strangers };
        lane.push(&asker.source, job, room)
    }

    /// The next one.
    pub(super) fn pop(&mut self) -> Option<J> {
        self.turns += 1;
        if self.known.waiting == 0 || (self.turns >= STRANGERS_TURN && self.strangers.waiting > 0) {
            self.turns = 0;
            return self.strangers.pop();
        }
        self.known.pop()
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.known.waiting + self.strangers.waiting
    }
}

impl<J> Lane<J> {
    fn of(&self, source: &str) -> usize {
        self.sources.get(source).map_or(0, VecDeque::len)
    }

    fn push(&mut self, source: &str, job: J, room: Room) -> Option<J> {
        let own = self.of(source);
        if own >= room.source {
            return Some(job);
        }
        let mut gone = None;
        if self.waiting >= room.lane {
            // Whoever has most waiting gives up their last, unless that is who asks.
            let most = self.sources.iter().max_by_key(|(_, jobs)| jobs.len()).map(|(source, _)| source.clone());
            match most.filter(|most| self.of(most) > own + 1) {
                None => return Some(job),
                Some(most) => gone = self.sources.get_mut(&most).and_then(VecDeque::pop_back),
            }
            self.waiting -= usize::from(gone.is_some());
        }
        if own == 0 {
            self.turns.push_back(source.to_owned());
        }
        self.sources.entry(source.to_owned()).or_default().push_back(job);
        self.waiting += 1;
        gone
    }

    fn pop(&mut self) -> Option<J> {
        let source = self.turns.pop_front()?;
        let jobs = self.sources.get_mut(&source)?;
        let job = jobs.pop_front();
        if jobs.is_empty() {
            self.sources.remove(&source);
        } else {
            self.turns.push_back(source);
        }
        self.waiting -= usize::from(job.is_some());
        job
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: Room = Room { lane: 6, source: 4 };

    fn from(source: &str, is_known: bool) -> Asker {
        Asker { source: source.to_owned(), is_known }
    }

    fn all(mut queue: Queue<&'static str>) -> Vec<&'static str> {
        let order: Vec<_> = std::iter::from_fn(|| queue.pop()).collect();
        assert!(queue.len() == 0 && queue.known.sources.is_empty() && queue.strangers.sources.is_empty());
        order
    }

    #[test]
    fn sources_take_turns_and_keep_their_own_order() {
        let mut queue = Queue::default();
        for (source, job) in [("a", "a1"), ("a", "a2"), ("a", "a3"), ("b", "b1"), ("c", "c1"), ("b", "b2")] {
            assert_eq!(queue.push(&from(source, false), job, ROOM), None);
        }
        assert_eq!(all(queue), ["a1", "b1", "c1", "a2", "b2", "a3"]);
    }

    #[test]
    fn a_full_source_is_told_so_at_once_and_others_are_not() {
        let mut queue = Queue::default();
        for job in ["1", "2", "3", "4"] {
            assert_eq!(queue.push(&from("a", false), job, ROOM), None);
        }
        assert_eq!(queue.push(&from("a", false), "5", ROOM), Some("5"));
        assert_eq!(queue.push(&from("b", false), "b", ROOM), None);
        assert_eq!(all(queue), ["1", "b", "2", "3", "4"]);
    }

    #[test]
    fn when_all_is_full_the_last_of_whoever_has_most_gives_way() {
        let mut queue = Queue::default();
        for (source, job) in [("a", "a1"), ("a", "a2"), ("a", "a3"), ("a", "a4"), ("b", "b1"), ("b", "b2")] {
            assert_eq!(queue.push(&from(source, false), job, ROOM), None);
        }
        assert_eq!(queue.push(&from("a", false), "a5", ROOM), Some("a5"));
        assert_eq!(queue.push(&from("c", false), "c1", ROOM), Some("a4"));
        assert_eq!(queue.push(&from("d", false), "d1", ROOM), Some("a3"));
        assert_eq!(queue.push(&from("b", false), "b3", ROOM), Some("b3"), "nobody has more");
        assert_eq!(queue.len(), 6);
        assert_eq!(all(queue), ["a1", "b1", "c1", "d1", "a2", "b2"]);
    }

    #[test]
    fn strangers_neither_hold_up_who_is_known_nor_wait_for_ever() {
        let mut queue = Queue::default();
        for job in ["s1", "s2", "s3"] {
            assert_eq!(queue.push(&from("s", false), job, ROOM), None);
        }
        for (source, job) in [("k", "k1"), ("k", "k2"), ("l", "l1"), ("k", "k3"), ("k", "k4")] {
            assert_eq!(queue.push(&from(source, true), job, ROOM), None);
        }
        assert_eq!(all(queue), ["k1", "l1", "k2", "s1", "k3", "k4", "s2", "s3"]);
    }
}
