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

    /// 32 bytes for this label.
    pub fn bytes(&self, label: &str) -> [u8; 32] {
        self.expand("bytes", label)
    }

    /// HMAC-SHA-256 under the command's bytes. An id is public and a token is not, so the two must differ
    /// even under one label: the purpose is part of the input (ADR 0007).
    fn expand(&self, purpose: &str, label: &str) -> [u8; 32] {
        // HMAC pads a short key with zeros to its block of 64 bytes (RFC 2104, section 2).
        let mut key = [0; 64];
        key[..32].copy_from_slice(&self.0);
        let mut mac = Hmac::<Sha256>::new(&key.into());
        key.zeroize();
        mac.update(purpose.as_bytes());
        mac.update(b"/");
        mac.update(label.as_bytes());
        mac.finalize().into_bytes().into()
    }

    /// A `UUIDv7` of this moment for this label.
    pub fn uuid(&self, now: Timestamp, label: &str) -> Uuid {
        let bytes = self.expand("id", label);
        let mut random = [0; 10];
        random.copy_from_slice(&bytes[..10]);
        uuid::Builder::from_unix_timestamp_millis(now.as_millis().unsigned_abs(), &random).into_uuid()
    }

    /// The random part of a token for this label.
    pub fn token(&self, label: &str) -> TokenSecret {
        Secret::new(self.expand("token", label))
    }
}

impl std::fmt::Debug for Entropy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[entropy]")
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use crate::secret::to_hex;

    fn entropy() -> Entropy {
        Entropy::new(std::array::from_fn(|i| u8::try_from(i).unwrap()))
    }

    #[test]
    fn the_expansion_never_changes() {
        assert_eq!(
            to_hex(&entropy().bytes("session")),
            "78fe41e0facf1bc26affe53d8588b0236d8092420548f7ab3379517199f4c3e5"
        );
        assert_eq!(
            to_hex(entropy().token("session").expose()),
            "55215ce3f386398c13709ad3e4a22838346eba2eb33fbc4b2e8602c28df8d44e"
        );
        let id = entropy().uuid(Timestamp::from_millis(0x0197_a0b1_c2d3), "session");
        // The first ten bytes of the expansion, but for the bits of version (7) and variant.
        assert_eq!(id.to_string(), "0197a0b1-c2d3-7035-a953-285b2eda5ea3");
    }

    #[test]
    fn an_id_tells_nothing_of_the_token_with_the_same_label() {
        let (id, token) = (entropy().uuid(Timestamp::EPOCH, "session"), entropy().token("session"));
        assert!(!token.expose().windows(4).any(|bytes| id.as_bytes().windows(4).any(|other| bytes == other)));
    }

    #[test]
    fn debug_shows_nothing() {
        assert_eq!(format!("{:?}", entropy()), "[entropy]");
    }
}
