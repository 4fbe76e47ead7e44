//! Personal access tokens: they stand for the first factor.

use super::rules::Rules;
use crate::{
    decision::{Decision, Ruling},
    events::{AccessTokenIssued, AccessTokenRevoked, Event, RevocationReason},
    ids::{AccessTokenId, VerificationId},
    outcome::{Outcome, Refusal},
    personal::Personal,
    secret::TokenHash,
    values::{Credential, FreeText, Purpose},
};

impl Rules<'_> {
    pub(super) fn issue_access_token(&self, name: &FreeText, verification_id: Option<VerificationId>) -> Ruling {
        let session = self.strong_session()?;
        self.confirmed()?;
        let acting = Credential::Session(session);
        let verification_id = self.fresh(verification_id, Purpose::IssueAccessToken, acting)?;
        let policy = self.context.policy;
        let live = self.state.access_tokens.values().filter(|token| self.now() < token.expires_at).count();
        if live >= policy.access_tokens as usize {
            return Err(Refusal::Conflict.into());
        }
        let access_token_id = AccessTokenId(self.context.entropy.uuid(self.now(), "access token"));
        let secret = self.context.entropy.token("access token");
        let expires_at = self.now().plus(policy.access_token_lives);
        let issued = AccessTokenIssued {
            access_token_id,
            token_hash: TokenHash::of(&secret),
            name: Personal::Known(name.clone()),
            expires_at,
            verification_id: Some(verification_id),
        };
        let outcome = Outcome::AccessTokenIssued { access_token_id, secret, expires_at };
        Ok(Decision::accept(vec![issued.into()], outcome))
    }

    pub(super) fn revoke_access_token(&self, access_token_id: AccessTokenId) -> Ruling {
        self.owner()?;
        if !self.state.access_tokens.contains_key(&access_token_id) {
            return Err(Refusal::NotFound.into());
        }
        let revoked =
            AccessTokenRevoked { access_token_ids: vec![access_token_id], reason: RevocationReason::Requested };
        let begun_with_it = self.end_sessions(RevocationReason::AccessTokenEnded, |_, session| {
            session.access_token_id == Some(access_token_id)
        });
        let events = [Event::from(revoked)].into_iter().chain(begun_with_it).collect();
        Ok(Decision::accept(events, Outcome::Done))
    }
}
