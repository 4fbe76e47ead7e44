//! A right password that no second factor follows: whoever typed it may not be the owner.

use super::{evolve::ended_at, rules::Rules};
use crate::{
    decision::{Decision, Ruling},
    events::{Event, SignInUnfinished, VerificationStarted},
    ids::VerificationId,
    outcome::{Outcome, Refusal},
    state::{Progress, Verification},
    time::{Seconds, Timestamp},
    values::{Amr, Caller, Purpose},
};

/// One that ended longer ago is no news; and no longer than the owner is left alone after being told, so that nobody is
/// told of the same one twice.
const NEWS: Seconds = Seconds::days(1);

/// The sign-in with a password that an event began, and when it ends unless something else ends it before.
pub fn sign_in_begun(event: &Event) -> Option<(VerificationId, Timestamp)> {
    match event {
        Event::VerificationStarted(VerificationStarted {
            verification_id,
            purpose: Purpose::SignIn,
            first_factor,
            expires_at,
            ..
        }) if first_factor.contains(&Amr::Pwd) => Some((*verification_id, *expires_at)),
        _ => None,
    }
}

impl Rules<'_> {
    /// The owner is told once a day at most, whoever tries how often.
    pub(super) fn note_unfinished_sign_in(&self, verification_id: VerificationId) -> Ruling {
        if *self.context.caller != Caller::Worker {
            return Err(Refusal::Forbidden.into());
        }
        self.confirmed()?;
        let verification = self.state.verifications.get(&verification_id);
        let is_news = verification.is_some_and(|verification| {
            let ended = ended_at(verification);
            verification.is_unfinished() && ended <= self.now() && self.now() < ended.plus(NEWS)
        });
        let mut events = Vec::new();
        if is_news && self.is_to_be_told(self.state.told_of_unfinished_sign_in_at) {
            events.push(SignInUnfinished { verification_id }.into());
        }
        Ok(Decision::accept(events, Outcome::Done))
    }
}

impl Verification {
    /// Whether the right password began it, and nothing completed it.
    fn is_unfinished(&self) -> bool {
        self.purpose == Purpose::SignIn
            && self.first_factor.contains(&Amr::Pwd)
            && !matches!(self.progress, Progress::Verified { .. } | Progress::Used { .. })
    }
}
