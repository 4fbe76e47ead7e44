//! argon2id, and passwords in PHC strings.

use std::borrow::Cow;

use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::phc::{self, Output, ParamsString, Salt},
};
use domain::{secret::SecretText, values::PasswordHash};
use icu_normalizer::ComposingNormalizerBorrowed;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

use super::{Argon2Cost, pool::Memory};
use crate::VaultError;

/// Bounds for parameters that come with a hash: RFC 9106's second choice (64 MiB, 3 passes, 4 lanes) is
/// inside, what could stop the service is not.
const MOST_MEMORY_KIB: u32 = 64 * 1024;
const MOST_PASSES: u32 = 10;
const MOST_LANES: u32 = 8;

const ABSURD: VaultError = VaultError::Malformed("argon2id parameters: beyond what is accepted");
const NOT_ARGON2ID: VaultError = VaultError::Malformed("password hash: not an argon2id PHC string");

impl Argon2Cost {
    pub(super) fn params(self, output: usize) -> Result<Params, VaultError> {
        if self.memory_kib > MOST_MEMORY_KIB || self.passes > MOST_PASSES || self.lanes > MOST_LANES {
            return Err(ABSURD);
        }
        Params::new(self.memory_kib, self.passes, self.lanes, Some(output)).map_err(|_| ABSURD)
    }
}

/// One argon2id hash in the thread's memory.
pub(super) fn argon2id(
    version: Version,
    params: Params,
    input: &[u8],
    salt: &[u8],
    out: &mut [u8],
    memory: &mut Memory,
) -> Result<(), VaultError> {
    let blocks = memory.blocks(params.block_count());
    Argon2::new(Algorithm::Argon2id, version, params)
        .hash_password_into_with_memory(input, salt, out, blocks)
        .map_err(|_| VaultError::Malformed("argon2id input"))
}

/// The bytes of a password that are hashed: UTF-8 of its NFC form (RFC 8265, `OpaqueString`), so that the
/// same password typed on two keyboards is the same. Nothing is trimmed or folded.
fn with_password_bytes<T>(password: &SecretText, use_bytes: impl FnOnce(&[u8]) -> T) -> T {
    match ComposingNormalizerBorrowed::new_nfc().normalize(password.expose()) {
        Cow::Borrowed(text) => use_bytes(text.as_bytes()),
        Cow::Owned(mut text) => {
            let out = use_bytes(text.as_bytes());
            text.zeroize();
            out
        }
    }
}

/// A password hash that is fit to be checked against.
pub(super) struct Parsed {
    version: Version,
    params: Params,
    salt: Salt,
    hash: Output,
}

impl Parsed {
    /// Reads a PHC string of argon2id; refuses absurd parameters before any memory is taken.
    pub(super) fn new(hash: &PasswordHash) -> Result<Self, VaultError> {
        let parsed = phc::PasswordHash::new(&hash.0).map_err(|_| NOT_ARGON2ID)?;
        let (Some(salt), Some(output)) = (parsed.salt, parsed.hash) else {
            return Err(NOT_ARGON2ID);
        };
        if parsed.algorithm.as_str() != "argon2id" || output.len() < 16 || salt.len() < 8 {
            return Err(NOT_ARGON2ID);
        }
        let version = match parsed.version {
            None => Version::V0x10,
            Some(version) => Version::try_from(version).map_err(|_| NOT_ARGON2ID)?,
        };
        let params = Params::try_from(&parsed).map_err(|_| NOT_ARGON2ID)?;
        if !params.keyid().is_empty() || !params.data().is_empty() {
            return Err(NOT_ARGON2ID);
        }
        let cost = Argon2Cost { memory_kib: params.m_cost(), passes: params.t_cost(), lanes: params.p_cost() };
        Ok(Self { version, params: cost.params(output.len())?, salt, hash: output })
    }

    /// Memory written in all passes, in KiB: what a check costs.
    pub(super) fn kibibytes_written(&self) -> u64 {
        u64::from(self.params.m_cost()) * u64::from(self.params.t_cost())
    }

    /// Whether the password has this hash, compared in constant time.
    pub(super) fn matches(&self, entered: &SecretText, memory: &mut Memory) -> Result<bool, VaultError> {
        let mut out = Zeroizing::new(vec![0; self.hash.len()]);
        with_password_bytes(entered, |bytes| {
            argon2id(self.version, self.params.clone(), bytes, &self.salt, &mut out, memory)
        })?;
        Ok(out.ct_eq(self.hash.as_bytes()).into())
    }
}

/// Hashes a new password under this salt.
pub(super) fn hash_password(
    new: &SecretText,
    salt: &[u8; 16],
    cost: Argon2Cost,
    memory: &mut Memory,
) -> Result<PasswordHash, VaultError> {
    let params = cost.params(32)?;
    let mut out = Zeroizing::new([0; 32]);
    with_password_bytes(new, |bytes| {
        argon2id(Version::V0x13, params.clone(), bytes, salt, out.as_mut_slice(), memory)
    })?;
    let malformed = |_| VaultError::Malformed("password hash");
    let text = phc::PasswordHash {
        algorithm: Algorithm::Argon2id.ident(),
        version: Some(Version::V0x13.into()),
        params: ParamsString::try_from(params).map_err(|_| ABSURD)?,
        salt: Some(Salt::new(salt).map_err(malformed)?),
        hash: Some(Output::new(&*out).map_err(malformed)?),
    };
    Ok(PasswordHash(text.to_string()))
}

/// The work of one check, for nothing.
pub(super) fn spend(entered: &SecretText, cost: Argon2Cost, memory: &mut Memory) -> Result<(), VaultError> {
    let params = cost.params(32)?;
    let mut out = Zeroizing::new([0; 32]);
    with_password_bytes(entered, |bytes| {
        argon2id(Version::V0x13, params, bytes, b"nobody has this.", out.as_mut_slice(), memory)
    })
}
