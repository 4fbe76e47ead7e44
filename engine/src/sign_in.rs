//! Signing in by address: an unknown one takes as long and is answered the same as a wrong password.

use std::time::Duration;

use domain::{
    commands::Command,
    ids::AccountId,
    limits,
    outcome::Refusal,
    secret::{SecretText, to_hex},
    values::{Caller, EmailAddress, Scope},
};
use runtime::Instant;
use schemas::envelope::Position;

use crate::{Engine, ExecuteError, Executed, Request, execute::Manner};

/// Failing answers leave at multiples of this since the request began. It is well above what looking up,
/// hashing and appending take together, so that none of these can be read off the answer's time.
const GRID: Duration = Duration::from_millis(100);

impl Engine {
    /// Signs in with address and password. The account is told for an accepted sign-in only.
    pub async fn sign_in(
        &self,
        email: &EmailAddress,
        password: SecretText,
        request: &Request,
    ) -> Result<(Option<AccountId>, Executed), ExecuteError> {
        let begun = self.runtime().instant();
        if matches!(request.caller, Caller::ApiClient(..)) && !request.caller.has(Scope::SessionsIssue) {
            // The account's rules say the same, but only of an account that is there.
            let outcome = Err(Refusal::Forbidden);
            return Ok((None, Executed { outcome, position: Position::START, replayed: false }));
        }
        let address = self.stream_of(email).await?;
        // Known or not, attempts on one address take turns: parallel ones must not tell them apart either.
        let _turn = self.inner.sign_ins.turn(&address).await;
        let account = self.account_of(email).await?;
        if let Some(executed) = self.replay(request).await? {
            return Ok((account, executed));
        }
        let now = self.now();
        let (address_hash, network_hash) = self.place(email, request);
        let is_known = self.limiter().is_known_network(&address_hash, &network_hash).await?;
        let charges = limits::password_attempt(&self.policy().limits, email, &request.origin, is_known);
        if let Err(retry_after) = self.limiter().charge(&charges, now).await? {
            let outcome = Err(Refusal::RateLimited { retry_after });
            metrics::counter!("countersign_refusals", "code" => "rate_limited").increment(1);
            return Ok((None, Executed { outcome, position: Position::START, replayed: false }));
        }
        let executed = if let Some(account) = account {
            let rejections = match charges.first() {
                Some(charge) => self.limiter().count(charge, now).await?,
                None => 0,
            };
            let command = Command::SignIn { password: Some(password), rejections };
            let manner = Manner { keep_no_refusal: true };
            self.execute_account(account, &command, request, manner).await?
        } else {
            self.inner.parts.hasher.spend_like_a_password(&password).await?;
            metrics::counter!("countersign_refusals", "code" => "wrong_credentials").increment(1);
            let outcome = Err(Refusal::WrongCredentials);
            Executed { outcome, position: Position::START, replayed: false }
        };
        if let Err(Refusal::WrongCredentials) = &executed.outcome {
            self.wait_for_grid(begun).await;
            return Ok((None, nowhere(executed)));
        }
        // The password was right; what else stands against it is no guess.
        self.limiter().refund(&charges, now).await?;
        Ok((account, executed))
    }

    /// Remembers from where a sign-in was finished: whoever has the password alone makes no network known.
    pub(crate) async fn remember_place(&self, email: &EmailAddress, request: &Request) -> Result<(), ExecuteError> {
        let (address_hash, network_hash) = self.place(email, request);
        Ok(self.limiter().remember_network(&address_hash, &network_hash, self.now()).await?)
    }

    /// An address and the network that the request came from, as the limiter keeps them.
    pub(crate) fn place(&self, email: &EmailAddress, request: &Request) -> (String, String) {
        let network = self.keys().ring().lookup_hash("network", &request.origin.network());
        (self.address_hash(email), to_hex(&network))
    }

    pub(crate) async fn wait_for_grid(&self, begun: Instant) {
        let step = GRID.as_micros();
        let until = (self.runtime().since(begun).as_micros() / step + 1) * step;
        let until = Duration::from_micros(u64::try_from(until).unwrap_or(u64::MAX));
        self.runtime().sleep_until(begun + until).await;
    }
}

/// Without the place: where an account's stream stands would say that there is one.
pub(crate) fn nowhere(executed: Executed) -> Executed {
    Executed { position: Position::START, ..executed }
}
