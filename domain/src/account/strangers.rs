//! The account that stands in for none: whoever asks for the password of an address that nobody holds is answered
//! by the same rules, on an account that is made up for it. It is made up anew at every call, from the ticket alone,
//! and nothing of it is ever appended.

use super::rules::Rules;
use crate::{
    decision::{Context, Decider},
    entropy::Entropy,
    events::{AccountRegistered, EmailVerified, Event, RejectionReason},
    evidence::Evidence,
    ids::{AccountId, VerificationId},
    outcome::Refusal,
    personal::Personal,
    policy::Policy,
    state::Account,
    time::{Seconds, Timestamp},
    values::{Caller, EmailAddress, Origin},
};

impl Account {
    /// Registered and confirmed, with nothing else: what an account is that lost its password.
    #[must_use]
    pub fn made_up(account_id: AccountId, email: EmailAddress, at: Timestamp) -> Self {
        let registered = AccountRegistered {
            account_id,
            email: Personal::Known(email),
            password: None,
            registered_by: None,
            expires_at: at.plus(Seconds::days(1)),
            number: None,
        };
        let verified = EmailVerified { verification_id: None, vouched_by: None };
        Self::default().evolve(&registered.into(), at).evolve(&verified.into(), at)
    }

    /// The same after it asked for a reset and brought so many wrong codes for it.
    #[must_use]
    pub fn made_up_in_reset(
        account_id: AccountId,
        reset: VerificationId,
        asked_at: Timestamp,
        wrong_codes: u32,
        policy: &Policy,
        entropy: &Entropy,
    ) -> Self {
        // Nothing it answers depends on the address but the mask in the first answer, which was given.
        let address = EmailAddress::of_nobody();
        let (caller, origin, evidence) = (&Caller::Anonymous, &Origin::default(), &Evidence::new());
        let context = &Context { now: asked_at, clock: asked_at, caller, origin, policy, entropy };
        let after =
            |state: Self, events: &[Event]| events.iter().fold(state, |state, event| state.evolve(event, asked_at));
        let mut state = Self::made_up(account_id, address.clone(), asked_at);
        let (started, issued) = Rules { state: &state, context, evidence }.reset_asked_for(reset, &address);
        state = after(state, &[started.into(), issued.into()]);
        for _ in 0..wrong_codes.min(policy.confirmation_attempts) {
            let Some(verification) = state.verifications.get(&reset) else { break };
            let rules = Rules { state: &state, context, evidence };
            let rejected = rules.address_rejected(reset, verification, RejectionReason::Wrong);
            state = after(state, &rejected.events);
        }
        state
    }
}

/// When a reset was asked for: its id says so, and with that when it is over. An account forgets ended ones in its own
/// time, so it is not asked.
pub fn reset_asked_at(reset: VerificationId, policy: &Policy, now: Timestamp) -> Result<Timestamp, Refusal> {
    let asked_at = reset.moment().ok_or(Refusal::Unauthenticated)?;
    if now < asked_at.plus(policy.verification_lives) { Ok(asked_at) } else { Err(Refusal::VerificationExpired) }
}

/// Whether a refused reset would tell that there is no account which can have one: it is then answered as a
/// stranger's.
pub const fn means_no_account(refusal: &Refusal) -> bool {
    matches!(refusal, Refusal::NotFound | Refusal::EmailNotVerified)
}
