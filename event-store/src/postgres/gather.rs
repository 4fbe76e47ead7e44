//! Reads that share a statement. What is asked while others are being answered waits for them, and goes together
//! with everything that has come meanwhile: under load a read costs a fraction of a round trip, and one that comes
//! alone goes at once.

use std::future::Future;

use tokio::{
    sync::{mpsc, oneshot},
    task::{JoinSet, yield_now},
};
use tokio_postgres::Row;

use super::Database;
use crate::port::LogError;

/// Questions of one statement, at most.
const AT_ONCE: usize = 128;
/// Statements that are under way at once: while one is answered the next one is on its way.
const SIDE_BY_SIDE: usize = 2;

/// Questions of one kind, answered many at a time.
pub(super) struct Gathered<Q, A> {
    asked: mpsc::Sender<Asked<Q, A>>,
}

struct Asked<Q, A> {
    question: Q,
    reply: oneshot::Sender<Result<A, LogError>>,
}

impl<Q: Send + 'static, A: Send + 'static> Gathered<Q, A> {
    /// `answer` is asked of `place`, and gives as many answers as there are questions, in their order.
    pub(super) fn new<P, F>(place: P, answer: impl Fn(P, Vec<Q>) -> F + Send + 'static) -> Self
    where
        P: Clone + Send + 'static,
        F: Future<Output = Result<Vec<A>, LogError>> + Send + 'static,
    {
        let (asked, mut questions) = mpsc::channel::<Asked<Q, A>>(AT_ONCE);
        tokio::spawn(async move {
            let mut running = JoinSet::new();
            loop {
                while running.len() >= SIDE_BY_SIDE {
                    running.join_next().await;
                }
                let mut waiting = Vec::new();
                if questions.recv_many(&mut waiting, AT_ONCE).await == 0 {
                    return;
                }
                // Those who were woken together with the first one ask together with it.
                yield_now().await;
                while waiting.len() < AT_ONCE
                    && let Ok(asked) = questions.try_recv()
                {
                    waiting.push(asked);
                }
                let (asked, replies): (Vec<Q>, Vec<_>) =
                    waiting.into_iter().map(|Asked { question, reply }| (question, reply)).unzip();
                let answers = answer(place.clone(), asked);
                running.spawn(async move { tell(replies, answers.await) });
            }
        });
        Self { asked }
    }

    /// Asks one question.
    pub(super) async fn ask(&self, question: Q) -> Result<A, LogError> {
        let ended = || LogError::Unavailable("the database is not asked any more".to_owned());
        let (reply, answer) = oneshot::channel();
        self.asked.send(Asked { question, reply }).await.map_err(|_| ended())?;
        answer.await.map_err(|_| ended())?
    }
}

fn tell<A>(replies: Vec<oneshot::Sender<Result<A, LogError>>>, answers: Result<Vec<A>, LogError>) {
    match answers {
        Ok(answers) => replies.into_iter().zip(answers).for_each(|(reply, answer)| drop(reply.send(Ok(answer)))),
        Err(error) => replies.into_iter().for_each(|reply| drop(reply.send(Err(error.clone())))),
    }
}

/// Sorts rows to the questions that they answer: each adds what it says to an answer that begins as the default. The
/// first column of a row is the number of its question, from 1.
pub(super) fn answers<A: Default + Clone>(
    database: &Database,
    rows: &[Row],
    questions: usize,
    mut add: impl FnMut(&mut A, &Row) -> Result<(), tokio_postgres::Error>,
) -> Result<Vec<A>, LogError> {
    let mut all = vec![A::default(); questions];
    for row in rows {
        let described = |error: tokio_postgres::Error| database.describe(&error);
        let number: i64 = row.try_get(0).map_err(described)?;
        if let Some(answer) = usize::try_from(number - 1).ok().and_then(|index| all.get_mut(index)) {
            add(answer, row).map_err(described)?;
        }
    }
    Ok(all)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::sync::{Arc, Mutex};

    use tokio::sync::Semaphore;

    use super::*;

    #[tokio::test]
    async fn what_is_asked_while_others_are_answered_goes_together_and_each_gets_its_own() {
        let (sizes, may_answer) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Semaphore::new(0)));
        let (seen, gate) = (Arc::clone(&sizes), Arc::clone(&may_answer));
        let gathered = Arc::new(Gathered::new((), move |(), asked: Vec<u32>| {
            seen.lock().unwrap().push(asked.len());
            let gate = Arc::clone(&gate);
            async move {
                gate.acquire().await.unwrap().forget();
                Ok(asked.into_iter().map(|number| number * 2).collect())
            }
        }));
        let ask = |number| {
            let gathered = Arc::clone(&gathered);
            tokio::spawn(async move { gathered.ask(number).await.unwrap() })
        };
        // As many statements as may be under way, each with one question.
        let mut answers = Vec::new();
        for number in 0..SIDE_BY_SIDE {
            answers.push(ask(u32::try_from(number).unwrap()));
            while sizes.lock().unwrap().len() <= number {
                yield_now().await;
            }
        }
        answers.extend((10..40).map(ask));
        while gathered.asked.capacity() > AT_ONCE - 30 {
            yield_now().await;
        }
        may_answer.add_permits(100);
        let mut found = Vec::new();
        for answer in answers {
            found.push(answer.await.unwrap());
        }
        let expected: Vec<u32> = (0..).take(SIDE_BY_SIDE).chain(10..40).map(|number| number * 2).collect();
        assert_eq!(found, expected);
        assert_eq!(*sizes.lock().unwrap(), [1, 1, 30]);
    }

    #[tokio::test]
    async fn a_failure_is_told_to_all_who_asked_and_the_next_ones_are_answered() {
        let fails = Mutex::new(true);
        let gathered = Gathered::new((), move |(), asked: Vec<u32>| {
            let fails = std::mem::take(&mut *fails.lock().unwrap());
            async move { if fails { Err(LogError::Unavailable("lost".to_owned())) } else { Ok(asked) } }
        });
        let (one, other) = tokio::join!(gathered.ask(1), gathered.ask(2));
        assert!(one.is_err() && other.is_err());
        assert_eq!(gathered.ask(3).await.unwrap(), 3);
    }
}
