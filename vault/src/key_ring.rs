//! The key ring: the keys that wrap every data key, and the look-up key.

use std::{collections::BTreeMap, fmt};

use runtime::Runtime;
use zeroize::Zeroizing;

use crate::{
    DataKey, VaultError, data_key,
    derive::{hmac_sha256, subkey},
};

pub(crate) type Key = Zeroizing<[u8; 32]>;

/// Numbered 256-bit keys, one of them current, and the look-up key.
///
/// Data keys are wrapped by the current key; older keys stay to open what they wrapped. The look-up key
/// is its own and never rotated: keyed hashes of addresses are names of streams, and stay where they are.
#[derive(Clone)]
pub struct KeyRing {
    pub(crate) current: u32,
    pub(crate) keys: BTreeMap<u32, Key>,
    pub(crate) lookup: Key,
    /// Draws new keys, and the nonces of the keys that are wrapped or opened here.
    pub(crate) runtime: Runtime,
}

impl KeyRing {
    /// A fresh ring with key number 1 and a look-up key.
    pub fn generate(runtime: &Runtime) -> Result<Self, VaultError> {
        let keys = BTreeMap::from([(1, runtime.random_bytes()?)]);
        Ok(Self { current: 1, keys, lookup: runtime.random_bytes()?, runtime: runtime.clone() })
    }

    /// Number of the key that wraps from now on.
    pub fn current(&self) -> u32 {
        self.current
    }

    /// Numbers of all keys, in order.
    pub fn numbers(&self) -> impl Iterator<Item = u32> + '_ {
        self.keys.keys().copied()
    }

    /// Adds a key and makes it the current one; returns its number. The ring must be saved before anything
    /// is wrapped by it.
    pub fn rotate(&mut self) -> Result<u32, VaultError> {
        let last = self.keys.keys().next_back().copied().unwrap_or(0);
        let next = last.checked_add(1).ok_or(VaultError::Malformed("key ring: no number left"))?;
        self.keys.insert(next, self.runtime.random_bytes()?);
        self.current = next;
        Ok(next)
    }

    /// Whether this is the other ring, rotated: all its keys and its look-up key are here.
    pub fn continues(&self, other: &Self) -> bool {
        use subtle::ConstantTimeEq;
        let same = |one: &Key, two: &Key| bool::from(one.ct_eq(&**two));
        let holds = |(number, key): (&u32, &Key)| self.keys.get(number).is_some_and(|own| same(own, key));
        same(&self.lookup, &other.lookup) && other.keys.iter().all(holds)
    }

    /// Wraps a stream's data key by the current key; returns that key's number and the wrapped bytes.
    pub fn wrap(&self, stream: &str, key: &DataKey) -> Result<(u32, Vec<u8>), VaultError> {
        let wrapping = self.wrapping_key(self.current)?;
        let bytes = data_key::seal(&self.runtime, &wrapping, &place(stream, &self.current.to_be_bytes()), key.bytes())?;
        Ok((self.current, bytes))
    }

    /// Opens a stream's data key. A wrapped key that was moved to another stream does not open.
    pub fn unwrap(&self, stream: &str, ring_key: u32, bytes: &[u8]) -> Result<DataKey, VaultError> {
        let wrapping = self.wrapping_key(ring_key)?;
        let opened = data_key::open(&wrapping, &place(stream, &ring_key.to_be_bytes()), bytes)?;
        let key: &[u8; 32] = opened.as_slice().try_into().map_err(|_| VaultError::Malformed("data key"))?;
        Ok(DataKey::from_bytes(&self.runtime, key))
    }

    fn wrapping_key(&self, number: u32) -> Result<Key, VaultError> {
        let key = self.keys.get(&number).ok_or(VaultError::UnknownRingKey(number))?;
        Ok(subkey(key, "countersign/v1/wrap"))
    }

    /// Keyed hash of a value that is looked up but must not be stored: HMAC-SHA-256 under a subkey per label.
    /// The same value under two labels has two unrelated hashes.
    pub fn lookup_hash(&self, label: &str, value: &str) -> [u8; 32] {
        hmac_sha256(&subkey(&self.lookup, &format!("countersign/v1/look-up/{label}")), value.as_bytes())
    }

    /// A key for data that belongs to no stream and may be lost (the inbox, limiter rows). Derived from
    /// the look-up key, so that a rotation of the ring does not make it unreadable.
    pub fn service_key(&self, label: &str) -> DataKey {
        DataKey::from_bytes(&self.runtime, &subkey(&self.lookup, &format!("countersign/v1/service/{label}")))
    }
}

fn place<'a>(stream: &'a str, number: &'a [u8; 4]) -> [&'a [u8]; 2] {
    [stream.as_bytes(), number]
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyRing(current {}, {} keys)", self.current, self.keys.len())
    }
}

#[cfg(test)]
mod tests;
