//! The two primitives under everything here: HMAC-SHA-256 and HKDF-SHA-256, and the one encoding of
//! several parts as one input.

use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::{Zeroize, Zeroizing};

/// HKDF-SHA-256 (RFC 5869) without salt, 32 bytes for this label.
///
/// No salt: the input keys are uniform 256-bit keys of our own, for which extraction adds nothing
/// (RFC 5869, 3.1 and 3.3). The labels are listed in ADR 0007.
pub(crate) fn subkey(key: &[u8; 32], label: &str) -> Zeroizing<[u8; 32]> {
    let mut out = Zeroizing::new([0; 32]);
    match Hkdf::<Sha256>::new(None, key).expand(label.as_bytes(), out.as_mut_slice()) {
        Ok(()) => out,
        // A silent zero key would be worse than a crash; the bound is 255 blocks and this is one.
        Err(_) => unreachable!("32 bytes are within what HKDF-SHA-256 can give"),
    }
}

/// HMAC-SHA-256 under a 32-byte key.
pub(crate) fn hmac_sha256(key: &[u8; 32], message: &[u8]) -> [u8; 32] {
    // HMAC pads a short key with zeros to its block of 64 bytes (RFC 2104, section 2), so this is the
    // same MAC by the constructor that cannot fail.
    let mut padded = [0; 64];
    padded[..32].copy_from_slice(key);
    let mut mac = Hmac::<Sha256>::new(&padded.into());
    padded.zeroize();
    mac.update(message);
    mac.finalize().into_bytes().into()
}

/// Parts as one input: each preceded by its length in 4 big-endian bytes. No two different lists of
/// parts have the same encoding, so no part can pass for a piece of its neighbour.
pub(crate) fn length_prefixed(parts: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::with_capacity(parts.iter().map(|part| part.len() + 4).sum());
    for part in parts {
        // No part reaches 4 GiB: events are bounded by the body limit, names by their type.
        out.extend(u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
        out.extend_from_slice(part);
    }
    out
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use domain::secret::{from_hex, to_hex};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn hmac_is_that_of_rfc_4231() {
        // Test case 1 has a 20-byte key; padded with zeros to 32 bytes it is the same HMAC key.
        let mut key = [0; 32];
        key[..20].fill(0x0b);
        assert_eq!(
            to_hex(&hmac_sha256(&key, b"Hi There")),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"
        );
    }

    #[test]
    fn subkeys_never_change() {
        let key: [u8; 32] =
            from_hex("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f").unwrap().try_into().unwrap();
        let one = subkey(&key, "countersign/v1/seal");
        assert_eq!(to_hex(&*one), SEAL_SUBKEY);
        assert_ne!(*one, *subkey(&key, "countersign/v1/one-time code"));
        // By hand, RFC 5869: extract with a salt of zeros, then the first block of expand.
        let prk = hmac_sha256(&[0; 32], &key);
        assert_eq!(*one, hmac_sha256(&prk, b"countersign/v1/seal\x01"));
    }

    const SEAL_SUBKEY: &str = "3cce5e052d5af12ab173a9c94001662ccf334815597aa18fa58633e9f4ec2bea";

    #[test]
    fn the_encoding_of_parts_never_changes() {
        assert_eq!(length_prefixed(&[b"ab", b"", b"c"]), b"\0\0\0\x02ab\0\0\0\0\0\0\0\x01c");
    }

    proptest! {
        #[test]
        fn different_parts_have_different_encodings(
            left in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..6), 0..4),
            right in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..6), 0..4),
        ) {
            let encode = |parts: &[Vec<u8>]| length_prefixed(&parts.iter().map(Vec::as_slice).collect::<Vec<_>>());
            prop_assert_eq!(left == right, encode(&left) == encode(&right));
        }
    }
}
