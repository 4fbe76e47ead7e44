//! What an account remembers so that its owner gets it back: what stood before each change of address, and how
//! it stands after support's reset.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Account, Device, IssuedCode, Method, Phase, RecoverySet};
use crate::{
    ids::{ApiKeyId, MethodId, VerificationId},
    personal::Personal,
    time::Timestamp,
    values::{EmailAddress, PasswordHash},
};

/// A change of address that can be undone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddressChange {
    /// The verification that proved the new address: what an undo names.
    pub id: VerificationId,
    /// The end of the undo. Until then the address of before is reserved.
    pub undo_until: Timestamp,
    /// What an undo brings back.
    pub before: Standing,
    /// Whether the holder of the link has stopped changes: once for each change.
    pub has_frozen: bool,
    /// Wrong codes that were tried with the link.
    pub failures: u32,
    /// Codes that were texted to numbers of then.
    pub codes: Vec<IssuedCode>,
}

/// What a sign-in is judged by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// The address.
    pub email: Option<Personal<EmailAddress>>,
    /// The password.
    pub password: Option<Personal<PasswordHash>>,
    /// The methods. What was used of them since is marked here too.
    pub methods: BTreeMap<MethodId, Method>,
    /// The primary one.
    pub primary: Option<MethodId>,
    /// Since when 2FA was on.
    pub two_factor_since: Option<Timestamp>,
    /// The recovery codes. What was used of them since is marked here too.
    pub recovery: Option<RecoverySet>,
    /// Until when its mailbox proved nothing but a sign-in.
    pub quiet_until: Option<Timestamp>,
    /// Until when changes took an app's or a recovery code.
    pub changes_wait_until: Option<Timestamp>,
}

/// The holder of an undo's link stopped changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Freeze {
    /// The change of address that the link is about.
    pub change: VerificationId,
    /// Changes go on then.
    pub until: Timestamp,
}

/// Support reset the account, and no method was enabled since.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SupportReset {
    /// The recovery code that support handed over; none in resets of before there was one.
    pub code: Option<RecoverySet>,
    /// The end of that code.
    pub code_expires_at: Option<Timestamp>,
}

/// A reset that waits for a second approver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResetRequest {
    /// The API client of who asked.
    pub by: Option<ApiKeyId>,
    /// Nobody can approve it after.
    pub expires_at: Timestamp,
}

impl Account {
    /// What an undo would bring back.
    pub(crate) fn standing(&self) -> Standing {
        Standing {
            email: self.email.clone(),
            password: self.password.clone(),
            methods: self.methods.clone(),
            primary: self.primary,
            two_factor_since: self.two_factor_since,
            recovery: self.recovery.clone(),
            quiet_until: self.quiet_until,
            changes_wait_until: self.changes_wait_until,
        }
    }

    /// The changes of address that can be undone now, the oldest first.
    pub fn undoable(&self, now: Timestamp) -> impl Iterator<Item = &AddressChange> {
        self.address_changes.iter().filter(move |change| now < change.undo_until)
    }

    /// Whether someone signs in, or resets the password, with this address. A reserved one is not enough.
    pub fn answers_to(&self, email: &EmailAddress) -> bool {
        is(self.email.as_ref(), email)
    }

    /// Whether nobody else may have this address: the account uses it, or an undo could bring it back.
    pub fn keeps(&self, email: &EmailAddress, now: Timestamp) -> bool {
        self.phase == Phase::Confirmed
            && (self.answers_to(email) || self.undoable(now).any(|change| is(change.before.email.as_ref(), email)))
    }

    /// Until when the mailbox proves nothing but a sign-in, while it does.
    pub fn quiet_at(&self, now: Timestamp) -> Option<Timestamp> {
        self.quiet_until.filter(|until| now < *until)
    }

    /// What stops changes, while it does.
    pub fn frozen_at(&self, now: Timestamp) -> Option<Freeze> {
        self.freeze.filter(|freeze| now < freeze.until)
    }

    /// The recovery codes that can be used now: those of the set, or the one of support's reset.
    pub fn recovery_codes_at(&self, now: Timestamp) -> Option<&RecoverySet> {
        match &self.reset {
            Some(reset) => reset.code.as_ref().filter(|_| reset.code_expires_at.is_some_and(|end| now < end)),
            None => self.recovery.as_ref().filter(|set| set.remaining() > 0),
        }
    }

    /// Devices of then that are the present ones too: what is used of one is used of the other.
    pub(crate) fn devices_of(&mut self, id: MethodId) -> impl Iterator<Item = &mut Device> {
        let then = self.address_changes.iter_mut().map(|change| &mut change.before.methods);
        std::iter::once(&mut self.methods)
            .chain(then)
            .filter_map(move |methods| methods.get_mut(&id).map(|method| &mut method.device))
    }

    /// As [`Account::devices_of`], of recovery codes.
    pub(crate) fn recovery_sets_of(&mut self, set: u32) -> impl Iterator<Item = &mut RecoverySet> {
        let then = self.address_changes.iter_mut().map(|change| &mut change.before.recovery);
        std::iter::once(&mut self.recovery).chain(then).flatten().filter(move |known| known.set == set)
    }
}

fn is(address: Option<&Personal<EmailAddress>>, email: &EmailAddress) -> bool {
    address.and_then(|address| address.known()).is_some_and(|address| address.canonical() == email.canonical())
}
