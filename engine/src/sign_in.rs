//! Signing in by address: an unknown one takes as long and is answered the same as a wrong password.
//!
//! The limiter is asked first, then the password is compared, and only then the account's own queue is entered: who
//! waits for the pool of hashes keeps no other command of the account waiting.

use std::time::Duration;

use domain::{
    account::is_long_code,
    commands::Command,
    evidence::{Evidence, PasswordMatches, Question},
    ids::{AccountId, DeviceId, StreamId, VerificationId},
    limits::{self, Charge},
    outcome::Refusal,
    secret::{SecretText, to_hex},
    time::Seconds,
    values::{Caller, EmailAddress, EnteredCode, Purpose, Scope, Side, normalize_long_code},
};
use runtime::Instant;
use schemas::envelope::Position;
use vault::Asker;

use crate::{Engine, ExecuteError, Executed, Request, execute::Manner};

/// Failing answers leave at multiples of this since the request began. It is well above what looking up,
/// hashing and appending take together, so that none of these can be read off the answer's time.
const GRID: Duration = Duration::from_millis(100);

/// What comes with a password.
#[derive(Debug, Clone)]
pub struct PasswordSignIn {
    /// Of whom.
    pub email: EmailAddress,
    /// The password.
    pub password: SecretText,
    /// The code from the mail that went out when a sign-in was refused.
    pub opening_code: Option<EnteredCode>,
}

/// What the limits let a password be looked at for.
struct Admission {
    /// What it was charged; first, the bucket of the place that it comes from.
    charges: Vec<Charge>,
    /// Whether it comes from a place or device from which somebody finished a sign-in to the address before, or from
    /// whoever reads the mailbox.
    is_known: bool,
}

impl Engine {
    /// Signs in with address and password. The account is told for an accepted sign-in only.
    pub async fn sign_in(
        &self,
        sign_in: PasswordSignIn,
        request: &Request,
    ) -> Result<(Option<AccountId>, Executed), ExecuteError> {
        let begun = self.runtime().instant();
        if matches!(request.caller, Caller::ApiClient(..)) && !request.caller.has(Scope::SessionsIssue) {
            // The account's rules say the same, but only of an account that is there.
            return Ok((None, refused(Refusal::Forbidden)));
        }
        let answer = self.signed_in(sign_in, request).await;
        if !matches!(&answer, Ok((Some(_), _))) {
            self.wait_for_grid(begun).await;
        }
        answer
    }

    async fn signed_in(
        &self,
        sign_in: PasswordSignIn,
        request: &Request,
    ) -> Result<(Option<AccountId>, Executed), ExecuteError> {
        let PasswordSignIn { email, password, opening_code } = sign_in;
        let account = self.account_of(&email).await?;
        if let Some(executed) = self.replay(request).await? {
            return Ok((account, executed));
        }
        let admission = match self.admitted(account, &email, opening_code.as_ref(), request).await? {
            Ok(admission) => admission,
            Err(retry_after) => {
                metrics::counter!("countersign_refusals", "code" => "rate_limited").increment(1);
                return Ok((None, refused(Refusal::RateLimited { retry_after })));
            }
        };
        let evidence = match self.compared(account, &password, admission.is_known, request).await {
            Ok(evidence) => evidence,
            Err(error) => {
                // Nothing was looked at.
                self.limiter().refund(&admission.charges, self.now()).await?;
                if matches!(error, ExecuteError::Busy) && !admission.is_known {
                    self.mail_an_opening(account, request).await?;
                }
                return Err(error);
            }
        };
        let executed = if let Some(account) = account {
            let rejections = match admission.charges.first() {
                Some(charge) => self.limiter().count(charge, self.now()).await?,
                None => 0,
            };
            let command = Command::SignIn { password: Some(password), rejections };
            let manner = Manner { keep_no_refusal: true };
            self.execute_knowing(account, &command, request, manner, evidence).await?
        } else {
            metrics::counter!("countersign_refusals", "code" => "wrong_credentials").increment(1);
            refused(Refusal::WrongCredentials)
        };
        if let Err(Refusal::WrongCredentials) = &executed.outcome {
            return Ok((None, nowhere(executed)));
        }
        // The password was right; what else stands against it is no guess.
        self.limiter().refund(&admission.charges, self.now()).await?;
        Ok((account, executed))
    }

    /// What the limits say before a password is looked at. Whoever they refuse, and who may be the owner, gets a mail
    /// whose code opens the sign-in, so that nobody is kept out by the guesses of others.
    async fn admitted(
        &self,
        account: Option<AccountId>,
        email: &EmailAddress,
        opening_code: Option<&EnteredCode>,
        request: &Request,
    ) -> Result<Result<Admission, Seconds>, ExecuteError> {
        let (limits, origin) = (&self.policy().limits, &request.origin);
        let opened = self.opened_by(account, opening_code, request).await?;
        let (mut charges, is_known) = if let Some(mail) = opened {
            (limits::opened_sign_in(limits, mail), true)
        } else if let Some(device) = self.known_device(account, request).await? {
            (limits::password_attempt(limits, email, &device.to_string()), true)
        } else if self.is_known_network(email, request).await? {
            (limits::password_attempt(limits, email, &origin.network()), true)
        } else {
            (limits::password_of_a_source(limits, email, &request.caller, origin), false)
        };
        let word = if is_known {
            self.charged(&charges).await?
        } else {
            // Many sources may ask for one address: that it has none left costs no look-up. It is charged alone, so
            // that it is known to be what is full.
            let of_all = limits::password_of_a_stranger(limits, email);
            let word = match self.limiter().exhausted(&of_all, self.now()) {
                Some(wait) => Err(wait),
                None => match self.charged(&charges).await? {
                    Ok(()) => match self.charged(&of_all).await? {
                        Ok(()) => Ok(()),
                        Err(wait) => {
                            self.limiter().refund(&charges, self.now()).await?;
                            Err(wait)
                        }
                    },
                    Err(wait) => Err(wait),
                },
            };
            charges.extend(of_all);
            word
        };
        if word.is_err() && opened.is_none() {
            self.mail_an_opening(account, request).await?;
        }
        Ok(word.map(|()| Admission { charges, is_known }))
    }

    async fn charged(&self, charges: &[Charge]) -> Result<Result<(), Seconds>, ExecuteError> {
        Ok(self.limiter().charge(charges, self.now()).await?)
    }

    /// The mail whose code was presented. Where there is no account, or none was mailed, no code is right.
    async fn opened_by(
        &self,
        account: Option<AccountId>,
        code: Option<&EnteredCode>,
        request: &Request,
    ) -> Result<Option<VerificationId>, ExecuteError> {
        let Some(entered) = code.and_then(|code| normalize_long_code(code.expose())) else { return Ok(None) };
        let mail = self.mail_of_an_opening(account, &entered).await?;
        if mail.is_none() {
            // Counted when it is wrong, and never in the way of a right one: who shares the source must not use up what
            // its owner reads in the mailbox.
            let _ = self.charged(&limits::long_code_attempt(&self.policy().limits, &request.origin)).await?;
        }
        Ok(mail)
    }

    async fn mail_of_an_opening(
        &self,
        account: Option<AccountId>,
        entered: &SecretText,
    ) -> Result<Option<VerificationId>, ExecuteError> {
        let Some(account) = account else { return Ok(None) };
        let loaded = self.load(account).await?;
        let Some(key) = self.keys().key(&StreamId::Account(account)).await? else { return Ok(None) };
        let now = loaded.now(self.runtime());
        let mut codes = loaded.state.long_codes(Purpose::OpenSignIn, now);
        let mail = codes.find(|challenge| is_long_code(&key.long_code(challenge), entered));
        Ok(mail.map(|mail| mail.verification_id))
    }

    /// The device of an earlier sign-in to the account.
    async fn known_device(
        &self,
        account: Option<AccountId>,
        request: &Request,
    ) -> Result<Option<DeviceId>, ExecuteError> {
        let (Some(account), Some(device)) = (account, &request.origin.device) else { return Ok(None) };
        let loaded = self.load(account).await?;
        let side = loaded.state.side_of(&Caller::Anonymous, &request.origin, None, loaded.now(self.runtime()));
        Ok((side == Side::KnownDevices).then_some(device.id))
    }

    /// Whether somebody finished a sign-in to the address from there before.
    async fn is_known_network(&self, email: &EmailAddress, request: &Request) -> Result<bool, ExecuteError> {
        // The network of an API client that does not say for whom it asks is the place of all its users, and of whoever
        // guesses through it.
        if matches!(request.caller, Caller::ApiClient(..)) && request.origin.end_user_ip.is_none() {
            return Ok(false);
        }
        let (address_hash, network_hash) = self.place(email, request);
        Ok(self.limiter().is_known_network(&address_hash, &network_hash).await?)
    }

    /// A sign-in was refused whose owner might be there: a mail carries a code that opens it. Whoever asks, and whether
    /// or not there is an account, the answer is the same.
    async fn mail_an_opening(&self, account: Option<AccountId>, request: &Request) -> Result<(), ExecuteError> {
        let charges = limits::mail(&self.policy().limits, &request.origin);
        if self.limiter().charge(&charges, self.now()).await?.is_err() {
            return Ok(());
        }
        let Some(account) = account else { return Ok(()) };
        let loaded = self.load(account).await?;
        // Asked of memory first: many who are refused must not stand in the account's queue.
        if !loaded.state.was_just_mailed(Purpose::OpenSignIn, loaded.now(self.runtime())) {
            let id = self.runtime().entropy()?.uuid(self.now(), "mail that opens a sign-in");
            let command = Command::OpenSignIn { verification_id: VerificationId(id) };
            self.execute_quietly(account, &command, request).await?;
        }
        Ok(())
    }

    /// Compares the password, or does the same work for an account that is not there.
    async fn compared(
        &self,
        account: Option<AccountId>,
        password: &SecretText,
        is_known: bool,
        request: &Request,
    ) -> Result<Evidence, ExecuteError> {
        let hasher = self.inner.parts.hasher.on_behalf_of(Asker { source: request.origin.network(), is_known });
        let mut evidence = Evidence::new();
        let Some(account) = account else {
            hasher.spend_like_a_password(password).await?;
            return Ok(evidence);
        };
        let state = self.load(account).await?.state;
        let hash = state.password_asked_for().map_err(|_| ExecuteError::unreadable(account))?;
        let matches = hasher.password_matches(&hash, password).await?;
        evidence.add(PasswordMatches { hash, entered: password.clone() }.answered(matches));
        Ok(evidence)
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

fn refused(refusal: Refusal) -> Executed {
    Executed { outcome: Err(refusal), position: Position::START, replayed: false }
}

/// Without the place: where an account's stream stands would say that there is one.
pub(crate) fn nowhere(executed: Executed) -> Executed {
    Executed { position: Position::START, ..executed }
}
