//! Signing in and out, sessions.

use super::rules::Rules;
use crate::{
    decision::{Decision, Ruling},
    events::{
        Event, PasswordRejected, RevocationReason, SessionRevoked, SignedIn as SignedInEvent, SignedOut,
        VerificationStarted,
    },
    evidence::KnownNetwork,
    ids::{SessionId, VerificationId},
    outcome::{Outcome, Refusal, SignedIn},
    personal::Personal,
    secret::{SecretText, TokenHash},
    state::{Account, Phase, Tallies},
    values::{Aal, Amr, Caller, Credential, FactorKind, PasswordHash, Purpose, Scope, Side},
};

impl Account {
    /// What an entered password is compared with: an account without one has the hash that no password has, so that the
    /// comparison takes as long.
    pub fn password_asked_for(&self) -> Result<PasswordHash, Refusal> {
        match &self.password {
            None => Ok(PasswordHash::of_nothing()),
            Some(hash) => hash.known().cloned().ok_or(Refusal::Unreadable),
        }
    }
}

impl Rules<'_> {
    pub(super) fn sign_in(&self, password: Option<&SecretText>, rejections: u32) -> Ruling {
        let (started_by, first_factor) = match (self.context.caller, password) {
            (Caller::AccessToken(_), None) => (Some(self.credential()?), Vec::new()),
            (caller, Some(password)) => {
                let started_by = match caller {
                    Caller::ApiClient(..) if !caller.has(Scope::SessionsIssue) => return Err(Refusal::Forbidden.into()),
                    Caller::ApiClient(id, _) => Some(Credential::ApiClient(*id)),
                    _ => None,
                };
                let hash = self.state.password_asked_for()?;
                let right = self.password_matches(&hash, password)?;
                if !(right && self.state.password.is_some() && self.state.phase == Phase::Confirmed) {
                    return Ok(self.password_rejected(rejections));
                }
                (started_by, vec![Amr::Pwd])
            }
            _ => return Err(Refusal::WrongCredentials.into()),
        };
        self.confirmed()?;
        if self.state.two_factor_since.is_none() && self.state.reset.is_none() {
            self.may_sign_in_again()?;
            let (events, session) = self.new_session(&first_factor, None, None, started_by)?;
            return Ok(Decision::accept(events, Outcome::SignedIn(session)));
        }
        let replaces = self.room_for_a_verification();
        let source = password.map(|_| Personal::Known(self.context.origin.network()));
        let started = self.verification(Purpose::SignIn, started_by, first_factor);
        self.begin(&VerificationStarted { source, replaces, ..started })
    }

    /// The history gets at most one such event in a while, with the count that the limiter keeps.
    fn password_rejected(&self, count: u32) -> Decision {
        let every = self.context.policy.password_rejected_every;
        let recently = self.state.password_rejected_at.is_some_and(|at| self.now() < at.plus(every));
        if recently || self.state.phase != Phase::Confirmed {
            return Decision::refuse(Refusal::WrongCredentials);
        }
        Decision::reject(vec![PasswordRejected { count }.into()], Refusal::WrongCredentials)
    }

    /// A new session: `aal2` by TOTP, SMS or a recovery code, `aal1` by password alone or with email.
    pub(super) fn new_session(
        &self,
        first_factor: &[Amr],
        second: Option<FactorKind>,
        verification_id: Option<VerificationId>,
        started_by: Option<Credential>,
    ) -> Ruling<(Vec<Event>, SignedIn)> {
        let (api_key_id, access_token_id) = match started_by {
            Some(Credential::ApiClient(key)) => (Some(key), None),
            Some(Credential::AccessToken(token)) => (None, Some(token)),
            Some(Credential::Session(_)) | None => (None, None),
        };
        let mut amr = first_factor.to_vec();
        // Support's code opens the way back and nothing else.
        let is_limited = self.state.reset.is_some();
        let aal = match second {
            _ if is_limited => Aal::Aal1,
            None | Some(FactorKind::Email) => Aal::Aal1,
            Some(FactorKind::Totp | FactorKind::Sms | FactorKind::RecoveryCode) => Aal::Aal2,
        };
        amr.extend(second.map(amr_of));
        if aal == Aal::Aal2 {
            amr.push(Amr::Mfa);
        }
        let policy = self.context.policy;
        let session_id = SessionId(self.context.entropy.uuid(self.now(), "session"));
        let secret = self.context.entropy.token("session");
        let lives_until = self.now().plus(if is_limited { policy.limited_session_lives } else { policy.session_lives });
        let token = access_token_id.and_then(|id| self.state.access_tokens.get(&id));
        let expires_at = token.map_or(lives_until, |token| lives_until.min(token.expires_at));
        let mut events = self.make_room_for_a_session();
        events.push(
            SignedInEvent {
                session_id,
                token_hash: TokenHash::of(&secret),
                aal,
                amr: amr.clone(),
                expires_at,
                idle_timeout: policy.session_idle,
                verification_id,
                api_key_id,
                access_token_id,
                is_limited,
                is_new_place: self.is_new_place(started_by)?,
            }
            .into(),
        );
        let suspended = |side: &Side| self.state.recovery_codes_suspended(*side, policy);
        let signed_in = SignedIn {
            session_id,
            secret,
            aal,
            amr,
            expires_at,
            idle_timeout: policy.session_idle,
            device: None,
            recovery_codes_suspended: Tallies::SIDES.iter().any(suspended),
        };
        Ok((events, signed_in))
    }

    /// Whether neither the device nor the network was seen before, so that the owner is told. Asked last, and only
    /// where there is something to compare with: the people of an API client come from its own network unless it names
    /// theirs, and an account that nobody signed in to has no places yet.
    fn is_new_place(&self, started_by: Option<Credential>) -> Ruling<bool> {
        let is_by_client = matches!(self.context.caller, Caller::ApiClient(..))
            || matches!(started_by, Some(Credential::ApiClient(_)));
        let is_nowhere = is_by_client && self.context.origin.end_user_ip.is_none();
        let is_known_device = self.state.known_device(self.context.origin.device.as_ref(), self.now()).is_some();
        if is_nowhere || is_known_device || !self.state.has_signed_in {
            return Ok(false);
        }
        Ok(!*self.answer(KnownNetwork(self.email()?.clone()))?)
    }

    /// Live sessions are bounded; the oldest give way.
    fn make_room_for_a_session(&self) -> Vec<Event> {
        let most = (self.context.policy.sessions as usize).max(1);
        let live: Vec<SessionId> = self
            .state
            .sessions
            .iter()
            .filter(|(_, session)| self.now() < session.expires_at)
            .map(|(id, _)| *id)
            .collect();
        let too_many = (live.len() + 1).saturating_sub(most);
        if too_many == 0 {
            return Vec::new();
        }
        let session_ids = live.into_iter().take(too_many).collect();
        vec![SessionRevoked { session_ids, reason: RevocationReason::Replaced }.into()]
    }

    pub(super) fn sign_out(&self) -> Ruling {
        match self.owner_or_limited()? {
            Credential::Session(session_id) => {
                Ok(Decision::accept(vec![SignedOut { session_id }.into()], Outcome::Done))
            }
            _ => Err(Refusal::Forbidden.into()),
        }
    }

    pub(super) fn revoke_session(&self, session_id: SessionId) -> Ruling {
        self.credential()?;
        if !self.state.sessions.contains_key(&session_id) {
            return Err(Refusal::NotFound.into());
        }
        let revoked = SessionRevoked { session_ids: vec![session_id], reason: RevocationReason::Requested };
        Ok(Decision::accept(vec![revoked.into()], Outcome::Done))
    }

    pub(super) fn end_own_other_sessions(&self) -> Ruling {
        let acting = self.credential()?;
        let reason = RevocationReason::Requested;
        let ended = match acting {
            Credential::Session(_) => self.end_other_sessions(Some(acting), reason),
            // Who has less than a session ends sessions, and makes no stranger of the owner's devices.
            Credential::AccessToken(_) | Credential::ApiClient(_) => {
                self.end_sessions(reason, |_, _| true).into_iter().collect()
            }
        };
        Ok(Decision::accept(ended, Outcome::Done))
    }
}

/// RFC 8176 where it has a name, ours for the rest.
pub(super) const fn amr_of(kind: FactorKind) -> Amr {
    match kind {
        FactorKind::Totp => Amr::Otp,
        FactorKind::Sms => Amr::Sms,
        FactorKind::Email => Amr::Email,
        FactorKind::RecoveryCode => Amr::RecoveryCode,
    }
}
