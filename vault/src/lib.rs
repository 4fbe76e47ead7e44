//! Keys: the key ring, data keys, sealing, derived codes, hashes and tokens.
//!
//! Nothing here touches a store: a caller hands in wrapped keys and gets them opened. What goes into
//! each hash, derivation and box is fixed for good by ADR 0007 and by the vectors in the tests; a
//! change that makes one of those tests fail makes old data unreadable.

mod crockford;
mod data_key;
mod derive;
mod error;
mod hasher;
mod key_ring;
mod key_ring_file;
mod strangers;
mod token;

pub use data_key::DataKey;
pub use error::VaultError;
pub use hasher::{Argon2Cost, Asker, Hasher, HasherConfig, check_imported_codes, check_imported_password};
pub use key_ring::KeyRing;
pub use token::{Token, TokenKind};
