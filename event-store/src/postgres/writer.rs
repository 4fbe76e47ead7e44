//! The one task of a process that appends. It takes what is waiting and sends all of it as one statement, which
//! is one transaction: requests that arrive meanwhile share the next one (group commit).
//!
//! A statement needs no second message to commit, so a process that stops in the middle holds no lock.

use std::{
    collections::VecDeque,
    future::{Future, poll_fn},
    pin::Pin,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use schemas::envelope::{Position, Version};
use tokio::{sync::mpsc, task::yield_now, time::Instant};
use tokio_postgres::Statement;
use tokio_util::sync::CancellationToken;

use super::{
    Database, Dedicated,
    batch::{self, APPEND, Columns, Request, Verdict},
    errors,
    shared::{Shared, closed},
};
use crate::{
    port::{AppendError, Appended, LogError},
    tail::stored,
};

/// Between two tries to reach the server, at least.
const PAUSE: Duration = Duration::from_millis(100);

/// How often everybody else may run before a batch goes: an answer reaches a command, which ends; the next one of
/// the same caller is decided and handed in.
const ROUNDS: usize = 3;

/// How the sessions that append are set up: whatever the server's defaults are, each statement of the function
/// sees what was committed before it, and goes by the indexes. A lock that is not had in time is an ordinary error.
const SESSION: &str = "SET default_transaction_isolation = 'read committed'; SET default_transaction_read_only = off; \
     SET enable_seqscan = off; SET jit = off; SET plan_cache_mode = force_generic_plan;";

pub(super) struct Writer {
    pub(super) database: Arc<Database>,
    pub(super) requests: mpsc::Receiver<Request>,
    pub(super) shared: Arc<Shared>,
    pub(super) batch: usize,
    pub(super) depth: usize,
    pub(super) until_closed: CancellationToken,
}

/// A connection that appends.
pub(super) struct Appender {
    connection: Arc<Dedicated>,
    statement: Statement,
}

impl Appender {
    pub(super) async fn connect(database: &Database) -> Result<Self, LogError> {
        let connection = database.dedicated().await?;
        let settings = format!("{SESSION} SET lock_timeout = {}", database.lock_timeout().as_millis());
        database.timed(connection.batch_execute(&settings)).await?;
        let statement = database.timed(connection.prepare(APPEND)).await?;
        Ok(Self { connection: Arc::new(connection), statement })
    }

    fn is_lost(&self) -> bool {
        self.connection.is_closed()
    }
}

/// What came back for a batch.
struct Answer {
    requests: Vec<Request>,
    result: Result<(i64, Option<Vec<i64>>), Failure>,
    took: Duration,
}

enum Failure {
    Told(tokio_postgres::Error),
    Late,
}

/// A batch that was sent.
struct InFlight {
    answer: Pin<Box<dyn Future<Output = Answer> + Send>>,
    size: usize,
}

impl Writer {
    /// Ends when the store is closed and everything that was handed in is answered.
    pub(super) async fn run(mut self, appender: Appender) {
        let mut appender = Some(appender);
        let mut queue: VecDeque<Request> = VecDeque::new();
        let mut arrived = Vec::with_capacity(self.batch);
        let mut in_flight: VecDeque<InFlight> = VecDeque::with_capacity(self.depth);
        let mut is_open = true;
        while is_open || !queue.is_empty() || !in_flight.is_empty() {
            tokio::select! {
                biased;
                answer = first(&mut in_flight), if !in_flight.is_empty() => {
                    in_flight.pop_front();
                    if self.settle(answer, &mut queue) {
                        appender = None;
                    }
                }
                () = self.until_closed.cancelled(), if is_open && !self.requests.is_closed() => self.requests.close(),
                count = self.requests.recv_many(&mut arrived, self.batch), if is_open && queue.len() < self.batch * 4 => {
                    is_open = count > 0;
                    queue.extend(arrived.drain(..));
                }
            }
            if may_send(&queue, &in_flight, self.depth) {
                self.gather(&mut queue).await;
            }
            while may_send(&queue, &in_flight, self.depth) {
                if appender.as_ref().is_none_or(Appender::is_lost) {
                    if !in_flight.is_empty() {
                        break;
                    }
                    appender = self.reconnect(&mut queue).await;
                }
                let Some(appender) = &appender else { break };
                in_flight.push_back(self.send(appender, batch::take(&mut queue, self.batch)).await);
            }
        }
    }

    /// Lets those run who were answered with the last batch: what they append next belongs into this one. Without
    /// this the first of them would go alone, and the others wait for it. One who appends alone waits for nobody.
    async fn gather(&mut self, queue: &mut VecDeque<Request>) {
        for _ in 0..ROUNDS {
            yield_now().await;
            while queue.len() < self.batch
                && let Ok(request) = self.requests.try_recv()
            {
                queue.push_back(request);
            }
        }
    }

    /// Another connection; or those who wait are told that there is none.
    async fn reconnect(&self, queue: &mut VecDeque<Request>) -> Option<Appender> {
        let begun = Instant::now();
        match Appender::connect(&self.database).await {
            Ok(appender) => Some(appender),
            Err(error) => {
                tracing::warn!(%error, "the log cannot be appended to");
                for request in queue.drain(..) {
                    drop(request.reply.send(Err(AppendError::Log(LogError::Unavailable(error.to_string())))));
                }
                tokio::time::sleep_until(begun + PAUSE).await;
                None
            }
        }
    }

    /// Hands a batch to the connection. It is on its way when this returns: what is sent later comes later.
    async fn send(&self, appender: &Appender, requests: Vec<Request>) -> InFlight {
        let (connection, statement) = (Arc::clone(&appender.connection), appender.statement.clone());
        let patience = self.database.patience();
        let size = requests.len();
        let mut answer: Pin<Box<dyn Future<Output = Answer> + Send>> = Box::pin(async move {
            let begun = Instant::now();
            let names = batch::names(&requests);
            let result = {
                let columns = Columns::of(&requests, &names);
                tokio::time::timeout(patience, connection.query_one(&statement, &columns.params())).await
            };
            let result = match result {
                Ok(Ok(row)) => row.try_get(0).and_then(|base| Ok((base, row.try_get(1)?))).map_err(Failure::Told),
                Ok(Err(error)) => Err(Failure::Told(error)),
                Err(_) => Err(Failure::Late),
            };
            Answer { requests, result, took: begun.elapsed() }
        });
        let first = poll_fn(|context| Poll::Ready(answer.as_mut().poll(context))).await;
        match first {
            Poll::Pending => InFlight { answer, size },
            Poll::Ready(done) => InFlight { answer: Box::pin(std::future::ready(done)), size },
        }
    }

    /// Answers a batch; whether the connection is of no use any more.
    fn settle(&self, answer: Answer, queue: &mut VecDeque<Request>) -> bool {
        let Answer { requests, result, took } = answer;
        match result {
            Ok((base, outcomes)) => {
                metrics::histogram!("countersign_commit_seconds").record(took.as_secs_f64());
                metrics::histogram!("countersign_commit_requests")
                    .record(f64::from(u32::try_from(requests.len()).unwrap_or(u32::MAX)));
                self.committed(requests, base, outcomes);
                false
            }
            Err(Failure::Told(error)) if errors::left_nothing(&error) => {
                if requests.len() > 1 && errors::is_of_a_value(&error) {
                    // One of them cannot be written; the others must not suffer for it.
                    for request in requests.into_iter().rev() {
                        queue.push_front(Request { alone: true, ..request });
                    }
                } else {
                    failed(requests, AppendError::Log, &self.database.describe(&error));
                }
                false
            }
            Err(Failure::Told(error)) => {
                failed(requests, AppendError::Unknown, &self.database.describe(&error));
                true
            }
            Err(Failure::Late) => {
                failed(requests, AppendError::Unknown, &self.database.late());
                true
            }
        }
    }

    /// After the commit: readers first, so that whoever is answered can already read what it wrote.
    fn committed(&self, requests: Vec<Request>, base: i64, outcomes: Option<Vec<i64>>) {
        let verdicts = batch::verdicts(&requests, base, outcomes);
        let mut replies = Vec::with_capacity(requests.len());
        let mut last = None;
        {
            let mut tail = self.shared.newest.tail();
            for (Request { append, reply, .. }, verdict) in requests.into_iter().zip(verdicts) {
                let count = u64::try_from(append.events.len()).unwrap_or(u64::MAX);
                let version = append.expected.version().plus(count);
                if let Some(receipt) = &append.receipt {
                    self.shared.tidying.written(receipt.at);
                }
                let answer = match verdict {
                    Verdict::Written(position) => {
                        let appended = appended(version, position);
                        last = Some(appended.position);
                        stored(append, appended).for_each(|event| tail.push(event));
                        Ok(appended)
                    }
                    Verdict::WrittenEarlier(position) => Ok(appended(version, position)),
                    Verdict::Conflict => Err(AppendError::Conflict),
                };
                replies.push((reply, answer));
            }
        }
        if let Some(position) = last {
            self.shared.newest.announce(position);
        }
        for (reply, answer) in replies {
            drop(reply.send(answer));
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // Whoever still waits (the runtime ends) is not left waiting.
        self.requests.close();
        while let Ok(request) = self.requests.try_recv() {
            drop(request.reply.send(Err(AppendError::Log(closed()))));
        }
    }
}

fn failed(requests: Vec<Request>, kind: fn(LogError) -> AppendError, error: &LogError) {
    tracing::warn!(%error, appends = requests.len(), "appends failed");
    for request in requests {
        drop(request.reply.send(Err(kind(error.clone()))));
    }
}

fn appended(version: Version, position: u64) -> Appended {
    Appended { version, position: Position(position) }
}

/// The answer to the batch that was sent first: the server answers in order.
async fn first(in_flight: &mut VecDeque<InFlight>) -> Answer {
    match in_flight.front_mut() {
        Some(batch) => batch.answer.as_mut().await,
        None => std::future::pending().await,
    }
}

/// While the server works on one batch the next is sent after it, so that it need not wait for us; but not so
/// early that it would be a small one.
fn may_send(queue: &VecDeque<Request>, in_flight: &VecDeque<InFlight>, depth: usize) -> bool {
    match in_flight.back() {
        None => !queue.is_empty(),
        Some(last) => in_flight.len() < depth && queue.len() * 2 >= last.size && !queue.is_empty(),
    }
}
