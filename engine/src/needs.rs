//! Finding out what a decision needs.

use domain::{
    evidence::{Fact, LongCode, Need, OfferedTotpKey, Question},
    ids::StreamId,
    secret::Secret,
    time::Timestamp,
    values::{Caller, TotpSecret},
};

use vault::Asker;

use crate::{Engine, ExecuteError, Request};

impl Engine {
    pub(crate) async fn found_out(
        &self,
        stream: &StreamId,
        need: Need,
        request: &Request,
        now: Timestamp,
    ) -> Result<Fact, ExecuteError> {
        let is_known = request.caller != Caller::Anonymous;
        // Most needs are met without it, those of every second factor among them.
        let hasher = || self.inner.parts.hasher.on_behalf_of(Asker { source: request.origin.network(), is_known });
        Ok(match need {
            Need::PasswordMatches(question) => {
                let matches = hasher().password_matches(&question.hash, &question.entered).await?;
                question.answered(matches)
            }
            Need::GuessedSoon(question) => hasher().beside(move || question.estimated()).await?,
            Need::NewPasswordHash(question) => {
                let hash = hasher().hash_password(&question.new).await?;
                question.answered(hash)
            }
            // A code of an erased account, or of one that is not there, is a code that nobody can know.
            Need::SentCode(question) => {
                let key = self.keys().key(stream).await?;
                let code = key.map_or_else(|| Secret::new(String::new()), |key| key.one_time_code(&question.0));
                question.answered(code)
            }
            Need::LongCode(question) => {
                let code = match &question {
                    LongCode::OfAccount(challenge) => {
                        let key = self.keys().key(stream).await?;
                        key.map_or_else(|| Secret::new(String::new()), |key| key.long_code(challenge))
                    }
                    LongCode::OfAddress { address, window } => self.keys().ring().confirmation_code(address, *window),
                };
                question.answered(code)
            }
            Need::TotpAttempt(attempt) => attempt.judged(),
            Need::EnteredCodeHash(question) => {
                let hash = hasher().recovery_code_hash(&question.set, &question.entered).await?;
                question.answered(hash)
            }
            Need::ImportedCode(question) => {
                let place = hasher().imported_code(&question.hashes, &question.entered).await?;
                question.answered(place)
            }
            Need::NewRecoveryCodes(question) => {
                let fresh = hasher().fresh_recovery_codes(question.count).await?;
                question.answered(fresh)
            }
            // By the clock, not by the stream's own time: the limits are of many streams.
            Need::Allowance(question) => {
                let word = self.limiter().charge(&question.0, self.now()).await?;
                question.answered(word)
            }
            Need::SecondFactorsLeft(question) => {
                let word = self.limiter().exhausted(&question.0.0, self.now()).map_or(Ok(()), Err);
                question.answered(word)
            }
            // A wrong code is told and recorded even where this count is out of reach: were it not, whoever took the
            // limiter down could tell wrong codes from right ones without a count anywhere.
            Need::WrongSecondFactor(question) => {
                metrics::counter!("countersign_wrong_second_factors_total").increment(1);
                if let Err(error) = self.limiter().charge(&question.0.0, self.now()).await {
                    tracing::warn!(%error, "a wrong second factor was not counted for its source");
                }
                question.answered(())
            }
            // An account that is erased was offered nothing: no entered key has no bytes.
            Need::OfferedTotpKey(question) => {
                let OfferedTotpKey { account_id, credential, random, ends } = question;
                let secret = match self.key_of_a_history(stream).await? {
                    Some(key) => key.offered_totp_key(account_id, credential, random, ends),
                    None => TotpSecret::new(Vec::new()),
                };
                question.answered(secret)
            }
            Need::UndoSecret(question) => {
                let secret = self.keys().key(stream).await?.map(|key| key.email_undo_secret(question.0));
                question.answered(secret)
            }
            Need::NextAccountNumber(question) => question.answered(self.next_number(request).await?),
            // Where that cannot be told the owner is: the code was right, and a notice too many harms nobody.
            Need::KnownNetwork(question) => {
                let (address, network) = self.place(&question.0, request);
                let known = self.limiter().is_known_network(&address, &network).await.unwrap_or_else(|error| {
                    tracing::warn!(%error, "whether a network is known cannot be told");
                    false
                });
                question.answered(known)
            }
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
