//! Randomness as an argument: 32 random bytes per command, expanded by label.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use uuid::Uuid;
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::{
    secret::{Secret, TokenSecret},
    time::Timestamp,
};

/// The random part of a command's context. The same entropy gives the same ids and secrets, so that a
/// command that is decided again after a conflict is the same command.
#[derive(ZeroizeOnDrop)]
pub struct Entropy([u8; 32]);

impl Entropy {
    /// Takes 32 bytes of a cryptographic generator.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// 32 bytes for this label: HMAC-SHA-256 under the command's bytes.
    pub fn bytes(&self, label: &str) -> [u8; 32] {
        // HMAC pads a short key with zeros to its block of 64 bytes (RFC 2104, section 2).
        let mut key = [0; 64];
        key[..32].copy_from_slice(&self.0);
        let mut mac = Hmac::<Sha256>::new(&key.into());
        key.zeroize();
        mac.update(label.as_bytes());
        mac.finalize().into_bytes().into()
    }

    /// A `UUIDv7` of this moment for this label.
    pub fn uuid(&self, now: Timestamp, label: &str) -> Uuid {
        let bytes = self.bytes(label);
        let mut random = [0; 10];
        random.copy_from_slice(&bytes[..10]);
        uuid::Builder::from_unix_timestamp_millis(now.as_millis().unsigned_abs(), &random).into_uuid()
    }

    /// The random part of a token for this label.
    pub fn token(&self, label: &str) -> TokenSecret {
        Secret::new(self.bytes(label))
    }
}

impl std::fmt::Debug for Entropy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[entropy]")
    }
}
