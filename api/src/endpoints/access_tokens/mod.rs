//! Personal access tokens: they stand for the first factor.

pub(crate) mod issue;
pub(crate) mod list;
pub(crate) mod revoke;
