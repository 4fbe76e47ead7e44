//! What the tasks of an open log share.

use super::tidying::Tidying;
use crate::{
    port::LogError,
    tail::{Newest, Tail},
};

pub(super) struct Shared {
    pub(super) newest: Newest<Tail>,
    pub(super) tidying: Tidying,
}

pub(super) fn closed() -> LogError {
    LogError::Unavailable("the event log is closed".to_owned())
}
