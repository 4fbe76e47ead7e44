//! Slow hashes: passwords and recovery codes, on a pool that a burst of sign-ins cannot overrun.

mod argon;
mod imported;
mod pool;
mod queue;
mod recovery;

use std::{fmt, num::NonZero, sync::Arc, time::Duration};

use domain::{
    events::{RecoveryCodeHash, RecoveryCodeHashes},
    evidence::FreshRecoveryCodes,
    secret::{Secret, SecretText},
    values::PasswordHash,
};

use runtime::Runtime;

use crate::VaultError;
use pool::{Bounds, Pool};
use queue::Room;

pub use imported::{check_imported_codes, check_imported_password};
pub use queue::Asker;

/// What one argon2id hash costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Argon2Cost {
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Passes over it.
    pub passes: u32,
    /// Lanes.
    pub lanes: u32,
}

impl Argon2Cost {
    /// Passwords: 19 MiB, 2 passes, 1 lane (OWASP's first choice for argon2id).
    pub const PASSWORD: Self = Self { memory_kib: 19 * 1024, passes: 2, lanes: 1 };
    /// Recovery codes: 4 MiB, 1 pass, 1 lane. Their 80 random bits are what protects them; see ADR 0007.
    pub const RECOVERY_CODE: Self = Self { memory_kib: 4 * 1024, passes: 1, lanes: 1 };
}

/// How much hashing goes on at once.
#[derive(Debug, Clone, Copy)]
pub struct HasherConfig {
    /// Hashes at a time, each with memory of its own.
    pub threads: usize,
    /// Hashes that may wait for a thread: so many of those who are known, and so many of strangers. One more, or one of
    /// the source that has most, is told [`VaultError::Busy`].
    pub waiting: usize,
    /// Hashes of one source that may wait.
    pub waiting_per_source: usize,
    /// Cost of a new password's hash.
    pub password: Argon2Cost,
    /// Cost of a new recovery code's hash.
    pub recovery_code: Argon2Cost,
}

impl Default for HasherConfig {
    /// A thread per core, at most 16 (304 MiB), and 512 waiting, 16 of a source: with two cores the last of them is
    /// served after about six seconds.
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
        Self {
            threads: cores.min(16),
            waiting: 512,
            waiting_per_source: 16,
            password: Argon2Cost::PASSWORD,
            recovery_code: Argon2Cost::RECOVERY_CODE,
        }
    }
}

/// How long memory is kept without work for it: between sign-ins of a busy minute, not through a quiet one.
const IDLE: Duration = Duration::from_secs(3);

/// Hashes passwords and recovery codes (argon2id) beside everything else; cheap to clone.
///
/// Bounds of its own before the machine's blocking pool: that one has none on waiters, and here the memory for a
/// hash is kept for the next one instead of being asked for 19 MiB at a time. What lies unused for some seconds is
/// given back.
#[derive(Clone)]
pub struct Hasher {
    pool: Arc<Pool>,
    password: Argon2Cost,
    recovery_code: Argon2Cost,
    runtime: Runtime,
    asker: Arc<Asker>,
}

impl Hasher {
    /// Begins nothing yet: threads are asked for while there is something to hash.
    pub fn new(config: HasherConfig, runtime: &Runtime) -> Self {
        let HasherConfig { threads, waiting, waiting_per_source, password, recovery_code } = config;
        let waiting = Room { lane: waiting, source: waiting_per_source };
        let usual = usize::try_from(password.memory_kib.max(recovery_code.memory_kib)).unwrap_or(usize::MAX);
        let pool = Pool::new(Bounds { threads, waiting, usual, idle: IDLE }, runtime.clone());
        let asker = Arc::new(Asker::ourselves());
        Self { pool: Arc::new(pool), password, recovery_code, runtime: runtime.clone(), asker }
    }

    /// The same pool for somebody's work.
    #[must_use]
    pub fn on_behalf_of(&self, asker: Asker) -> Self {
        Self { asker: Arc::new(asker), ..self.clone() }
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut pool::Memory) -> T + Send + 'static,
    ) -> Result<T, VaultError> {
        self.pool.run(&self.asker, work).await
    }

    /// Memory that is held for hashes now, in KiB: a gauge for operators.
    pub fn held_kib(&self) -> usize {
        self.pool.held_kib()
    }

    /// Whether the entered password has this hash, by the parameters that stand in the hash.
    /// `Malformed` when it is not argon2id or its parameters are absurd.
    pub async fn password_matches(&self, hash: &PasswordHash, entered: &SecretText) -> Result<bool, VaultError> {
        let parsed = argon::Parsed::new(hash)?;
        let entered = entered.clone();
        self.run(move |memory| parsed.matches(&entered, memory)).await?
    }

    /// Other work that takes long, by the same bounds.
    pub async fn beside<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, VaultError> {
        self.run(|_| work()).await
    }

    /// The hash of a new password: PHC string, 16 bytes of salt, 32 of hash.
    pub async fn hash_password(&self, new: &SecretText) -> Result<PasswordHash, VaultError> {
        let (new, cost, salt) = (new.clone(), self.password, self.runtime.random_bytes()?);
        self.run(move |memory| argon::hash_password(&new, &salt, cost, memory)).await?
    }

    /// The same work as [`Self::password_matches`] for a password of ours, and no answer: for addresses that nobody has.
    pub async fn spend_like_a_password(&self, entered: &SecretText) -> Result<(), VaultError> {
        let (entered, cost) = (entered.clone(), self.password);
        self.run(move |memory| argon::spend(&entered, cost, memory)).await?
    }

    /// The hash of an entered recovery code (normalized: 16 characters, no hyphens) by a set's salt and cost.
    pub async fn recovery_code_hash(
        &self,
        set: &RecoveryCodeHashes,
        entered: &Secret<String>,
    ) -> Result<RecoveryCodeHash, VaultError> {
        let salt = recovery::Salt::of(set)?;
        let entered = entered.clone();
        self.run(move |memory| salt.hash(&entered, memory)).await?
    }

    /// Which of another system's recovery codes was entered: its place. All are compared in one turn of a thread,
    /// and a hash that cannot be read is one that no code has. What they cost together is bounded when they are
    /// taken over ([`check_imported_codes`]).
    pub async fn imported_code(&self, hashes: &[String], entered: &Secret<String>) -> Result<Option<u32>, VaultError> {
        let (hashes, entered) = (imported::parsed(hashes), entered.clone());
        self.run(move |memory| imported::place(&hashes, &entered, memory)).await
    }

    /// A fresh set of recovery codes with their hashes, under one fresh salt.
    pub async fn fresh_recovery_codes(&self, count: u32) -> Result<FreshRecoveryCodes, VaultError> {
        let (drawn, cost) = (recovery::Drawn::by(&self.runtime, count)?, self.recovery_code);
        self.run(move |memory| recovery::fresh(&drawn, cost, memory)).await?
    }
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hasher").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
