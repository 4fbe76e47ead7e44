//! The numbers of accounts: this process sets some aside in the log, and gives them away from memory.
//!
//! A number per installation needs one order over all accounts, and no command may append to two streams at once.
//! So the numbers have a stream of their own, and it is appended to before the account's, like the claim of an
//! address: a number that was taken and not used is lost, and never given twice (ADR 18).

use std::ops::Range;

use domain::{
    ids::{AccountNumber, StreamId},
    numbers::{AccountNumbers, ReserveNumbers},
    outcome::Outcome,
    values::Origin,
};
use tokio::sync::Mutex;

use crate::{Engine, ExecuteError, Request};

/// The first reservation: a process that registers few accounts leaves few numbers behind.
const FIRST: u32 = 8;
/// The largest. Each reservation of a process is twice the one before, so that an import appends to the one
/// stream once in a thousand accounts.
const LARGEST: u32 = 1_024;

/// What this process has set aside and not given away.
#[derive(Default)]
pub(crate) struct Numbers(Mutex<SetAside>);

#[derive(Default)]
struct SetAside {
    left: Range<u32>,
    reserved: u32,
}

impl Engine {
    /// A number that no account has.
    pub(crate) async fn next_number(&self, request: &Request) -> Result<AccountNumber, ExecuteError> {
        // Whoever finds none left reserves for all who wait.
        let mut numbers = self.inner.numbers.0.lock().await;
        if let Some(number) = numbers.left.next() {
            return Ok(AccountNumber(number));
        }
        let count = numbers.reserved.saturating_mul(2).clamp(FIRST, LARGEST);
        // Boxed: registering an account reserves numbers, which executes a command.
        let command = ReserveNumbers { count };
        // Erasing an account does not reach this stream, so it is told nothing of where anybody was.
        let inner = Request { origin: Origin::default(), ..request.inner() };
        let reserving = self.execute_on::<AccountNumbers>(&StreamId::AccountNumbers, &command, &inner);
        let executed = Box::pin(reserving).await?;
        match executed.outcome {
            Ok(Outcome::NumbersReserved { first, count }) => {
                numbers.reserved = count;
                numbers.left = first.0.saturating_add(1)..first.0.saturating_add(count);
                Ok(first)
            }
            Ok(_) | Err(_) => Err(ExecuteError::Internal("no number of an account is left".to_owned())),
        }
    }
}
