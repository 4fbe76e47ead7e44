//! Recovery codes: 80 random bits each, kept as argon2id hashes under one salt per set.

use argon2::Version;
use domain::{
    events::{RecoveryCodeHash, RecoveryCodeHashes},
    evidence::FreshRecoveryCodes,
    secret::{Secret, TokenHash, from_hex, to_hex},
};
use runtime::Runtime;
use zeroize::Zeroizing;

use super::{Argon2Cost, argon::argon2id, pool::Memory};
use crate::{
    VaultError,
    crockford::{spell, with_hyphens},
};

/// Characters of a code.
const CHARACTERS: usize = 16;
/// More codes in one set than anyone prints.
const MOST_CODES: u32 = 100;

/// What all codes of a set are hashed with.
pub(super) struct Salt {
    bytes: Vec<u8>,
    cost: Argon2Cost,
}

impl Salt {
    pub(super) fn of(set: &RecoveryCodeHashes) -> Result<Self, VaultError> {
        const MALFORMED: VaultError = VaultError::Malformed("recovery code salt");
        let bytes = from_hex(&set.salt).ok_or(MALFORMED)?;
        if !(8..=64).contains(&bytes.len()) {
            return Err(MALFORMED);
        }
        let cost = Argon2Cost { memory_kib: set.memory_kib, passes: set.passes, lanes: set.lanes };
        cost.params(32)?;
        Ok(Self { bytes, cost })
    }

    /// The hash of a normalized code.
    pub(super) fn hash(&self, code: &Secret<String>, memory: &mut Memory) -> Result<RecoveryCodeHash, VaultError> {
        let mut out = [0; 32];
        let params = self.cost.params(32)?;
        argon2id(Version::V0x13, params, code.expose().as_bytes(), &self.bytes, &mut out, memory)?;
        Ok(TokenHash(out))
    }
}

/// What a set of codes is made of.
pub(super) struct Drawn {
    salt: [u8; 16],
    codes: Vec<Zeroizing<[u8; 10]>>,
}

impl Drawn {
    /// Draws for so many codes.
    pub(super) fn by(runtime: &Runtime, count: u32) -> Result<Self, VaultError> {
        if count > MOST_CODES {
            return Err(VaultError::Malformed("number of recovery codes"));
        }
        let salt = *runtime.random_bytes()?;
        let codes = (0..count).map(|_| runtime.random_bytes()).collect::<Result<_, _>>()?;
        Ok(Self { salt, codes })
    }
}

/// Spells the codes that were drawn, and hashes them.
pub(super) fn fresh(drawn: &Drawn, cost: Argon2Cost, memory: &mut Memory) -> Result<FreshRecoveryCodes, VaultError> {
    let salt = Salt { bytes: drawn.salt.to_vec(), cost };
    let mut codes = Vec::new();
    let mut hashes = Vec::new();
    for drawn in &drawn.codes {
        let code = spell(&**drawn, CHARACTERS);
        hashes.push(salt.hash(&code, memory)?);
        codes.push(with_hyphens(&code));
    }
    let hashes = RecoveryCodeHashes {
        salt: to_hex(&salt.bytes),
        memory_kib: cost.memory_kib,
        passes: cost.passes,
        lanes: cost.lanes,
        hashes,
    };
    Ok(FreshRecoveryCodes { codes, hashes })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use domain::values::normalize_recovery_code;

    use super::*;

    #[test]
    fn codes_are_shown_as_the_domain_reads_them() {
        let code = spell(&[0xa5; 10], CHARACTERS);
        let shown = with_hyphens(&code);
        assert_eq!(shown.expose().len(), 19);
        assert_eq!(normalize_recovery_code(shown.expose()).unwrap(), code);
    }

    #[test]
    fn the_hash_never_changes() {
        let set = RecoveryCodeHashes {
            salt: "000102030405060708090a0b0c0d0e0f".to_owned(),
            memory_kib: 4096,
            passes: 1,
            lanes: 1,
            hashes: Vec::new(),
        };
        let hash = Salt::of(&set).unwrap().hash(&Secret::new("0123456789ABCDEF".to_owned()), &mut Memory::default());
        assert_eq!(to_hex(&hash.unwrap().0), "fef7c6c8231ae26327a383b42433f53337e004bc387bd9bde49817302cee8705");
    }

    #[test]
    fn a_set_with_an_absurd_cost_is_refused() {
        let set = |memory_kib, passes, salt: &str| RecoveryCodeHashes {
            salt: salt.to_owned(),
            memory_kib,
            passes,
            lanes: 1,
            hashes: Vec::new(),
        };
        assert!(Salt::of(&set(4096, 1, "000102030405060708090a0b0c0d0e0f")).is_ok());
        for bad in [
            set(u32::MAX, 1, "000102030405060708090a0b0c0d0e0f"),
            set(4096, u32::MAX, "000102030405060708090a0b0c0d0e0f"),
            set(4096, 0, "000102030405060708090a0b0c0d0e0f"),
            set(4096, 1, ""),
            set(4096, 1, "not hex"),
        ] {
            assert!(Salt::of(&bad).is_err());
        }
    }
}
