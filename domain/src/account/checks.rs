//! Checks that are asked for by kind, and codes that come together with what they authorize. The second are one
//! decision: what the code proves is folded in, and the usual rule decides on what that leaves.

use super::{
    attempts::{Judgement, Proof, proved},
    evolve,
    rules::{Rules, invalid},
};
use crate::{
    commands::{Act, Check},
    decision::{Decision, Ruling},
    events::{AskedWith, Event, VerificationStarted},
    ids::{MethodId, VerificationId},
    outcome::{Outcome, Refusal, Verified},
    personal::Personal,
    policy::EmailForChanges,
    state::{Progress, Verification},
    time::Timestamp,
    values::{Caller, Channel, Credential, FactorKind, MethodKind, Purpose, normalize_recovery_code},
};

impl Rules<'_> {
    /// One decision: the verification begins, and its code is on its way.
    pub(super) fn start_check(&self, purpose: Purpose, kind: FactorKind, method_id: Option<MethodId>) -> Ruling {
        let credential = self.credential()?;
        self.confirmed()?;
        let is_first = self.state.methods.is_empty();
        // Before the first method there is nothing but the address to check, whatever was asked for.
        let kind = match purpose {
            Purpose::AddMethod if is_first => FactorKind::Email,
            Purpose::AddMethod | Purpose::Open => kind,
            _ => return Err(invalid("purpose", "has a call of its own").into()),
        };
        let method_id = match kind {
            FactorKind::Totp => Some(self.method_of(MethodKind::Totp, method_id)?),
            FactorKind::Sms => Some(self.method_of(MethodKind::Sms, method_id)?),
            FactorKind::Email => None,
            FactorKind::RecoveryCode => {
                return Err(invalid("method", "is checked by the command it comes with").into());
            }
        };
        self.not_locked(kind, self.side(Some(credential)))?;
        self.password_for_a_change(purpose, credential, None)?;
        let purpose = self.purpose_of_a_check(purpose, kind);
        let channel = match kind {
            FactorKind::Sms => Some(Channel::Sms),
            FactorKind::Email => Some(Channel::Email),
            FactorKind::Totp | FactorKind::RecoveryCode => None,
        };
        if let Some(channel) = channel {
            self.not_just_sent(credential, channel, method_id)?;
        }
        let replaces = self.room_for_a_verification();
        self.may_check_again()?;
        let started = VerificationStarted {
            asked: Some(AskedWith { kind, method_id }),
            replaces,
            ..self.verification(purpose, Some(credential), Vec::new())
        };
        let Decision { mut events, outcome } = self.begin(&started)?;
        let mut outcome = outcome.map_err(crate::decision::Stop::Refused)?;
        let sent_by_itself = purpose == Purpose::AddMethod && is_first;
        if let Some(channel) = channel.filter(|_| !sent_by_itself) {
            let verification = evolve::started(&started, self.now());
            let sent = self.send(started.verification_id, &verification, channel, method_id)?;
            events.extend(sent.events);
            if let (Outcome::VerificationStarted(told), Ok(Outcome::CodeSent(sent))) = (&mut outcome, sent.outcome) {
                told.sent = Some(sent);
            }
        }
        Ok(Decision::accept(events, outcome))
    }

    /// Each of these begins a verification of its own, so what holds back a resend must look at all of them.
    fn not_just_sent(&self, credential: Credential, channel: Channel, method_id: Option<MethodId>) -> Ruling<()> {
        let last = self
            .state
            .verifications
            .values()
            .filter(|check| check.asked.is_some() && check.started_by == Some(credential))
            .filter(|check| matches!(check.progress, Progress::Pending { .. }))
            .filter_map(|check| super::codes::last_code(&check.codes, channel, method_id))
            .max_by_key(|code| code.sent_at);
        self.not_too_soon(last)
    }

    pub(super) fn check_and_act(&self, check: &Check, act: Act) -> Ruling {
        let credential = match (act, self.context.caller) {
            // Whoever is not signed in yet can do nothing else.
            (Act::SignIn, Caller::Verification(_)) => None,
            _ => Some(self.credential()?),
        };
        self.confirmed()?;
        let (id, begun, verification) = self.verification_of(check, act, credential)?;
        if act == Act::SignIn {
            self.may_sign_in_again()?;
        } else if begun.is_some() {
            self.may_check_again()?;
        }
        let (kind, method_id) = self.meant(&verification, check.kind, check.method_id, &check.code)?;
        // What stands against the act is said before the code is looked at, so that it depends on no digits.
        let act = self.possible(act, &verification, kind, method_id)?;
        match self.judge(id, &verification, Some(kind), method_id, &check.code)? {
            Judgement::Right(proof) => self.act(id, begun, &verification, proof, act, credential),
            Judgement::Wrong(decision) => Ok(with_its_beginning(begun, decision)),
        }
    }

    /// The verification that the code belongs to, as one for this act; and its beginning, where it has one here.
    fn verification_of(
        &self,
        check: &Check,
        act: Act,
        credential: Option<Credential>,
    ) -> Ruling<(VerificationId, Option<VerificationStarted>, Verification)> {
        let purpose = act.purpose();
        if let Some(id) = check.verification_id {
            let known = self.driven(id)?;
            if known.is_mail_for_signing_in() && purpose != Purpose::SignIn && credential.is_some() {
                return Err(invalid("method", "email is not offered for this purpose").into());
            }
            // One for something else is nothing here; and without a credential there is only the sign-in.
            let fits = known.purpose == purpose || (known.purpose == Purpose::Open && credential.is_some());
            if !fits || known.attempts.is_some() {
                return Err(Refusal::NotFound.into());
            }
            self.open(known)?;
            if let (Purpose::Open, Some(credential)) = (known.purpose, credential) {
                self.password_for_a_change(purpose, credential, None)?;
            }
            return Ok((id, None, Verification { purpose, ..known.clone() }));
        }
        let of_method = check.method_id.and_then(|id| self.state.methods.get(&id)).map(|method| method.kind().factor());
        let by_shape = normalize_recovery_code(check.code.expose()).map(|_| FactorKind::RecoveryCode);
        match check.kind.or(of_method).or(by_shape) {
            Some(FactorKind::Totp | FactorKind::RecoveryCode) => {
                let begun = self.verification(purpose, credential, Vec::new());
                let verification = evolve::started(&begun, self.now());
                Ok((begun.verification_id, Some(begun), verification))
            }
            Some(FactorKind::Sms | FactorKind::Email) => {
                Err(invalid("verification_id", "is required: ask for a code first").into())
            }
            None => Err(invalid("method", "is required: say which kind of code this is").into()),
        }
    }

    /// Whether the act is possible at all, and on which method.
    fn possible(
        &self,
        act: Act,
        verification: &Verification,
        kind: FactorKind,
        method_id: Option<MethodId>,
    ) -> Ruling<Act> {
        match act {
            Act::RegenerateRecoveryCodes if self.state.two_factor_since.is_none() => Err(Refusal::Conflict.into()),
            Act::SignIn | Act::AuthorizeMethod | Act::RegenerateRecoveryCodes => Ok(act),
            Act::DisableMethod { method_id: target } => {
                let target = match (target, kind) {
                    (Some(target), _) => target,
                    (None, FactorKind::Totp) => self.method_of(MethodKind::Totp, method_id)?,
                    (None, FactorKind::Sms) => self.method_of(MethodKind::Sms, method_id)?,
                    (None, FactorKind::Email | FactorKind::RecoveryCode) => {
                        return Err(invalid("target", "is required: this code is of no method").into());
                    }
                };
                if !self.state.methods.contains_key(&target) {
                    return Err(Refusal::NotFound.into());
                }
                if verification.target.is_some_and(|only| only != target) {
                    return Err(Refusal::VerificationRequired { purpose: verification.purpose }.into());
                }
                Ok(Act::DisableMethod { method_id: Some(target) })
            }
        }
    }

    /// What the code proved, and then the act by its own rule, on the state that this leaves.
    fn act(
        &self,
        id: VerificationId,
        begun: Option<VerificationStarted>,
        verification: &Verification,
        proof: Proof,
        act: Act,
        credential: Option<Credential>,
    ) -> Ruling {
        let kind = proof.kind;
        let recovery_codes_remaining = proof.recovery_code.as_ref().map(|used| used.remaining);
        let mut events: Vec<Event> = begun.into_iter().map(Event::from).collect();
        let mut proof = proved(id, verification, proof, self.usable_until(verification.purpose), false);
        let usable_until = match act {
            Act::AuthorizeMethod => self.bind_to_network(&mut proof),
            _ => self.usable_until(verification.purpose),
        };
        events.extend(proof);
        let after =
            events.iter().fold(self.state.clone(), |state, event| evolve::evolve(state, event, self.context.now));
        let then = Rules { state: &after, ..*self };
        let verified = Verified { verification_id: id, usable_until, session: None, recovery_codes_remaining };
        let decision = match act {
            Act::DisableMethod { method_id } => then.disable_method(method_id.ok_or(Refusal::NotFound)?, Some(id))?,
            Act::RegenerateRecoveryCodes => then.regenerate_recovery_codes(Some(id))?,
            Act::SignIn if self.yields_session(verification, credential) => {
                let by = verification.started_by;
                let (events, session) = then.new_session(&verification.first_factor, Some(kind), Some(id), by)?;
                Decision::accept(events, Outcome::Verified(Verified { session: Some(session), ..verified }))
            }
            Act::SignIn => match then.raised(credential, kind, id) {
                Some((renewed, session)) => {
                    let verified = Verified { session: Some(session), ..verified };
                    Decision::accept(vec![renewed.into()], Outcome::Verified(verified))
                }
                None => Decision::accept(Vec::new(), Outcome::Verified(verified)),
            },
            Act::AuthorizeMethod => Decision::accept(Vec::new(), Outcome::Verified(verified)),
        };
        events.extend(decision.events);
        Ok(Decision { events, outcome: decision.outcome })
    }

    /// Whoever asks this way shares one long-lived token between machines, so that the token alone does not tell its
    /// owner from a thief: the authorization is good where it was completed, and not for long.
    fn bind_to_network(&self, proof: &mut [Event]) -> Timestamp {
        let policy = self.context.policy;
        let lives = match policy.email_for_changes {
            EmailForChanges::Always => policy.authorization_lives,
            EmailForChanges::Never | EmailForChanges::FreshAal2 => policy.bound_authorization_lives,
        };
        let until = self.now().plus(lives);
        for event in proof {
            if let Event::VerificationSucceeded(succeeded) = event {
                succeeded.usable_until = until;
                succeeded.good_from = Some(Personal::Known(self.context.origin.network()));
            }
        }
        until
    }

    /// Whoever acts with a credential, the verification's own beginning decides as well: both have to allow it.
    fn yields_session(&self, verification: &Verification, credential: Option<Credential>) -> bool {
        let of_a_session = |by: Option<Credential>| matches!(by, Some(Credential::Session(_)));
        if of_a_session(credential) || of_a_session(verification.started_by) {
            return false;
        }
        credential.map_or(verification.yields_session, |own| self.begins_sessions(Some(own)))
    }
}

impl Verification {
    /// Whether its code went out by mail, to sign in with and to do nothing else.
    fn is_mail_for_signing_in(&self) -> bool {
        self.purpose == Purpose::SignIn && self.asked.is_some_and(|asked| asked.kind == FactorKind::Email)
    }
}

/// A verification that began with a wrong code ends with it: nobody holds its token.
fn with_its_beginning(begun: Option<VerificationStarted>, decision: Decision) -> Decision {
    let Some(begun) = begun else { return decision };
    let Decision { events, outcome } = decision;
    let mut all: Vec<Event> = vec![begun.into()];
    all.extend(events.into_iter().map(|event| match event {
        Event::CodeRejected(rejected) => crate::events::CodeRejected { ended: true, ..rejected }.into(),
        event => event,
    }));
    Decision { events: all, outcome }
}
