//! Maps that hash.
//!
//! A map whose hashes are seeded by the process itself walks its keys, and drops some of them when it is full, in
//! another order at every start. So a map here is a `BTreeMap`, and where one must be large and forget, it is a
//! [`Cache`]: its seed comes from the machine. A stranger who may choose keys cannot aim at one place of it, and
//! the same machine with the same seed forgets the same keys.

use std::hash::{BuildHasher, DefaultHasher, Hash, Hasher};

use quick_cache::{
    OptionsBuilder, UnitWeighter,
    sync::{Cache as Sharded, DefaultLifecycle},
};

use crate::Runtime;

/// Makes hashers of one seed.
#[derive(Clone, Copy)]
pub struct HashSeed([u8; 16]);

impl HashSeed {
    pub(crate) const fn new(seed: [u8; 16]) -> Self {
        Self(seed)
    }
}

impl BuildHasher for HashSeed {
    type Hasher = DefaultHasher;
    fn build_hasher(&self) -> DefaultHasher {
        // SipHash with a known key; what it has taken in first is not known, which is as good as a key.
        let mut hasher = DefaultHasher::new();
        hasher.write(&self.0);
        hasher
    }
}

impl std::fmt::Debug for HashSeed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[hash seed]")
    }
}

/// Parts with a lock each. A number of its own rather than one by the cores: which keys make room for others
/// depends on it.
const PARTS: usize = 64;

/// Keeps so many values, those that are asked for rather than others.
pub struct Cache<K, V>(Sharded<K, V, UnitWeighter, HashSeed, DefaultLifecycle<K, V>>);

impl<K: Eq + Hash + Clone, V: Clone> Cache<K, V> {
    /// An empty one.
    #[expect(clippy::expect_used, clippy::missing_panics_doc, reason = "only a missing capacity is refused")]
    pub fn new(runtime: &Runtime, capacity: usize) -> Self {
        let weight = u64::try_from(capacity).unwrap_or(u64::MAX);
        let mut options = OptionsBuilder::new();
        let options = options.shards(PARTS).estimated_items_capacity(capacity).weight_capacity(weight);
        let options = options.build().expect("both capacities are given");
        Self(Sharded::with_options(options, UnitWeighter, runtime.hash_seed(), DefaultLifecycle::default()))
    }

    /// The value of a key, which counts as asking for it.
    pub fn get(&self, key: &K) -> Option<V> {
        self.0.get(key)
    }

    /// The value of a key, which does not.
    pub fn peek(&self, key: &K) -> Option<V> {
        self.0.peek(key)
    }

    /// Keeps a value in place of the key's last.
    pub fn insert(&self, key: K, value: V) {
        self.0.insert(key, value);
    }

    /// Forgets a key.
    pub fn remove(&self, key: &K) {
        self.0.remove(key);
    }

    /// How many are kept.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
