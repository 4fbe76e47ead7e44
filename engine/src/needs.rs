//! Finding out what a decision needs.

use domain::{
    evidence::{Fact, Need},
    ids::StreamId,
    secret::Secret,
    time::Timestamp,
    values::TotpSecret,
};

use crate::{Engine, ExecuteError, Request};

impl Engine {
    pub(crate) async fn found_out(
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
            Need::ImportedCode { hashes, entered } => Fact::ImportedCode(hasher.imported_code(hashes, entered).await?),
            Need::FreshRecoveryCodes { count } => Fact::FreshRecoveryCodes(hasher.fresh_recovery_codes(*count).await?),
            // By the clock, not by the stream's own time: the limits are of many streams.
            Need::Allowance(charges) => Fact::Allowance(self.limiter().charge(charges, self.now()).await?),
            // An account that is not there, or erased, was offered nothing: no entered key has no bytes.
            Need::OfferedTotpKey { account_id, method_id, half_hour } => {
                Fact::OfferedTotpKey(match self.keys().key(stream).await? {
                    Some(key) => key.offered_totp_key(*account_id, *method_id, *half_hour),
                    None => TotpSecret::new(Vec::new()),
                })
            }
            Need::AccountNumber => Fact::AccountNumber(self.next_number(request).await?),
            Need::EmailClaim(email) => match stream {
                StreamId::Account(account) => Fact::EmailClaim(self.claim(email, *account, request, now).await?),
                _ => return Err(ExecuteError::Internal("only an account claims an address".to_owned())),
            },
        })
    }
}
