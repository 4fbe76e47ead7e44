//! Signing up, confirming an address, changing it.

use super::{
    rules::{Rules, invalid, readable},
    strangers,
};
use crate::{
    decision::{Decision, Ruling},
    events::{
        AccountRegistered, EmailChanged, EmailVerified, Event, RejectionReason, RevocationReason, VerificationStarted,
    },
    ids::{AccountId, VerificationId},
    limits,
    outcome::{Outcome, Refusal},
    personal::Personal,
    secret::{SecretText, TokenHash},
    state::{Device, Phase, Verification},
    values::{
        Caller, Channel, CodeForm, Credential, EmailAddress, EnteredCode, FactorKind, PhoneNumber, Purpose, Scope,
    },
};

impl Rules<'_> {
    pub(super) fn register(
        &self,
        account_id: AccountId,
        email: &EmailAddress,
        password: Option<&SecretText>,
        vouch: bool,
    ) -> Ruling {
        let client = match self.context.caller {
            Caller::Anonymous if vouch => return Err(Refusal::Forbidden.into()),
            Caller::Anonymous => None,
            Caller::ApiClient(id, scopes) if scopes.contains(&Scope::AccountsWrite) => Some(*id),
            _ => return Err(Refusal::Forbidden.into()),
        };
        if self.state.phase != Phase::Absent {
            return Err(Refusal::Conflict.into());
        }
        match password {
            Some(password) => Self::password_length(password)?,
            None if client.is_none() => return Err(invalid("password", "is required").into()),
            None => {}
        }
        let policy = self.context.policy;
        if client.is_none() {
            self.allowed(limits::registration(&policy.limits, self.context.origin))?;
        }
        if let Some(password) = password {
            self.not_guessed_soon(password, Some(email))?;
        }
        let id = VerificationId(self.context.entropy.uuid(self.now(), "confirmation"));
        let mail = if vouch { None } else { self.confirmation_mail(id, email)? };
        let password = match password {
            Some(password) => Some(Personal::Known(self.password_hash(password)?)),
            None => None,
        };
        if vouch && !self.claims(email)? {
            return Err(Refusal::Conflict.into());
        }
        let number = self.account_number()?;
        let expires_at = self.now().plus(policy.unconfirmed_account_lives);
        let mut events: Vec<Event> = vec![
            AccountRegistered {
                account_id,
                email: Personal::Known(email.clone()),
                password,
                registered_by: client,
                expires_at,
                number: Some(number),
            }
            .into(),
        ];
        if vouch {
            events.push(EmailVerified { verification_id: None, vouched_by: client }.into());
        } else {
            events.push(self.address_check(id, Purpose::ConfirmEmail, None, None, expires_at).into());
            events.extend(mail.map(Event::from));
        }
        Ok(Decision::accept(events, Outcome::Registered { account_id, email_verified: vouch }))
    }

    /// A verification that proves the control of an address and counts its own wrong codes.
    pub(super) fn address_check(
        &self,
        verification_id: VerificationId,
        purpose: Purpose,
        new_email: Option<&EmailAddress>,
        started_by: Option<Credential>,
        expires_at: crate::time::Timestamp,
    ) -> VerificationStarted {
        VerificationStarted {
            verification_id,
            purpose,
            action: None,
            target: None,
            started_by,
            token_hash: TokenHash::of(&self.context.entropy.token("verification")),
            first_factor: Vec::new(),
            new_email: new_email.cloned().map(Personal::Known),
            yields_session: false,
            attempts: Some(self.context.policy.confirmation_attempts),
            expires_at,
            asked: None,
            source: None,
            replaces: None,
        }
    }

    /// The check of an address that is under way: the first one, or a change by this credential.
    fn address_check_under_way(&self) -> Ruling<(VerificationId, &Verification)> {
        let (purpose, started_by) = match self.state.phase {
            Phase::Unconfirmed { expires_at } if self.now() < expires_at => (Purpose::ConfirmEmail, None),
            // Confirming twice tells a stranger nothing of a change that is under way.
            Phase::Confirmed if *self.context.caller == Caller::Anonymous => return Err(Refusal::Conflict.into()),
            Phase::Confirmed => (Purpose::ConfirmNewEmail, Some(self.owner()?)),
            _ => return Err(Refusal::NotFound.into()),
        };
        self.state
            .verifications
            .iter()
            .filter(|(_, verification)| verification.purpose == purpose && verification.started_by == started_by)
            .max_by_key(|(_, verification)| verification.started_at)
            .map(|(id, verification)| (*id, verification))
            .ok_or_else(|| Refusal::Conflict.into())
    }

    pub(super) fn verify_email(&self, code: &EnteredCode) -> Ruling {
        let (id, verification) = self.address_check_under_way()?;
        self.open(verification)?;
        if verification.new_email.is_some() {
            self.changes_are_possible()?;
            self.room_for_an_address_change()?;
        }
        let address = match &verification.new_email {
            Some(email) => readable(email)?,
            None => self.email()?,
        };
        let is_long =
            verification.new_email.is_none() && verification.codes.iter().all(|code| code.form == CodeForm::Letters);
        let limits = &self.context.policy.limits;
        let is_right = if is_long {
            let entered = strangers::entered(code)?;
            self.confirms(verification, address, &entered)?
        } else {
            let issued = self.valid_code(&verification.codes, Channel::Email, None)?;
            let entered = super::codes::digits(code, 6)?;
            self.allowed(limits::confirmation_attempt(limits, address))?;
            self.code_matches(issued.challenge, &entered)?
        };
        let reason = if !is_right {
            RejectionReason::Wrong
        } else if self.claims(address)? {
            return Ok(self.address_proved(id, verification));
        } else {
            RejectionReason::AddressHeld
        };
        if is_long {
            // Counted when it opens nothing, and never in the way of a right one: who shares the source must not use up
            // what its owner reads in the mailbox.
            self.allowed(limits::long_code_attempt(limits, self.context.origin))?;
        }
        Ok(self.address_rejected(id, verification, reason))
    }

    fn address_proved(&self, id: VerificationId, verification: &Verification) -> Decision {
        let mut events = Vec::new();
        match &verification.new_email {
            None => events.push(EmailVerified { verification_id: Some(id), vouched_by: None }.into()),
            Some(email) => {
                events.push(
                    EmailChanged {
                        email: email.clone(),
                        verification_id: id,
                        old_email: self.state.email.clone(),
                        phone_numbers: self.numbers_on_file(),
                        quiet_until: Some(self.now().plus(self.context.policy.new_address_quiet)),
                        undo_until: Some(self.now().plus(self.context.policy.address_undo_lives)),
                    }
                    .into(),
                );
                let acting = verification.started_by;
                events.extend(self.end_sessions_after_a_change_of_address(acting));
            }
        }
        Decision::accept(events, Outcome::EmailVerified)
    }

    /// Access tokens end too, and the acting session with the one that it was begun with.
    fn end_sessions_after_a_change_of_address(&self, acting: Option<Credential>) -> Vec<Event> {
        let reason = RevocationReason::EmailChanged;
        let sessions = self.end_sessions(reason, |id, session| {
            acting != Some(Credential::Session(id)) || session.access_token_id.is_some()
        });
        sessions.into_iter().chain(self.end_other_access_tokens(None, reason)).collect()
    }

    /// A wrong code of an address check: it counts for the verification alone.
    pub(super) fn address_rejected(
        &self,
        verification_id: VerificationId,
        verification: &Verification,
        reason: RejectionReason,
    ) -> Decision {
        let tried = verification.tried(verification_id, FactorKind::Email, None);
        self.rejected_alone(tried, reason.into(), verification.failures.saturating_add(1), verification.attempts)
    }

    pub(super) fn resend_email_code(&self) -> Ruling {
        let (id, verification) = self.address_check_under_way()?;
        self.open(verification)?;
        if verification.new_email.is_some() {
            return self.send(id, verification, Channel::Email, None);
        }
        self.sends_left(verification)?;
        let email = self.email()?;
        let mail = self.confirmation_mail(id, email)?;
        Ok(Decision::accept(mail.into_iter().map(Event::from).collect(), Outcome::Done))
    }

    pub(super) fn change_email(
        &self,
        email: &EmailAddress,
        password: Option<&SecretText>,
        verification_id: Option<VerificationId>,
    ) -> Ruling {
        let session = self.strong_session()?;
        self.confirmed()?;
        // The start of the new address's check uses it up.
        self.fresh(verification_id, Purpose::ChangeEmail, Credential::Session(session))?;
        self.room_for_an_address_change()?;
        if self.email()?.canonical() == email.canonical() {
            return Err(invalid("email", "is the address of this account already").into());
        }
        let replaces = self.room_for_a_verification();
        self.account_may_send(self.side(Some(Credential::Session(session))))?;
        if let Some(hash) = &self.state.password {
            let password = password.ok_or_else(|| invalid("password", "is required"))?;
            self.current_password(readable(hash)?, password)?;
        }
        self.allowed(limits::confirmation_mail(&self.context.policy.limits, email, self.context.origin))?;
        let id = VerificationId(self.context.entropy.uuid(self.now(), "address change"));
        let expires_at = self.now().plus(self.context.policy.verification_lives);
        let by = Some(Credential::Session(session));
        let issued = self.first_mail(id, Purpose::ConfirmNewEmail, email, false);
        let outcome = Outcome::CodeSent(super::codes::sent(email.masked(), issued.expires_at, issued.resend_after));
        let check = self.address_check(id, Purpose::ConfirmNewEmail, Some(email), by, expires_at);
        let started = VerificationStarted { replaces, ..check };
        Ok(Decision::accept(vec![started.into(), issued.into()], outcome))
    }

    /// What can be undone is kept, so it is bounded.
    fn room_for_an_address_change(&self) -> Ruling<()> {
        let mut ends = self.state.undoable(self.now()).map(|change| change.undo_until);
        let first = ends.next();
        match first {
            Some(first) if ends.count() + 1 >= self.context.policy.undoable_address_changes.max(1) as usize => {
                Err(Refusal::RateLimited { retry_after: self.until(first) }.into())
            }
            _ => Ok(()),
        }
    }

    /// The numbers whose owner is told by text.
    pub(super) fn numbers_on_file(&self) -> Vec<Personal<PhoneNumber>> {
        let numbers = self.state.methods.values().filter_map(|method| match &method.device {
            Device::Sms { phone_number, .. } => Some(phone_number.clone()),
            Device::Totp { .. } => None,
        });
        numbers.collect()
    }
}
