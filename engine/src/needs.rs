//! Finding out what a decision needs.

use domain::{
    evidence::{Fact, Need, Question},
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
        need: Need,
        request: &Request,
        now: Timestamp,
    ) -> Result<Fact, ExecuteError> {
        let hasher = &self.inner.parts.hasher;
        Ok(match need {
            Need::PasswordMatches(question) => {
                let matches = hasher.password_matches(&question.hash, &question.entered).await?;
                question.answered(matches)
            }
            Need::NewPasswordHash(question) => {
                let hash = hasher.hash_password(&question.new).await?;
                question.answered(hash)
            }
            // A code of an erased account, or of one that never had a key, is a code that nobody can know.
            Need::SentCode(question) => {
                let key = self.keys().key(stream).await?;
                let code = key.map_or_else(|| Secret::new(String::new()), |key| key.one_time_code(&question.0));
                question.answered(code)
            }
            Need::TotpAttempt(attempt) => attempt.judged(),
            Need::EnteredCodeHash(question) => {
                let hash = hasher.recovery_code_hash(&question.set, &question.entered).await?;
                question.answered(hash)
            }
            Need::ImportedCode(question) => {
                let place = hasher.imported_code(&question.hashes, &question.entered).await?;
                question.answered(place)
            }
            Need::NewRecoveryCodes(question) => {
                let fresh = hasher.fresh_recovery_codes(question.count).await?;
                question.answered(fresh)
            }
            // By the clock, not by the stream's own time: the limits are of many streams.
            Need::Allowance(question) => {
                let word = self.limiter().charge(&question.0, self.now()).await?;
                question.answered(word)
            }
            // An account that is not there, or erased, was offered nothing: no entered key has no bytes.
            Need::OfferedTotpKey(question) => {
                let secret = match self.keys().key(stream).await? {
                    Some(key) => key.offered_totp_key(question.account_id, question.method_id, question.half_hour),
                    None => TotpSecret::new(Vec::new()),
                };
                question.answered(secret)
            }
            Need::UndoSecret(question) => {
                let secret = self.keys().key(stream).await?.map(|key| key.email_undo_secret(question.0));
                question.answered(secret)
            }
            Need::NextAccountNumber(question) => question.answered(self.next_number(request).await?),
            Need::AddressClaim(question) => match stream {
                StreamId::Account(account) => {
                    let claim = self.claim(&question.0, *account, request, now).await?;
                    question.answered(claim)
                }
                _ => return Err(ExecuteError::Internal("only an account claims an address".to_owned())),
            },
        })
    }
}
