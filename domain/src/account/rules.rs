//! What several rules ask: who is there, what the account's standing is, what the evidence says.

use crate::{
    decision::{Context, Ruling},
    events::{AccessTokenRevoked, Event, RevocationReason, SessionRevoked},
    evidence::{
        AddressClaim, Allowance, Claim, Evidence, FreshRecoveryCodes, NewPasswordHash, NewRecoveryCodes,
        NextAccountNumber, PasswordMatches, Question, SentCode,
    },
    ids::{AccessTokenId, AccountNumber, SessionId, VerificationId},
    limits::Charge,
    outcome::Refusal,
    personal::Personal,
    secret::SecretText,
    state::{Account, Phase, Progress, Session, Verification},
    time::{Seconds, Timestamp},
    values::{Aal, Caller, Challenge, Credential, EmailAddress, PasswordHash, Purpose, Scope},
};

/// One state, one context and what is known: what every rule reads.
#[derive(Clone, Copy)]
pub(super) struct Rules<'a> {
    pub(super) state: &'a Account,
    pub(super) context: &'a Context<'a>,
    pub(super) evidence: &'a Evidence,
}

pub(super) fn invalid(field: &str, detail: &str) -> Refusal {
    Refusal::Invalid { field: field.to_owned(), detail: detail.to_owned() }
}

/// The value. One that does not open is not absent: whatever it would have decided stays undecided.
pub(super) fn readable<T>(value: &Personal<T>) -> Ruling<&T> {
    value.known().ok_or_else(|| Refusal::Unreadable.into())
}

impl Rules<'_> {
    pub(super) fn now(&self) -> Timestamp {
        self.context.now
    }

    /// Seconds until `at`, as told to callers: at least 1.
    pub(super) fn until(&self, at: Timestamp) -> Seconds {
        Seconds(at.seconds_since(self.now()).max(1))
    }

    /// The account is there and its address is confirmed.
    pub(super) fn confirmed(&self) -> Ruling<()> {
        match self.state.phase {
            Phase::Confirmed => Ok(()),
            Phase::Unconfirmed { expires_at } if self.now() < expires_at => Err(Refusal::EmailNotVerified.into()),
            _ => Err(Refusal::NotFound.into()),
        }
    }

    pub(super) fn email(&self) -> Ruling<&EmailAddress> {
        readable(self.state.email.as_ref().ok_or(Refusal::NotFound)?)
    }

    /// The credential the caller acts with: a live session or access token of this account, or an API
    /// client that may write accounts.
    pub(super) fn credential(&self) -> Ruling<Credential> {
        let credential = self.credential_or_limited()?;
        if self.state.limited_by(credential).is_some() {
            return Err(Refusal::Forbidden.into());
        }
        Ok(credential)
    }

    /// The same for the few things that a session begun with support's recovery code may do too: enroll a method,
    /// set the password, sign out.
    pub(super) fn credential_or_limited(&self) -> Ruling<Credential> {
        match self.context.caller {
            Caller::Session(id) if self.credential_lives(Credential::Session(*id)) => Ok(Credential::Session(*id)),
            Caller::AccessToken(id) if self.credential_lives(Credential::AccessToken(*id)) => {
                Ok(Credential::AccessToken(*id))
            }
            Caller::ApiClient(id, scopes) if scopes.contains(&Scope::AccountsWrite) => Ok(Credential::ApiClient(*id)),
            Caller::ApiClient(..) | Caller::Worker | Caller::Operator => Err(Refusal::Forbidden.into()),
            _ => Err(Refusal::Unauthenticated.into()),
        }
    }

    /// The caller's session or access token: what the account's owner acts with.
    pub(super) fn owner(&self) -> Ruling<Credential> {
        match self.credential()? {
            Credential::ApiClient(_) => Err(Refusal::Forbidden.into()),
            own => Ok(own),
        }
    }

    /// As [`Self::owner`], a limited session included.
    pub(super) fn owner_or_limited(&self) -> Ruling<Credential> {
        match self.credential_or_limited()? {
            Credential::ApiClient(_) => Err(Refusal::Forbidden.into()),
            own => Ok(own),
        }
    }

    /// Whether a change of factors, address or tokens is possible at all: not while the holder of an undo's link has
    /// stopped them.
    pub(super) fn changes_are_possible(&self) -> Ruling<()> {
        match self.state.frozen_at(self.now()) {
            Some(freeze) => Err(Refusal::RateLimited { retry_after: self.until(freeze.until) }.into()),
            None => Ok(()),
        }
    }

    /// The caller's own session; with 2FA on it must be `aal2`.
    pub(super) fn strong_session(&self) -> Ruling<SessionId> {
        let Credential::Session(id) = self.owner()? else { return Err(Refusal::Forbidden.into()) };
        let aal = self.state.sessions.get(&id).map_or(Aal::Aal1, |session| session.aal);
        if self.state.two_factor_since.is_some() && aal < Aal::Aal2 {
            return Err(Refusal::VerificationRequired { purpose: Purpose::SignIn }.into());
        }
        Ok(id)
    }

    pub(super) fn support(&self) -> Ruling<()> {
        if self.context.caller.has(Scope::SupportWrite) || *self.context.caller == Caller::Operator {
            Ok(())
        } else {
            Err(Refusal::Forbidden.into())
        }
    }

    fn credential_lives(&self, credential: Credential) -> bool {
        self.state.is_live(credential, self.now())
    }

    /// A verification that the caller may drive: with its own token, or with the credential that started it.
    /// Anyone else's is not found.
    pub(super) fn driven(&self, id: VerificationId) -> Ruling<&Verification> {
        let verification = self.state.verifications.get(&id).ok_or(Refusal::NotFound)?;
        match self.context.caller {
            Caller::Verification(own) if *own == id => Ok(verification),
            Caller::Verification(_) | Caller::Anonymous => Err(Refusal::NotFound.into()),
            _ if verification.started_by == Some(self.credential()?) => Ok(verification),
            _ => Err(Refusal::NotFound.into()),
        }
    }

    /// The verification still waits for a code. It ends with the credential it belongs to.
    pub(super) fn open(&self, verification: &Verification) -> Ruling<()> {
        if verification.started_by.is_some_and(|credential| !self.credential_lives(credential)) {
            return Err(Refusal::VerificationExpired.into());
        }
        match verification.progress {
            Progress::Pending { expires_at } | Progress::HalfDone { expires_at } if self.now() < expires_at => Ok(()),
            Progress::Verified { .. } | Progress::Used { .. } => Err(Refusal::Conflict.into()),
            _ => Err(Refusal::VerificationExpired.into()),
        }
    }

    /// A completed verification of this purpose that the credential may use now; each is used once.
    pub(super) fn usable(&self, verification: &Verification, purpose: Purpose, credential: Credential) -> bool {
        let (from, policy) = (self.context.origin, self.context.policy);
        verification.purpose == purpose && self.state.authorizes(verification, credential, from, policy, self.now())
    }

    /// The answer to a question; without it the rule stops here.
    pub(super) fn answer<Q: Question>(&self, question: Q) -> Ruling<&Q::Answer> {
        Ok(self.evidence.answer_to(question)?)
    }

    /// The limiter's word.
    pub(super) fn allowed(&self, charges: Vec<Charge>) -> Ruling<()> {
        match self.answer(Allowance(charges))? {
            Ok(()) => Ok(()),
            Err(retry_after) => Err(Refusal::RateLimited { retry_after: *retry_after }.into()),
        }
    }

    pub(super) fn password_matches(&self, hash: &PasswordHash, entered: &SecretText) -> Ruling<bool> {
        Ok(*self.answer(PasswordMatches { hash: hash.clone(), entered: entered.clone() })?)
    }

    pub(super) fn password_hash(&self, new: &SecretText) -> Ruling<PasswordHash> {
        Ok(self.answer(NewPasswordHash { new: new.clone() })?.clone())
    }

    /// Whether these are the digits of the code that was sent.
    pub(super) fn code_matches(&self, challenge: Challenge, entered: &SecretText) -> Ruling<bool> {
        // A secret's equality takes the same time wherever two differ.
        Ok(self.answer(SentCode(challenge))? == entered)
    }

    pub(super) fn fresh_recovery_codes(&self) -> Ruling<FreshRecoveryCodes> {
        Ok(self.answer(NewRecoveryCodes { count: self.context.policy.recovery_codes })?.clone())
    }

    /// The number that the account to be is given.
    pub(super) fn account_number(&self) -> Ruling<AccountNumber> {
        Ok(*self.answer(NextAccountNumber)?)
    }

    /// Whether the account holds the address now. Evidence is good for half the time after which a claim
    /// that was not completed may be taken over.
    pub(super) fn claims(&self, email: &EmailAddress) -> Ruling<bool> {
        let good_for = self.context.policy.claim_takeover_after.0.div_ceil(2);
        match *self.answer(AddressClaim(email.clone()))? {
            Claim::HeldByAnother => Ok(false),
            Claim::Held { at } if self.now().seconds_since(at) < good_for => Ok(true),
            Claim::Held { .. } => Err(Refusal::Conflict.into()),
        }
    }

    /// Ends all sessions but the acting one, and what made their devices known.
    pub(super) fn end_other_sessions(&self, acting: Option<Credential>, reason: RevocationReason) -> Vec<Event> {
        let sessions = self.end_sessions(reason, |id, _| acting != Some(Credential::Session(id)));
        sessions.into_iter().chain(self.forget_other_devices(acting, reason)).collect()
    }

    pub(super) fn end_sessions(
        &self,
        reason: RevocationReason,
        which: impl Fn(SessionId, &Session) -> bool,
    ) -> Option<Event> {
        let ending = self.state.sessions.iter().filter(|(id, session)| which(**id, session));
        let session_ids: Vec<SessionId> = ending.map(|(id, _)| *id).collect();
        (!session_ids.is_empty()).then(|| SessionRevoked { session_ids, reason }.into())
    }

    /// Ends all access tokens but the acting one, or the one that the acting session was begun with.
    pub(super) fn end_other_access_tokens(
        &self,
        acting: Option<Credential>,
        reason: RevocationReason,
    ) -> Option<Event> {
        let kept = match acting {
            Some(Credential::AccessToken(id)) => Some(id),
            Some(Credential::Session(id)) => self.state.sessions.get(&id).and_then(|session| session.access_token_id),
            Some(Credential::ApiClient(_)) | None => None,
        };
        let access_token_ids: Vec<AccessTokenId> =
            self.state.access_tokens.keys().copied().filter(|id| Some(*id) != kept).collect();
        (!access_token_ids.is_empty()).then(|| AccessTokenRevoked { access_token_ids, reason }.into())
    }

    /// Whoever held the account by what it was before is out.
    pub(super) fn end_all_others(&self, acting: Option<Credential>, reason: RevocationReason) -> Vec<Event> {
        let sessions = self.end_other_sessions(acting, reason);
        sessions.into_iter().chain(self.end_other_access_tokens(acting, reason)).collect()
    }
}
