//! Finding out what a decision needs.

use domain::{
    evidence::{Fact, Need},
    ids::StreamId,
    secret::Secret,
    time::Timestamp,
};

use super::{Engine, ExecuteError, Request};

impl Engine {
    pub(super) async fn found_out(
        &self,
        stream: &StreamId,
        need: &Need,
        request: &Request,
        now: Timestamp,
    ) -> Result<Fact, ExecuteError> {
        let hasher = &self.inner.parts.hasher;
        Ok(match need {
            Need::PasswordMatches { hash, entered } => {
                Fact::PasswordMatches(hasher.password_matches(hash, entered).await?)
            }
            Need::PasswordHash { new } => Fact::PasswordHash(hasher.hash_password(new).await?),
            // A code of an erased account, or of one that never had a key, is a code that nobody can know.
            Need::Code(challenge) => Fact::Code(match self.keys().key(stream).await? {
                Some(key) => key.one_time_code(challenge),
                None => Secret::new(String::new()),
            }),
            Need::RecoveryCodeHash { set, entered } => {
                Fact::RecoveryCodeHash(hasher.recovery_code_hash(set, entered).await?)
            }
            Need::FreshRecoveryCodes { count } => Fact::FreshRecoveryCodes(hasher.fresh_recovery_codes(*count).await?),
            Need::Allowance(charges) => Fact::Allowance(self.limiter().charge(charges, now).await?),
            Need::EmailClaim(email) => match stream {
                StreamId::Account(account) => Fact::EmailClaim(self.claim(email, *account, request).await?),
                _ => return Err(ExecuteError::Internal("only an account claims an address".to_owned())),
            },
        })
    }
}
