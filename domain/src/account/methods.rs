//! Changing and removing methods; fresh recovery codes.

use super::rules::Rules;
use crate::{
    decision::{Decision, Ruling},
    events::{
        Event, MethodDisabled, MethodRelabelled, PrimaryMethodChanged, RecoveryCodesRevoked, RevocationReason,
        TwoFactorDisabled,
    },
    ids::{MethodId, VerificationId},
    outcome::{MethodView, Outcome, Refusal},
    personal::Personal,
    values::{Credential, Label, Purpose},
};

impl Rules<'_> {
    fn view_of_method(&self, id: MethodId) -> Ruling<MethodView> {
        self.state.method_view(id, self.side(None), self.now()).ok_or_else(|| Refusal::NotFound.into())
    }

    /// Both, or nothing: what was asked for together is one decision.
    pub(super) fn change_method(&self, method_id: MethodId, label: Option<&Label>, make_primary: bool) -> Ruling {
        self.credential()?;
        self.confirmed()?;
        let mut method = self.view_of_method(method_id)?;
        let mut events = Vec::new();
        if let Some(label) = label.filter(|label| method.label.as_deref() != Some(label.as_str())) {
            method.label = Some(label.as_str().to_owned());
            events.push(MethodRelabelled { method_id, label: Personal::Known(label.clone()) }.into());
        }
        if make_primary && !method.is_primary {
            method.is_primary = true;
            events.push(PrimaryMethodChanged { method_id }.into());
        }
        if !events.is_empty() {
            self.may_change_again()?;
        }
        Ok(Decision::accept(events, Outcome::MethodChanged { method }))
    }

    /// The fresh verification that the caller named, for this purpose.
    pub(super) fn fresh(
        &self,
        verification_id: Option<VerificationId>,
        purpose: Purpose,
        credential: Credential,
    ) -> Ruling<VerificationId> {
        self.changes_are_possible()?;
        verification_id
            .filter(|id| {
                self.state
                    .verifications
                    .get(id)
                    .is_some_and(|verification| self.usable(verification, purpose, credential))
            })
            .ok_or_else(|| Refusal::VerificationRequired { purpose }.into())
    }

    pub(super) fn disable_method(&self, method_id: MethodId, verification_id: Option<VerificationId>) -> Ruling {
        let credential = self.credential()?;
        self.confirmed()?;
        let kind = self.state.methods.get(&method_id).ok_or(Refusal::NotFound)?.kind();
        let purpose = Purpose::DisableMethod;
        let verification_id = self.fresh(verification_id, purpose, credential)?;
        let target = self.state.verifications.get(&verification_id).and_then(|verification| verification.target);
        if target.is_some_and(|target| target != method_id) {
            return Err(Refusal::VerificationRequired { purpose }.into());
        }
        let mut events: Vec<Event> = vec![MethodDisabled { method_id, kind, verification_id }.into()];
        let mut left = self.state.methods.keys().copied().filter(|id| *id != method_id);
        let remaining = self.state.methods.len() - 1;
        match left.next() {
            Some(next) if self.state.primary == Some(method_id) => {
                events.push(PrimaryMethodChanged { method_id: next }.into());
            }
            Some(_) => {}
            None => {
                events.push(TwoFactorDisabled {}.into());
                events.extend(self.recovery_codes_revoked(RevocationReason::TwoFactorDisabled));
            }
        }
        events.extend(self.end_all_others(Some(credential), RevocationReason::FactorChanged));
        let outcome = Outcome::MethodDisabled {
            two_factor_enabled: remaining > 0,
            remaining_methods: u32::try_from(remaining).unwrap_or(u32::MAX),
        };
        Ok(Decision::accept(events, outcome))
    }

    pub(super) fn recovery_codes_revoked(&self, reason: RevocationReason) -> Option<Event> {
        self.state.recovery.as_ref().map(|set| RecoveryCodesRevoked { set: set.set, reason }.into())
    }

    pub(super) fn regenerate_recovery_codes(&self, verification_id: Option<VerificationId>) -> Ruling {
        let credential = self.credential()?;
        self.confirmed()?;
        if self.state.two_factor_since.is_none() {
            return Err(Refusal::Conflict.into());
        }
        let verification_id = self.fresh(verification_id, Purpose::RegenerateRecoveryCodes, credential)?;
        let fresh = self.fresh_recovery_codes()?;
        let generated = self.recovery_set(fresh.hashes, Some(verification_id));
        Ok(Decision::accept(vec![generated.into()], Outcome::RecoveryCodes { recovery_codes: fresh.codes }))
    }
}
