//! Recovery codes.

pub(crate) mod count;
pub(crate) mod regenerate;
