//! What is proved, and what that is good for.

use super::rules::{Rules, invalid, readable};
use crate::{
    decision::Ruling,
    events::SessionRenewed,
    ids::{SessionId, VerificationId},
    outcome::{Refusal, SignedIn},
    personal::Personal,
    policy::{EmailForChanges, Policy},
    secret::{SecretText, TokenHash},
    state::{Account, Progress, Session, Verification},
    time::Timestamp,
    values::{Aal, Amr, Credential, FactorKind, MethodKind, Origin, Purpose},
};

impl Account {
    /// Whether a code by email may complete it. It proves the mailbox and no second factor, so where there are methods
    /// it is good for signing in and for a named action, where policy lets it, and for hardly anything else.
    pub(super) fn email_offered(&self, verification: &Verification, policy: &Policy, now: Timestamp) -> bool {
        if matches!(verification.progress, Progress::HalfDone { .. }) {
            return false;
        }
        let is_quiet = self.quiet_at(now).is_some();
        match verification.purpose {
            Purpose::ConfirmEmail | Purpose::ConfirmNewEmail | Purpose::OpenSignIn | Purpose::UnfreezeChanges => true,
            Purpose::ResetPassword => !is_quiet,
            // A mailbox must not be able to name the next one.
            Purpose::Enroll | Purpose::UndoEmailChange => false,
            // After support's reset the mailbox is what is left to whoever took the rest.
            _ if self.reset.is_some() => false,
            purpose if is_quiet && purpose != Purpose::SignIn => false,
            _ if self.methods.is_empty() => true,
            Purpose::SignIn => policy.email_for_sign_in,
            Purpose::StepUp => policy.email_for_step_up,
            Purpose::AddMethod => match policy.email_for_changes {
                EmailForChanges::Never => false,
                EmailForChanges::FreshAal2 => self.proved_a_factor_lately(verification.started_by, policy, now),
                EmailForChanges::Always => true,
            },
            // What it becomes is not known yet: only where a code by email may do all of it.
            Purpose::Open
            | Purpose::DisableMethod
            | Purpose::RegenerateRecoveryCodes
            | Purpose::ChangeEmail
            | Purpose::IssueAccessToken
            | Purpose::EraseAccount => policy.email_for_changes == EmailForChanges::Always,
        }
    }

    fn proved_a_factor_lately(&self, credential: Option<Credential>, policy: &Policy, now: Timestamp) -> bool {
        self.acting_session(credential)
            .and_then(|(_, session)| session.factor_at)
            .is_some_and(|at| now < at.plus(policy.factor_fresh))
    }

    /// Whether it was completed by this credential, may be used from there, and is neither used nor too old. What it was
    /// completed with has to be good for it still: a mail is no longer, once there is a method.
    pub(super) fn authorizes(
        &self,
        verification: &Verification,
        credential: Credential,
        from: &Origin,
        policy: &Policy,
        now: Timestamp,
    ) -> bool {
        let Progress::Verified { kind, usable_until } = verification.progress else { return false };
        // A network that does not open is none.
        let is_here = |network: &Personal<String>| network.known().is_some_and(|network| *network == from.network());
        verification.started_by == Some(credential)
            && now < usable_until
            && verification.good_from.as_ref().is_none_or(is_here)
            && (kind != FactorKind::Email || self.email_offered(verification, policy, now))
            && self.waits_until(verification.purpose, kind, now).is_none()
    }

    /// After a reset whose second factor was a text, neither a text nor a mail authorizes a change for a while.
    fn waits_until(&self, purpose: Purpose, kind: FactorKind, now: Timestamp) -> Option<Timestamp> {
        let is_strong = matches!(kind, FactorKind::Totp | FactorKind::RecoveryCode);
        self.changes_wait_until.filter(|until| purpose.is_change() && !is_strong && now < *until)
    }

    /// Whether a text may complete it. A number is taken over with a call to its carrier, so with an app on file it
    /// does not reset the password, which is all that would be left.
    pub(super) fn texts_offered(&self, verification: &Verification) -> bool {
        verification.offers_methods()
            && (verification.purpose != Purpose::ResetPassword
                || !self.methods.values().any(|method| method.kind() == MethodKind::Totp))
    }

    pub(super) fn acting_session(&self, credential: Option<Credential>) -> Option<(SessionId, &Session)> {
        match credential {
            Some(Credential::Session(id)) => self.sessions.get(&id).map(|session| (id, session)),
            _ => None,
        }
    }
}

impl Rules<'_> {
    /// On an account without methods the mailbox alone would be enough for every change. So it needs the password too,
    /// typed a moment ago: its age counts from there, since a token is stolen without it. For the first method the
    /// word of an access token or of an API client is enough.
    pub(super) fn password_for_a_change(
        &self,
        purpose: Purpose,
        credential: Credential,
        entered: Option<&SecretText>,
    ) -> Ruling<()> {
        if entered.is_some() && !purpose.is_change() {
            return Err(invalid("password", "goes with changes only").into());
        }
        // Whose password is kept elsewhere has none to type.
        let Some(hash) = &self.state.password else { return Ok(()) };
        if let Some(entered) = entered {
            return self.current_password(readable(hash)?, entered);
        }
        let typed_at = self.state.acting_session(Some(credential)).and_then(|(_, session)| session.password_at);
        let is_typed = typed_at.is_some_and(|at| self.now() < at.plus(self.context.policy.password_fresh));
        let is_vouched_for = purpose == Purpose::AddMethod && !matches!(credential, Credential::Session(_));
        if !purpose.is_change() || !self.state.methods.is_empty() || is_typed || is_vouched_for {
            return Ok(());
        }
        Err(invalid("password", "is required: it was not typed in the last minutes").into())
    }

    /// Whether a code of this kind may authorize it, asked before the code is looked at.
    pub(super) fn may_authorize(&self, purpose: Purpose, kind: FactorKind) -> Ruling<()> {
        match self.state.waits_until(purpose, kind, self.now()) {
            Some(until) => Err(Refusal::RateLimited { retry_after: self.until(until) }.into()),
            None => Ok(()),
        }
    }

    /// A code by email to somebody with methods can sign in and do nothing else, so the mail has to say so: what would
    /// be open is for signing in from the start.
    pub(super) fn purpose_of_a_check(&self, purpose: Purpose, kind: FactorKind) -> Purpose {
        let is_limited = self.context.policy.email_for_changes != EmailForChanges::Always;
        match (purpose, kind) {
            (Purpose::Open, FactorKind::Email) if is_limited && !self.state.methods.is_empty() => Purpose::SignIn,
            _ => purpose,
        }
    }

    /// The acting session after it proved something: its token is new, so whoever else had the old one is out. It
    /// begins no new life, so a code prolongs no stolen session.
    pub(super) fn renewed(
        &self,
        session_id: SessionId,
        session: &Session,
        proved: Option<(FactorKind, VerificationId)>,
    ) -> (SessionRenewed, SignedIn) {
        let mut amr = session.amr.clone();
        if let Some((kind, _)) = proved {
            let proofs = [super::sign_in::amr_of(kind), Amr::Mfa];
            amr.extend(proofs.into_iter().filter(|proof| !session.amr.contains(proof)));
        }
        let aal = if proved.is_some() { Aal::Aal2 } else { session.aal };
        let secret = self.context.entropy.token("session");
        let renewed = SessionRenewed {
            session_id,
            token_hash: TokenHash::of(&secret),
            aal,
            amr: amr.clone(),
            verification_id: proved.map(|(_, verification_id)| verification_id),
        };
        let Session { expires_at, idle_timeout, .. } = *session;
        let (device, recovery_codes_suspended) = (None, false);
        (renewed, SignedIn { session_id, secret, aal, amr, expires_at, idle_timeout, device, recovery_codes_suspended })
    }

    /// The acting session, raised by a second factor. A code by email is none.
    pub(super) fn raised(
        &self,
        credential: Option<Credential>,
        kind: FactorKind,
        verification_id: VerificationId,
    ) -> Option<(SessionRenewed, SignedIn)> {
        if kind == FactorKind::Email {
            return None;
        }
        let (id, session) = self.state.acting_session(credential)?;
        Some(self.renewed(id, session, Some((kind, verification_id))))
    }
}
