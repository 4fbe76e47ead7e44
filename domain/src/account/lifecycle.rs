//! Accounts that come from elsewhere, and accounts that are erased.

use std::collections::BTreeSet;

use super::rules::{Rules, invalid};
use crate::{
    commands::AccountImport,
    decision::{Decision, Ruling},
    events::{AccountErased, AccountImported, ImportedMethod},
    ids::VerificationId,
    outcome::{Outcome, Refusal},
    personal::Personal,
    state::Phase,
    values::{Caller, Purpose, Scope},
};

/// The shortest TOTP key that is taken over, in bits.
const LEAST_SECRET_BITS: u32 = 80;
/// The most recovery codes that are taken over: another system's codes have a salt each, so that an attempt costs
/// as many hashes as there are codes.
const MOST_RECOVERY_CODES: usize = 20;

impl Rules<'_> {
    /// One event per account: nothing is half imported.
    pub(super) fn import_account(&self, import: &AccountImport) -> Ruling {
        if *self.context.caller != Caller::Operator {
            return Err(Refusal::Forbidden.into());
        }
        if self.state.phase != Phase::Absent {
            return Err(Refusal::Conflict.into());
        }
        if !import.email_verified {
            return Err(invalid("email_verified", "must be true: only confirmed addresses have second factors").into());
        }
        if import.methods.is_empty() && !import.recovery_codes.is_empty() {
            return Err(invalid("recovery_codes", "need a method beside them").into());
        }
        if import.recovery_codes.len() > MOST_RECOVERY_CODES {
            return Err(invalid("recovery_codes", "are 20 at most: each attempt is checked against all of them").into());
        }
        check_methods(&import.methods)?;
        if !self.claims(&import.email)? {
            return Err(Refusal::Conflict.into());
        }
        let number = self.account_number()?;
        let imported = AccountImported {
            account_id: import.account_id,
            email: Personal::Known(import.email.clone()),
            email_verified: true,
            password: import.password.clone().map(Personal::Known),
            methods: import.methods.clone(),
            recovery_code_count: u32::try_from(import.recovery_codes.len()).unwrap_or(u32::MAX),
            recovery_codes: (!import.recovery_codes.is_empty()).then(|| Personal::Known(import.recovery_codes.clone())),
            number: Some(number),
        };
        let outcome = Outcome::Registered { account_id: import.account_id, email_verified: true };
        Ok(Decision::accept(vec![imported.into()], outcome))
    }

    pub(super) fn erase_account(&self, verification_id: Option<VerificationId>) -> Ruling {
        if matches!(self.state.phase, Phase::Absent | Phase::Erased) {
            return Err(Refusal::NotFound.into());
        }
        let verification_id = if *self.context.caller == Caller::Operator || self.support_may_erase() {
            None
        } else {
            let credential = self.credential()?;
            self.confirmed()?;
            // Whoever changed the address must not be able to end the week in which its owner takes it back.
            if let Some(change) = self.state.undoable(self.now()).last() {
                return Err(Refusal::RateLimited { retry_after: self.until(change.undo_until) }.into());
            }
            Some(self.fresh(verification_id, Purpose::EraseAccount, credential)?)
        };
        Ok(Decision::accept(vec![AccountErased { verification_id }.into()], Outcome::Done))
    }

    /// In the week of an undo nobody else can erase the account for its owner; at any other time the owner does.
    fn support_may_erase(&self) -> bool {
        self.context.caller.has(Scope::SupportWrite) && self.state.undoable(self.now()).next().is_some()
    }
}

fn check_methods(methods: &[ImportedMethod]) -> Result<(), Refusal> {
    let mut numbers = BTreeSet::new();
    let mut secrets = BTreeSet::new();
    for (expected, method) in (1_u32..).zip(methods) {
        let method_id = match method {
            ImportedMethod::Totp { method_id, secret, digits, period, secret_bits, .. } => {
                let secret = secret.known().ok_or_else(|| invalid("methods", "a TOTP key is missing"))?;
                let bits = u32::try_from(secret.expose().len().saturating_mul(8)).unwrap_or(u32::MAX);
                if bits < LEAST_SECRET_BITS || bits != *secret_bits {
                    return Err(invalid("methods", "a TOTP key must have 80 bits or more"));
                }
                if !(6..=8).contains(digits) || !(15..=120).contains(period) {
                    return Err(invalid("methods", "TOTP takes 6 to 8 digits and 15 to 120 seconds"));
                }
                if !secrets.insert(secret.expose().to_vec()) {
                    return Err(Refusal::DuplicateMethod);
                }
                method_id
            }
            ImportedMethod::Sms { method_id, phone_number, .. } => {
                let number = phone_number.known().ok_or_else(|| invalid("methods", "a phone number is missing"))?;
                if !numbers.insert(number.as_str().to_owned()) {
                    return Err(Refusal::DuplicateMethod);
                }
                method_id
            }
        };
        if method_id.0 != expected {
            return Err(invalid("methods", "must be numbered 1, 2, 3 in order"));
        }
    }
    Ok(())
}
