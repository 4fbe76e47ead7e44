//! Whether the process lives, and whether it can do its work.

pub(crate) mod live;
pub(crate) mod ready;
