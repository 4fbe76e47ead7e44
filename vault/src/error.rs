//! What can go wrong with keys; no text here ever repeats a secret.

use runtime::NoRandomness;

/// Why the vault could not do it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VaultError {
    /// More hashes wait than may wait; the caller is to be told to come back.
    #[error("too many passwords are being checked at once")]
    Busy,
    /// The box was not sealed by this key for this place, or it was altered.
    #[error("the sealed value does not open with this key in this place")]
    WrongKey,
    /// The data key is wrapped by a key that the ring does not hold.
    #[error("the key ring holds no key number {0}: it is not the ring that this data was written with")]
    UnknownRingKey(u32),
    /// It is not what it should be.
    #[error("malformed {0}")]
    Malformed(&'static str),
    /// A file or a thread could not be had.
    #[error("{0}")]
    Io(String),
    /// The machine gives no random numbers.
    #[error(transparent)]
    Random(#[from] NoRandomness),
}
