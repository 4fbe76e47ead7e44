//! Randomness of the operating system.

use domain::entropy::Entropy;
use zeroize::Zeroizing;

use crate::VaultError;

/// `N` random bytes, wiped when dropped.
#[expect(clippy::disallowed_methods, reason = "the one source that the rule points to")]
pub fn random_bytes<const N: usize>() -> Result<Zeroizing<[u8; N]>, VaultError> {
    let mut bytes = Zeroizing::new([0; N]);
    getrandom::fill(bytes.as_mut_slice()).map_err(|_| VaultError::Random)?;
    Ok(bytes)
}

/// The random part of a command's context.
pub fn random_entropy() -> Result<Entropy, VaultError> {
    Ok(Entropy::new(*random_bytes::<32>()?))
}
