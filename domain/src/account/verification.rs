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
    secret::{SecretText, TokenHash},
    state::{Account, Progress, Verification},
    time::Timestamp,
    values::{Aal, Amr, Caller, Credential, FactorKind, FreeText, MethodKind, Origin, Purpose, Scope, Side},
};

impl Rules<'_> {
    pub(super) fn start_verification(
        &self,
        purpose: Purpose,
        action: Option<&FreeText>,
        target: Option<MethodId>,
        password: Option<&SecretText>,
    ) -> Ruling {
        let credential = self.credential()?;
        self.confirmed()?;
        let by_client = matches!(credential, Credential::ApiClient(_));
        match purpose {
            Purpose::SignIn if self.is_strong(credential) => {
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
            | Purpose::UnfreezeChanges
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
        let replaces = self.room_for_a_verification()?;
        self.password_for_a_change(purpose, credential, password)?;
        if purpose != Purpose::SignIn {
            self.may_check_again()?;
        }
        let started = VerificationStarted {
            action: action.cloned().map(Personal::Known),
            target,
            replaces,
            // An API client vouches for the first factor; an access token stands for it.
            first_factor: Vec::new(),
            yields_session: purpose == Purpose::SignIn
                && match credential {
                    Credential::AccessToken(_) => true,
                    Credential::Session(_) => false,
                    Credential::ApiClient(_) => self.context.caller.has(Scope::SessionsIssue),
                },
            ..self.verification(purpose, Some(credential), Vec::new())
        };
        self.begin(&started)
    }

    /// Whether it is a session that has nothing left to prove.
    fn is_strong(&self, credential: Credential) -> bool {
        let session = self.state.acting_session(Some(credential));
        session.is_some_and(|(_, session)| session.aal == Aal::Aal2 || self.state.methods.is_empty())
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
            source: None,
            replaces: None,
        }
    }

    /// So that state stays small: a bounded number of verifications wait at a time. The next one takes the place of a
    /// sign-in that got no further than the password: of the source that has most of them, the oldest. So whoever has
    /// the password from one place keeps nobody else out, and nobody who does without one is held up by it.
    pub(super) fn room_for_a_verification(&self) -> Ruling<Option<VerificationId>> {
        let ends = |verification: &Verification| match verification.progress {
            Progress::Pending { expires_at } | Progress::HalfDone { expires_at } => Some(expires_at),
            _ => None,
        };
        let waiting = self.state.verifications.iter().filter(|(_, v)| ends(v).is_some_and(|end| self.now() < end));
        if waiting.clone().count() < self.context.policy.pending_verifications as usize {
            return Ok(None);
        }
        let sign_ins: Vec<(&VerificationId, &Verification)> = waiting
            .clone()
            .filter(|(_, verification)| {
                verification.purpose == Purpose::SignIn && verification.first_factor.contains(&Amr::Pwd)
            })
            .collect();
        let of_its_source = |one: &Verification| sign_ins.iter().filter(|(_, v)| v.source == one.source).count();
        let most = sign_ins.iter().map(|(_, verification)| of_its_source(verification)).max();
        let gives_way = sign_ins
            .iter()
            .filter(|(_, verification)| Some(of_its_source(verification)) == most)
            .min_by_key(|(id, verification)| (verification.started_at, **id));
        if let Some((id, _)) = gives_way {
            return Ok(Some(**id));
        }
        let first = waiting.filter_map(|(_, verification)| ends(verification)).min().unwrap_or(self.now());
        Err(Refusal::RateLimited { retry_after: self.until(first) }.into())
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
            self.not_locked(FactorKind::Email, self.side(started.started_by))?;
            self.account_may_send()?;
            self.allowed(limits::mail(&self.context.policy.limits, self.context.origin))?;
            let issued = self.first_mail(id, started.purpose, email, true);
            sent = Some(super::codes::sent(email.masked(), issued.expires_at, issued.resend_after));
            events.push(issued.into());
        }
        let verification = super::evolve::started(started, self.now());
        let secret = self.context.entropy.token("verification");
        let side = self.side(started.started_by);
        let view = self.state.view_of(id, &verification, side, self.context.policy, self.now());
        let outcome = StartedVerification { verification: view, secret, sent };
        Ok(Decision::accept(events, Outcome::VerificationStarted(outcome)))
    }

    /// The mailbox can prove more than a sign-in now.
    fn mailbox_counts(&self) -> Ruling<()> {
        if self.state.reset.is_some() {
            return Err(Refusal::Forbidden.into());
        }
        match self.state.quiet_at(self.now()) {
            Some(until) => Err(Refusal::AddressIsNew { retry_after: self.until(until) }.into()),
            None => Ok(()),
        }
    }

    pub(super) fn email_offered(&self, verification: &Verification) -> bool {
        self.state.email_offered(verification, self.context.policy, self.now())
    }
}

impl Account {
    /// The verification as its driver may see it.
    pub fn verification_view(
        &self,
        id: VerificationId,
        caller: &Caller,
        origin: &Origin,
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
        let side = self.side_of(caller, origin, verification.started_by, now);
        Ok(self.view_of(id, verification, side, policy, now))
    }

    pub(super) fn view_of(
        &self,
        id: VerificationId,
        verification: &Verification,
        side: Side,
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
            VerificationStatus::Pending => self.offers(verification, side, policy, now),
            VerificationStatus::Verified | VerificationStatus::Expired => Vec::new(),
        };
        VerificationView { id, purpose: verification.purpose, status, methods, expires_at }
    }

    /// Authenticator and SMS first, the primary one before all; email and recovery code as explicit choices.
    fn offers(&self, verification: &Verification, side: Side, policy: &Policy, now: Timestamp) -> Vec<OfferedMethod> {
        let locked = |kind: FactorKind| self.tallies.of(side).locks.of(kind).and_then(|lock| lock.locked_at(now));
        let mut offers = Vec::new();
        if verification.offers_methods() {
            for (id, method) in &self.methods {
                let kind = method.kind().factor();
                if kind == FactorKind::Sms && !self.texts_offered(verification) {
                    continue;
                }
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
        if verification.offers_methods()
            && self.recovery_codes_at(now).is_some()
            && !self.recovery_codes_suspended(side, policy)
        {
            offers.push(OfferedMethod {
                kind: FactorKind::RecoveryCode,
                method_id: None,
                hint: None,
                default: false,
                locked_until: self.tallies.of(side).imported.full_until(policy.imported_code_attempts_hour, now),
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
    /// Whether the methods on file and the recovery codes may complete it: all but the checks of a mailbox.
    pub(super) fn offers_methods(&self) -> bool {
        match self.purpose {
            Purpose::ConfirmEmail
            | Purpose::ConfirmNewEmail
            | Purpose::OpenSignIn
            | Purpose::UnfreezeChanges
            | Purpose::Enroll => false,
            Purpose::ResetPassword => matches!(self.progress, Progress::HalfDone { .. }),
            _ => true,
        }
    }
}
