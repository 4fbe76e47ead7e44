//! A right password that no second factor follows: whoever typed it may not be the owner.

use super::{evolve::ended_at, rules::Rules};
use crate::{
    decision::{Decision, Ruling},
    events::{Event, SignInUnfinished, VerificationStarted},
    ids::VerificationId,
    outcome::{Outcome, Refusal},
    state::{Account, Progress},
    time::{Seconds, Timestamp},
    values::{Amr, Caller, Purpose},
};

/// One that ended longer ago is no news; and no longer than the owner is left alone after being told, so that nobody is
/// told of the same one twice.
pub const UNFINISHED_IS_NEWS: Seconds = Seconds::days(1);

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

impl Account {
    /// Whether a sign-in that the right password began has ended a while ago, and nothing completed it.
    pub fn left_unfinished(&self, id: VerificationId, now: Timestamp) -> bool {
        self.verifications.get(&id).is_some_and(|verification| {
            let ended = ended_at(verification);
            let is_news = ended <= now && now < ended.plus(UNFINISHED_IS_NEWS);
            let is_completed = matches!(verification.progress, Progress::Verified { .. } | Progress::Used { .. });
            let is_sign_in = verification.purpose == Purpose::SignIn && verification.first_factor.contains(&Amr::Pwd);
            is_news && is_sign_in && !is_completed
        })
    }
}

impl Rules<'_> {
    /// The owner is told once a day at most, whoever tries how often.
    pub(super) fn note_unfinished_sign_in(&self, verification_id: VerificationId) -> Ruling {
        if *self.context.caller != Caller::Worker {
            return Err(Refusal::Forbidden.into());
        }
        self.confirmed()?;
        let mut events = Vec::new();
        if self.state.left_unfinished(verification_id, self.now())
            && self.is_to_be_told(self.state.told_of_unfinished_sign_in_at)
        {
            events.push(SignInUnfinished { verification_id }.into());
        }
        Ok(Decision::accept(events, Outcome::Done))
    }
}
