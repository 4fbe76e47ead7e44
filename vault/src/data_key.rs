//! A stream's own key: it seals the stream's personal data and derives its one-time codes.

use std::{fmt, sync::Arc};

use chacha20poly1305::{
    XChaCha20Poly1305,
    aead::{Aead, KeyInit, Payload},
};
use domain::{
    ids::{AccountId, VerificationId},
    secret::{Secret, SecretText, TokenSecret},
    values::{Challenge, Credential, TotpSecret},
};
use runtime::Runtime;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::{
    VaultError,
    crockford::{spell, with_hyphens},
    derive::{hmac_sha256, length_prefixed, subkey},
};

/// First byte of every box, so that another cipher can come without guessing.
const FORMAT: u8 = 1;
const NONCE: usize = 24;
const TAG: usize = 16;

/// Seals under a key that does nothing else: format byte, random nonce, ciphertext, tag.
///
/// Random 192-bit nonces never repeat in practice, so no counter has to survive a crash.
pub(crate) fn seal(
    runtime: &Runtime,
    key: &[u8; 32],
    associated: &[&[u8]],
    plain: &[u8],
) -> Result<Vec<u8>, VaultError> {
    let nonce = runtime.random_bytes::<NONCE>()?;
    let payload = Payload { msg: plain, aad: &length_prefixed(associated) };
    let sealed = XChaCha20Poly1305::new(key.into())
        .encrypt((&*nonce).into(), payload)
        .map_err(|_| VaultError::Malformed("value to be sealed: too long"))?;
    let mut out = Vec::with_capacity(1 + NONCE + sealed.len());
    out.push(FORMAT);
    out.extend_from_slice(&*nonce);
    out.extend_from_slice(&sealed);
    Ok(out)
}

/// Opens what [`seal`] made with the same key and the same associated parts.
pub(crate) fn open(key: &[u8; 32], associated: &[&[u8]], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, VaultError> {
    let rest = match sealed.split_first() {
        Some((&FORMAT, rest)) if rest.len() >= NONCE + TAG => rest,
        _ => return Err(VaultError::Malformed("sealed value")),
    };
    let Some((nonce, msg)) = rest.split_first_chunk::<NONCE>() else {
        return Err(VaultError::Malformed("sealed value"));
    };
    XChaCha20Poly1305::new(key.into())
        .decrypt(nonce.into(), Payload { msg, aad: &length_prefixed(associated) })
        .map(Zeroizing::new)
        .map_err(|_| VaultError::WrongKey)
}

/// The key of one stream: 256 random bits, and what is derived from them.
///
/// Cheap to clone. The bytes are wiped when the last clone is dropped; `Debug` shows nothing.
#[derive(Clone)]
pub struct DataKey(Arc<Keys>);

#[derive(Zeroize, ZeroizeOnDrop)]
struct Keys {
    key: [u8; 32],
    seal: [u8; 32],
    one_time_code: [u8; 32],
    /// Draws the nonces.
    #[zeroize(skip)]
    runtime: Runtime,
}

impl DataKey {
    /// A fresh key.
    pub fn generate(runtime: &Runtime) -> Result<Self, VaultError> {
        Ok(Self::from_bytes(runtime, &*runtime.random_bytes()?))
    }

    pub(crate) fn from_bytes(runtime: &Runtime, key: &[u8; 32]) -> Self {
        Self(Arc::new(Keys {
            key: *key,
            seal: *subkey(key, "countersign/v1/seal"),
            one_time_code: *subkey(key, "countersign/v1/one-time code"),
            runtime: runtime.clone(),
        }))
    }

    pub(crate) fn bytes(&self) -> &[u8; 32] {
        &self.0.key
    }

    /// Seals a value for one place: the associated parts (stream, event id, field tag …) must be given
    /// again, each the same, to open it. 41 bytes longer than the value.
    pub fn seal(&self, associated: &[&[u8]], plain: &[u8]) -> Result<Vec<u8>, VaultError> {
        seal(&self.0.runtime, &self.0.seal, associated, plain)
    }

    /// Opens a sealed value.
    pub fn open(&self, associated: &[&[u8]], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        open(&self.0.seal, associated, sealed)
    }

    /// The six digits of a one-time code that was ordered. Derived, never stored: whoever sends it and
    /// whoever checks it compute it anew, and without the key nobody can.
    pub fn one_time_code(&self, challenge: &Challenge) -> SecretText {
        let method = challenge.method_id.map(|id| id.0.to_be_bytes());
        let mut mac = hmac_sha256(
            &self.0.one_time_code,
            &length_prefixed(&[
                challenge.verification_id.0.as_bytes(),
                challenge.purpose.name().as_bytes(),
                challenge.channel.factor().name().as_bytes(),
                method.as_ref().map_or(&[][..], |id| id.as_slice()),
                &challenge.issue.to_be_bytes(),
            ]),
        );
        let code = Secret::new(format!("{:06}", truncate(&mac) % 1_000_000));
        mac.zeroize();
        code
    }

    /// The characters of a long code that was ordered for this account, as they are shown.
    pub fn long_code(&self, challenge: &Challenge) -> SecretText {
        let key = subkey(&self.0.key, "countersign/v1/long code");
        let parts = [
            challenge.verification_id.0.as_bytes(),
            challenge.purpose.name().as_bytes(),
            &challenge.issue.to_be_bytes()[..],
        ];
        long_code(hmac_sha256(&key, &length_prefixed(&parts)))
    }

    /// A key for an authenticator app, as it is offered to one credential: what is random, the offer's end and a tag.
    /// The tag is known again without being kept, and nobody else makes one, so nobody brings a key of their own.
    pub fn offered_totp_key(
        &self,
        account: AccountId,
        credential: Credential,
        random: [u8; 16],
        ends: u32,
    ) -> TotpSecret {
        let (kind, id) = match credential {
            Credential::Session(id) => ("session", id.0),
            Credential::AccessToken(id) => ("access token", id.0),
            Credential::ApiClient(id) => ("api client", id.0),
        };
        let ends = ends.to_be_bytes();
        let mut mac = hmac_sha256(
            &subkey(&self.0.key, "countersign/v1/offered totp key"),
            &length_prefixed(&[account.0.as_bytes(), kind.as_bytes(), id.as_bytes(), &random, &ends]),
        );
        // 32 bytes: 52 digits of base32 without padding. 96 bits of tag cannot be guessed by asking.
        let key = TotpSecret::new([&random[..], &ends, &mac[..12]].concat());
        mac.zeroize();
        key
    }

    /// The secret of the link that undoes a change of address: 256 bits that are in the mail to the old address and
    /// nowhere else. `change` is the verification that proved the new one.
    pub fn email_undo_secret(&self, change: VerificationId) -> TokenSecret {
        let key = subkey(&self.0.key, "countersign/v1/email undo");
        Secret::new(hmac_sha256(&key, change.0.as_bytes()))
    }

    /// The random part of an enrollment's handle. It opens nothing that the credential which began the enrollment
    /// does not open; it tells enrollments apart.
    pub fn enrollment_handle(&self, enrollment: VerificationId) -> TokenSecret {
        let key = subkey(&self.0.key, "countersign/v1/enrollment handle");
        Secret::new(hmac_sha256(&key, enrollment.0.as_bytes()))
    }
}

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[data key]")
    }
}

/// Sixty bits of a MAC as twelve characters in groups of four.
pub(crate) fn long_code(mut mac: [u8; 32]) -> SecretText {
    let code = with_hyphens(&spell(&mac[..8], 12));
    mac.zeroize();
    code
}

/// Dynamic truncation of RFC 4226, 5.3, over the 32 bytes of a SHA-256 MAC as RFC 6238 does it: 31 bits
/// from where the last byte's low half points. Modulo a million the first 483,648 codes are
/// more likely than the rest by one in 2,147: no help to anyone who has five guesses.
fn truncate(mac: &[u8; 32]) -> u32 {
    let at = usize::from(mac[31] & 0x0f);
    u32::from_be_bytes([mac[at], mac[at + 1], mac[at + 2], mac[at + 3]]) & 0x7fff_ffff
}

#[cfg(test)]
mod tests;
