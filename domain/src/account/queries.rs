//! What is asked of an account's state without changing it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    ids::{AccessTokenId, AccountId, MethodId, SessionId, VerificationId},
    outcome::MethodView,
    policy::Policy,
    secret::TokenHash,
    state::{Account, Device, Phase, Session, Tallies},
    time::Timestamp,
    values::{Caller, Credential, Origin, Purpose, Side},
};

/// What a bearer token says it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presented {
    /// A session's token.
    Session(SessionId),
    /// A personal access token.
    AccessToken(AccessTokenId),
    /// A verification's own token.
    Verification(VerificationId),
}

/// An account at a glance.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountSummary {
    /// Its id.
    pub account_id: AccountId,
    /// Its address, unless erased.
    pub email: Option<String>,
    /// Whether that is confirmed.
    pub email_verified: bool,
    /// Whether a sign-in asks for a second factor.
    pub two_factor_enabled: bool,
    /// Since when.
    pub two_factor_since: Option<Timestamp>,
    /// How many methods.
    pub methods: u32,
    /// How many recovery codes are left.
    pub recovery_codes_remaining: u32,
    /// Whether the cap stops TOTP, SMS and email, for known devices or for everybody else.
    pub account_locked: bool,
    /// When it was registered.
    pub registered_at: Timestamp,
}

impl fmt::Debug for AccountSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccountSummary").field("account_id", &self.account_id).finish_non_exhaustive()
    }
}

impl Account {
    /// Whether the account is there: registered, not ended unconfirmed, not erased.
    pub fn exists(&self, now: Timestamp) -> bool {
        match self.phase {
            Phase::Absent | Phase::Erased => false,
            Phase::Unconfirmed { expires_at } => now < expires_at,
            Phase::Confirmed => true,
        }
    }

    /// A session that was begun with an access token ends with it, even where nothing ended it by name.
    fn lives(&self, session: &Session, now: Timestamp) -> bool {
        let is_backed = |id| self.access_tokens.get(&id).is_some_and(|token| now < token.expires_at);
        now < session.expires_at && session.access_token_id.is_none_or(is_backed)
    }

    /// Whether a session or access token of the account has not ended. API clients are known elsewhere.
    pub(super) fn is_live(&self, credential: Credential, now: Timestamp) -> bool {
        match credential {
            Credential::Session(id) => self.sessions.get(&id).is_some_and(|session| self.lives(session, now)),
            Credential::AccessToken(id) => self.access_tokens.get(&id).is_some_and(|token| now < token.expires_at),
            Credential::ApiClient(_) => true,
        }
    }

    /// Whether a session or access token, or the token that began the session, is from before the cut-off.
    fn is_cut_off(&self, credential: Credential, cut_off: Option<Timestamp>) -> bool {
        let Some(cut_off) = cut_off else { return false };
        let is_old = |id| self.access_tokens.get(&id).is_some_and(|token| token.issued_at < cut_off);
        match credential {
            Credential::Session(id) => self
                .sessions
                .get(&id)
                .is_some_and(|session| session.started_at < cut_off || session.access_token_id.is_some_and(is_old)),
            Credential::AccessToken(id) => is_old(id),
            Credential::ApiClient(_) => false,
        }
    }

    /// What a session that may only enroll a method and set the password was begun with.
    pub fn limited_by(&self, credential: Credential) -> Option<VerificationId> {
        match credential {
            Credential::Session(id) => self.sessions.get(&id)?.limited_by,
            Credential::AccessToken(_) | Credential::ApiClient(_) => None,
        }
    }

    /// Who presents this token: a live session, access token or verification of this account. `last_used` is
    /// when the session was last seen, as kept beside the log; `cut_off` is that of the installation, and takes what
    /// an older credential began with it. Hashes are compared in constant time.
    pub fn authenticate(
        &self,
        presented: Presented,
        hash: &TokenHash,
        last_used: Option<Timestamp>,
        cut_off: Option<Timestamp>,
        now: Timestamp,
    ) -> Option<Caller> {
        if !self.exists(now) {
            return None;
        }
        match presented {
            Presented::Session(id) => {
                let session = self.sessions.get(&id).filter(|session| session.token_hash == *hash)?;
                let seen = last_used.map_or(session.started_at, |used| used.max(session.started_at));
                let live = self.lives(session, now) && now < seen.plus(session.idle_timeout);
                (live && !self.is_cut_off(Credential::Session(id), cut_off)).then_some(Caller::Session(id))
            }
            Presented::AccessToken(id) => {
                let token = self.access_tokens.get(&id).filter(|token| token.token_hash == *hash)?;
                let is_over = now >= token.expires_at || self.is_cut_off(Credential::AccessToken(id), cut_off);
                (!is_over).then_some(Caller::AccessToken(id))
            }
            Presented::Verification(id) => {
                let verification = self.verifications.get(&id).filter(|known| known.token_hash == *hash)?;
                let is_over = verification.started_by.is_some_and(|credential| self.is_cut_off(credential, cut_off));
                (!is_over).then_some(Caller::Verification(id))
            }
        }
    }

    /// A session.
    pub fn session(&self, id: SessionId) -> Option<&Session> {
        self.sessions.get(&id)
    }

    /// A method as someone of this side sees it.
    pub fn method_view(&self, id: MethodId, side: Side, now: Timestamp) -> Option<MethodView> {
        let method = self.methods.get(&id)?;
        let kind = method.kind();
        let lock = self.tallies.of(side).locks.of(kind.factor()).copied().unwrap_or_default();
        Some(MethodView {
            id,
            kind,
            label: method.label.known().map(|label| label.as_str().to_owned()),
            phone_number: match &method.device {
                Device::Sms { phone_number, .. } => phone_number.known().map(super::super::values::PhoneNumber::masked),
                Device::Totp { .. } => None,
            },
            is_primary: self.primary == Some(id),
            fail_count: lock.failures_at(now),
            locked_until: lock.locked_at(now),
            created_at: method.created_at,
            last_used: method.last_used,
        })
    }

    /// All methods, by number.
    pub fn methods_view(&self, side: Side, now: Timestamp) -> Vec<MethodView> {
        self.methods.keys().filter_map(|id| self.method_view(*id, side, now)).collect()
    }

    /// Whether this credential may add a method now, from there.
    pub fn may_add_method(&self, credential: Credential, from: &Origin, policy: &Policy, now: Timestamp) -> bool {
        let mut checks = self.verifications.values().filter(|check| check.purpose == Purpose::AddMethod);
        self.is_live(credential, now)
            && ((self.reset.is_some() && self.limited_by(credential).is_some())
                || checks.any(|check| self.authorizes(check, credential, from, policy, now)))
    }

    /// The account at a glance; `None` when there is none.
    pub fn summary(&self, policy: &Policy, now: Timestamp) -> Option<AccountSummary> {
        if !self.exists(now) {
            return None;
        }
        Some(AccountSummary {
            account_id: self.id?,
            email: self.email.as_ref().and_then(|email| email.known()).map(|email| email.as_str().to_owned()),
            email_verified: self.phase == Phase::Confirmed,
            two_factor_enabled: self.two_factor_since.is_some(),
            two_factor_since: self.two_factor_since,
            methods: u32::try_from(self.methods.len()).unwrap_or(u32::MAX),
            recovery_codes_remaining: self.recovery.as_ref().map_or(0, super::super::state::RecoverySet::remaining),
            account_locked: Tallies::SIDES.iter().any(|side| self.is_capped(*side, policy, now)),
            registered_at: self.registered_at.unwrap_or(now),
        })
    }
}
