//! Whose wrong codes are counted where, and which devices an account knows. A known device opens nothing: it keeps
//! strangers from using up its owner's tries.

use super::rules::{Rules, invalid};
use crate::{
    decision::{Decision, Ruling},
    events::{DeviceForgotten, DeviceRemembered, Event, RevocationReason},
    evidence::{Allowance, SecondFactorsLeft, WrongSecondFactor},
    ids::{DeviceId, SessionId},
    limits,
    outcome::{Outcome, Refusal, RememberedDevice},
    policy::Policy,
    secret::TokenHash,
    state::{Account, KnownDevice, RecoveryCodes, RecoverySet, Tally, Verification},
    time::{Seconds, Timestamp},
    values::{Caller, Credential, FactorKind, Origin, PresentedDevice, Side},
};

/// A device that is used is remembered anew, at most so often.
const REMEMBERED_AGAIN: Seconds = Seconds::days(1);
/// The owner is told of wrong codes, at most so often.
const TOLD_AGAIN: Seconds = Seconds::days(1);
/// The wrong code in a row that its owner is told of.
const TOLD_FROM: u32 = 4;

impl Account {
    /// The side of whoever asks from there, in something that this credential began. An API client stands for many
    /// people, so its own credential makes none of them known.
    pub fn side_of(&self, caller: &Caller, origin: &Origin, started_by: Option<Credential>, now: Timestamp) -> Side {
        let is_own =
            |credential: Credential| !matches!(credential, Credential::ApiClient(_)) && self.is_live(credential, now);
        let by_credential = [caller.credential(), started_by].into_iter().flatten().any(is_own);
        if by_credential || self.known_device(origin.device.as_ref(), now).is_some() {
            Side::KnownDevices
        } else {
            Side::Others
        }
    }

    /// The live device that this token is of. Hashes are compared in constant time.
    pub(super) fn known_device(
        &self,
        presented: Option<&PresentedDevice>,
        now: Timestamp,
    ) -> Option<(DeviceId, &KnownDevice)> {
        let presented = presented?;
        let device = self.devices.get(&presented.id)?;
        (device.token_hash == presented.token_hash && now < device.expires_at).then_some((presented.id, device))
    }

    /// The devices that the account knows now.
    pub fn known_devices(&self, now: Timestamp) -> impl Iterator<Item = (DeviceId, &KnownDevice)> {
        self.devices.iter().filter(move |(_, device)| now < device.expires_at).map(|(id, device)| (*id, device))
    }

    /// Whether the cap stops TOTP, SMS and email for a side.
    pub fn is_capped(&self, side: Side, policy: &Policy, now: Timestamp) -> bool {
        self.tallies.of(side).is_capped(now, policy.account_cap_falls_per_day)
    }

    /// Whether too many wrong ones in a row suspended the imported recovery codes for a side.
    pub(super) fn recovery_codes_suspended(&self, side: Side, policy: &Policy) -> bool {
        self.recovery.as_ref().is_some_and(RecoverySet::is_imported)
            && self.tallies.of(side).imported.failures >= policy.imported_codes_suspended_after
    }
}

impl RecoverySet {
    /// Whether its codes come from another system, and may be short.
    pub fn is_imported(&self) -> bool {
        matches!(self.codes, RecoveryCodes::Imported(_))
    }
}

impl Rules<'_> {
    /// The side of the caller, in something that this credential began.
    pub(super) fn side(&self, started_by: Option<Credential>) -> Side {
        self.state.side_of(self.context.caller, self.context.origin, started_by, self.now())
    }

    /// The caller's own tally in a verification.
    pub(super) fn tally(&self, verification: &Verification) -> &Tally {
        self.state.tallies.of(self.side(verification.started_by))
    }

    /// Wrong codes of a side over TOTP, SMS and email, as of now.
    pub(super) fn failures(&self, side: Side) -> u32 {
        self.state.tallies.of(side).failures_at(self.now(), self.context.policy.account_cap_falls_per_day)
    }

    pub(super) fn not_locked(&self, kind: FactorKind, side: Side) -> Ruling<()> {
        if kind != FactorKind::RecoveryCode && self.state.is_capped(side, self.context.policy, self.now()) {
            return Err(Refusal::AccountLocked.into());
        }
        match self.state.tallies.of(side).locks.of(kind).and_then(|lock| lock.locked_at(self.now())) {
            Some(locked_until) => {
                Err(Refusal::MethodLocked { locked_until, retry_after: self.until(locked_until) }.into())
            }
            None => Ok(()),
        }
    }

    /// Imported recovery codes may be short, so guesses at them are bounded per side. Ours need no such bound.
    pub(super) fn imported_codes_open(&self, side: Side) -> Ruling<()> {
        let policy = self.context.policy;
        if self.state.recovery_codes_suspended(side, policy) {
            return Err(invalid("method", "these recovery codes are suspended: use another method").into());
        }
        let imported = &self.state.tallies.of(side).imported;
        match imported.full_until(policy.imported_code_attempts_hour, self.now()) {
            Some(locked_until) => {
                Err(Refusal::MethodLocked { locked_until, retry_after: self.until(locked_until) }.into())
            }
            None => Ok(()),
        }
    }

    /// Guesses over all accounts are bounded by who guesses. Said before a code is looked at, from what is at hand.
    pub(super) fn second_factors_left(&self, side: Side) -> Ruling<()> {
        // What an API client's other users did keeps nobody out who is known: their own account's cap bounds them.
        if side == Side::KnownDevices && matches!(self.context.caller, Caller::ApiClient(..)) {
            return Ok(());
        }
        match self.answer(SecondFactorsLeft(self.buckets_of_second_factors()))? {
            Ok(()) => Ok(()),
            Err(retry_after) => Err(Refusal::RateLimited { retry_after: *retry_after }.into()),
        }
    }

    /// A wrong one is counted there before it is told; it stays a wrong one whatever the count says.
    pub(super) fn count_wrong_second_factor(&self) -> Ruling<()> {
        self.answer(WrongSecondFactor(self.buckets_of_second_factors()))?;
        Ok(())
    }

    fn buckets_of_second_factors(&self) -> Allowance {
        let context = self.context;
        Allowance(limits::wrong_second_factor(&context.policy.limits, context.caller, context.origin))
    }

    /// Whether the owner is told of the n-th wrong code in a row.
    pub(super) fn tells_of_wrong_codes(&self, in_a_row: u32) -> bool {
        in_a_row >= TOLD_FROM && self.is_to_be_told(self.state.told_of_wrong_codes_at)
    }

    /// Whether the owner is told of a wrong recovery code.
    pub(super) fn tells_of_recovery_codes(&self) -> bool {
        self.is_to_be_told(self.state.told_of_recovery_codes_at)
    }

    pub(super) fn is_to_be_told(&self, last: Option<Timestamp>) -> bool {
        last.is_none_or(|last| self.now() >= last.plus(TOLD_AGAIN))
    }

    /// A sign-in with a factor that is not email makes its device known. One that is known already keeps its token,
    /// and lives on from now.
    pub(super) fn remember_device(&self, session_id: SessionId) -> (Vec<Event>, Option<RememberedDevice>) {
        let policy = self.context.policy;
        let expires_at = self.now().plus(policy.device_lives);
        if let Some((device_id, device)) = self.state.known_device(self.context.origin.device.as_ref(), self.now()) {
            let is_new = expires_at.seconds_since(device.expires_at) < REMEMBERED_AGAIN.0;
            let token_hash = device.token_hash;
            let again = DeviceRemembered { device_id, token_hash, session_id, expires_at };
            return ((!is_new).then(|| again.into()).into_iter().collect(), None);
        }
        let device_id = DeviceId(self.context.entropy.uuid(self.now(), "device"));
        let secret = self.context.entropy.token("device");
        let mut events = self.make_room_for_a_device();
        events.push(DeviceRemembered { device_id, token_hash: TokenHash::of(&secret), session_id, expires_at }.into());
        (events, Some(RememberedDevice { device_id, secret, expires_at }))
    }

    /// Known devices are bounded; those that were not used for longest give way.
    fn make_room_for_a_device(&self) -> Vec<Event> {
        let most = (self.context.policy.devices as usize).max(1);
        let mut live: Vec<(Timestamp, DeviceId)> =
            self.state.known_devices(self.now()).map(|(id, device)| (device.expires_at, id)).collect();
        live.sort_unstable();
        live.truncate((live.len() + 1).saturating_sub(most));
        forgotten(live.into_iter().map(|(_, id)| id).collect(), RevocationReason::Replaced).into_iter().collect()
    }

    /// Whoever ends everything else makes a stranger of every other device too: what a thief's device was told is
    /// over with his session.
    pub(super) fn forget_other_devices(&self, acting: Option<Credential>, reason: RevocationReason) -> Option<Event> {
        let own = self.state.known_device(self.context.origin.device.as_ref(), self.now()).map(|(id, _)| id);
        let is_own = |id: DeviceId, device: &KnownDevice| {
            acting.is_some() && (own == Some(id) || acting == Some(Credential::Session(device.session_id)))
        };
        let others = self.state.devices.iter().filter(|(id, device)| !is_own(**id, device)).map(|(id, _)| *id);
        forgotten(others.collect(), reason)
    }

    pub(super) fn forget_device(&self, device_id: DeviceId) -> Ruling {
        self.credential()?;
        if !self.state.devices.contains_key(&device_id) {
            return Err(Refusal::NotFound.into());
        }
        let events = forgotten(vec![device_id], RevocationReason::Requested).into_iter().collect();
        Ok(Decision::accept(events, Outcome::Done))
    }
}

fn forgotten(device_ids: Vec<DeviceId>, reason: RevocationReason) -> Option<Event> {
    (!device_ids.is_empty()).then(|| DeviceForgotten { device_ids, reason }.into())
}
