//! Starting a verification, and what it offers.

use super::rules::{Rules, invalid};
use crate::{
    decision::{Decision, Ruling},
    events::{Event, VerificationStarted},
    ids::{MethodId, VerificationId},
    limits,
    outcome::{OfferedMethod, Outcome, Refusal, StartedVerification, VerificationStatus, VerificationView},
    personal::Personal,
    policy::Policy,
    secret::TokenHash,
    state::{Account, Progress, Verification},
    time::Timestamp,
    values::{Amr, Caller, Credential, FactorKind, FreeText, MethodKind, Purpose, Scope},
};

impl Rules<'_> {
    pub(super) fn start_verification(
        &self,
        purpose: Purpose,
        action: Option<&FreeText>,
        target: Option<MethodId>,
    ) -> Ruling {
        let credential = self.credential()?;
        self.confirmed()?;
        let by_client = matches!(credential, Credential::ApiClient(_));
        match purpose {
            Purpose::SignIn if matches!(credential, Credential::Session(_)) => {
                return Err(invalid("purpose", "this session is signed in already").into());
            }
            Purpose::DisableMethod if self.state.methods.is_empty() => return Err(Refusal::Conflict.into()),
            Purpose::RegenerateRecoveryCodes if self.state.two_factor_since.is_none() => {
                return Err(Refusal::Conflict.into());
            }
            Purpose::StepUp if !by_client => return Err(Refusal::Forbidden.into()),
            Purpose::StepUp if action.is_none() => return Err(invalid("action", "is required for step_up").into()),
            Purpose::SignIn
            | Purpose::AddMethod
            | Purpose::DisableMethod
            | Purpose::RegenerateRecoveryCodes
            | Purpose::ChangeEmail
            | Purpose::IssueAccessToken
            | Purpose::EraseAccount
            | Purpose::StepUp => {}
            Purpose::ConfirmEmail
            | Purpose::ConfirmNewEmail
            | Purpose::Enroll
            | Purpose::ResetPassword
            | Purpose::UndoEmailChange
            | Purpose::OpenSignIn
            | Purpose::Open => {
                return Err(invalid("purpose", "has a call of its own").into());
            }
        }
        if action.is_some() && purpose != Purpose::StepUp {
            return Err(invalid("action", "goes with step_up only").into());
        }
        if target.is_some() && purpose != Purpose::DisableMethod {
            return Err(invalid("method_id", "goes with disable_method only").into());
        }
        if target.is_some_and(|id| !self.state.methods.contains_key(&id)) {
            return Err(Refusal::NotFound.into());
        }
        self.pending_verifications()?;
        let started = VerificationStarted {
            action: action.cloned().map(Personal::Known),
            target,
            // An API client vouches for the first factor; an access token stands for it.
            first_factor: Vec::new(),
            yields_session: purpose == Purpose::SignIn && (!by_client || self.context.caller.has(Scope::SessionsIssue)),
            ..self.verification(purpose, Some(credential), Vec::new())
        };
        self.begin(&started)
    }

    /// The start of a verification whose wrong codes count for the account.
    pub(super) fn verification(
        &self,
        purpose: Purpose,
        started_by: Option<Credential>,
        first_factor: Vec<Amr>,
    ) -> VerificationStarted {
        VerificationStarted {
            verification_id: VerificationId(self.context.entropy.uuid(self.now(), "verification")),
            purpose,
            action: None,
            target: None,
            started_by,
            token_hash: TokenHash::of(&self.context.entropy.token("verification")),
            first_factor,
            new_email: None,
            yields_session: purpose == Purpose::SignIn,
            attempts: None,
            expires_at: self.now().plus(self.context.policy.verification_lives),
            asked: None,
        }
    }

    /// Starts it, tells what it offers, and sends the one email that is ever sent by itself: the identity
    /// check before an account's first method.
    pub(super) fn begin(&self, started: &VerificationStarted) -> Ruling {
        let id = started.verification_id;
        let mut events: Vec<Event> = vec![started.clone().into()];
        let mut sent = None;
        if started.purpose == Purpose::AddMethod && self.state.methods.is_empty() {
            let email = self.email()?;
            self.mailbox_counts()?;
            self.not_locked(FactorKind::Email)?;
            self.account_may_send()?;
            self.allowed(limits::mail(&self.context.policy.limits, self.context.origin))?;
            let issued = self.first_mail(id, started.purpose, email, true);
            sent = Some(super::codes::sent(email.masked(), issued.expires_at, issued.resend_after));
            events.push(issued.into());
        }
        let verification = super::evolve::started(started, self.now());
        let secret = self.context.entropy.token("verification");
        let view = self.state.view_of(id, &verification, self.context.policy, self.now());
        let outcome = StartedVerification { verification: view, secret, sent };
        Ok(Decision::accept(events, Outcome::VerificationStarted(outcome)))
    }

    /// The mailbox can prove more than a sign-in now.
    fn mailbox_counts(&self) -> Ruling<()> {
        if self.state.reset.is_some() {
            return Err(Refusal::Forbidden.into());
        }
        match self.state.quiet_at(self.now()) {
            Some(until) => Err(Refusal::RateLimited { retry_after: self.until(until) }.into()),
            None => Ok(()),
        }
    }

    pub(super) fn email_offered(&self, verification: &Verification) -> bool {
        self.state.email_offered(verification, self.context.policy, self.now())
    }
}

impl Account {
    /// Whether a code by email may complete it: picked explicitly, unless the policy says no; always where
    /// the account has nothing else.
    pub(super) fn email_offered(&self, verification: &Verification, policy: &Policy, now: Timestamp) -> bool {
        if matches!(verification.progress, Progress::HalfDone { .. }) {
            return false;
        }
        let is_quiet = self.quiet_at(now).is_some();
        match verification.purpose {
            Purpose::ResetPassword => !is_quiet,
            Purpose::ConfirmEmail | Purpose::ConfirmNewEmail | Purpose::OpenSignIn => true,
            // After support's reset the mailbox is what is left to whoever took the rest.
            _ if self.reset.is_some() => false,
            Purpose::AddMethod
            | Purpose::DisableMethod
            | Purpose::RegenerateRecoveryCodes
            | Purpose::ChangeEmail
            | Purpose::IssueAccessToken
            | Purpose::EraseAccount
            | Purpose::StepUp
                if is_quiet =>
            {
                false
            }
            Purpose::Open if is_quiet => policy.email_for_sign_in,
            _ if self.methods.is_empty() => true,
            Purpose::SignIn => policy.email_for_sign_in,
            Purpose::StepUp => policy.email_for_step_up,
            // A mailbox must not be able to name the next one.
            Purpose::Enroll | Purpose::UndoEmailChange | Purpose::ChangeEmail => false,
            // For some of what it may become; whether for that one, the command that brings the code finds.
            Purpose::Open => policy.email_for_sign_in || policy.email_for_changes,
            Purpose::AddMethod
            | Purpose::DisableMethod
            | Purpose::RegenerateRecoveryCodes
            | Purpose::IssueAccessToken
            | Purpose::EraseAccount => policy.email_for_changes,
        }
    }

    /// The verification as its driver may see it.
    pub fn verification_view(
        &self,
        id: VerificationId,
        caller: &Caller,
        policy: &Policy,
        now: Timestamp,
    ) -> Result<VerificationView, Refusal> {
        let verification = self.verifications.get(&id).ok_or(Refusal::NotFound)?;
        let own = match caller {
            Caller::Verification(own) => *own == id,
            _ => caller.credential().is_some() && verification.started_by == caller.credential(),
        };
        if !own {
            return Err(Refusal::NotFound);
        }
        Ok(self.view_of(id, verification, policy, now))
    }

    pub(super) fn view_of(
        &self,
        id: VerificationId,
        verification: &Verification,
        policy: &Policy,
        now: Timestamp,
    ) -> VerificationView {
        let ended = verification.started_by.is_some_and(|credential| !self.is_live(credential, now));
        let (status, expires_at) = match verification.progress {
            Progress::Pending { expires_at } | Progress::HalfDone { expires_at } if ended => {
                (VerificationStatus::Expired, expires_at)
            }
            Progress::Pending { expires_at } | Progress::HalfDone { expires_at } if now < expires_at => {
                (VerificationStatus::Pending, expires_at)
            }
            Progress::Pending { expires_at } | Progress::HalfDone { expires_at } => {
                (VerificationStatus::Expired, expires_at)
            }
            // A completed sign-in has done its work at once and stays completed.
            Progress::Verified { usable_until, .. }
                if now < usable_until || verification.purpose == Purpose::SignIn =>
            {
                (VerificationStatus::Verified, usable_until)
            }
            Progress::Verified { usable_until, .. } => (VerificationStatus::Expired, usable_until),
            Progress::Used { at } => (VerificationStatus::Verified, at),
            Progress::Failed { at } => (VerificationStatus::Expired, at),
        };
        let methods = match status {
            VerificationStatus::Pending => self.offers(verification, policy, now),
            VerificationStatus::Verified | VerificationStatus::Expired => Vec::new(),
        };
        VerificationView { id, purpose: verification.purpose, status, methods, expires_at }
    }

    /// Authenticator and SMS first, the primary one before all; email and recovery code as explicit choices.
    fn offers(&self, verification: &Verification, policy: &Policy, now: Timestamp) -> Vec<OfferedMethod> {
        let locked = |kind: FactorKind| self.locks.of(kind).and_then(|lock| lock.locked_at(now));
        let mut offers = Vec::new();
        if verification.offers_methods() {
            for (id, method) in &self.methods {
                let kind = method.kind().factor();
                let hint = method.hint();
                offers.push(OfferedMethod {
                    kind,
                    method_id: Some(*id),
                    hint,
                    default: self.primary == Some(*id),
                    locked_until: locked(kind),
                });
            }
            offers.sort_by_key(|offer| (!offer.default, offer.kind != FactorKind::Totp, offer.method_id));
        }
        if self.email_offered(verification, policy, now) {
            let address = verification.new_email.as_ref().or(self.email.as_ref()).and_then(|email| email.known());
            offers.push(OfferedMethod {
                kind: FactorKind::Email,
                method_id: None,
                hint: address.map(super::super::values::EmailAddress::masked),
                default: offers.is_empty(),
                locked_until: locked(FactorKind::Email),
            });
        }
        if verification.offers_methods() && self.recovery_codes_at(now).is_some() {
            offers.push(OfferedMethod {
                kind: FactorKind::RecoveryCode,
                method_id: None,
                hint: None,
                default: false,
                locked_until: None,
            });
        }
        offers
    }
}

impl crate::state::Method {
    /// Its kind.
    pub fn kind(&self) -> MethodKind {
        self.device.kind()
    }

    fn hint(&self) -> Option<String> {
        let label = self.label.known().map(|label| label.as_str().to_owned());
        match (&self.device, label) {
            (crate::state::Device::Sms { phone_number, .. }, _) => {
                phone_number.known().map(super::super::values::PhoneNumber::masked)
            }
            (crate::state::Device::Totp { .. }, label) => label,
        }
    }
}

impl crate::state::Device {
    /// Its kind.
    pub const fn kind(&self) -> MethodKind {
        match self {
            Self::Totp { .. } => MethodKind::Totp,
            Self::Sms { .. } => MethodKind::Sms,
        }
    }
}

impl Verification {
    /// Completed for this purpose by this credential, and neither used nor too old.
    pub(super) fn is_usable(&self, purpose: Purpose, credential: Credential, now: Timestamp) -> bool {
        self.purpose == purpose
            && self.started_by == Some(credential)
            && matches!(self.progress, Progress::Verified { usable_until, .. } if now < usable_until)
    }

    /// Whether the methods on file and the recovery codes may complete it: all but the checks of an address.
    pub(super) fn offers_methods(&self) -> bool {
        match self.purpose {
            Purpose::ConfirmEmail | Purpose::ConfirmNewEmail | Purpose::OpenSignIn | Purpose::Enroll => false,
            Purpose::ResetPassword => matches!(self.progress, Progress::HalfDone { .. }),
            _ => true,
        }
    }
}
