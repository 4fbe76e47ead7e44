//! What a new password must be: 8 to 128 characters and none that is guessed soon (NIST SP 800-63B, 5.1.1.2).

use super::rules::{Rules, invalid};
use crate::{
    decision::Ruling,
    evidence::{Fact, Question},
    secret::SecretText,
    values::EmailAddress,
};

/// Characters of a password that the estimate sees. What it costs grows faster than with their number (a hostile
/// text of 100 takes seconds), and what a guesser needs only grows with what follows them.
const SEEN: usize = 32;

/// Whether a new password is guessed soon. Slow: found out where slow things are, never while deciding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuessedSoon {
    new: SecretText,
    /// What a guesser knows of its owner.
    email: Option<EmailAddress>,
}

impl GuessedSoon {
    /// The fact, by what `zxcvbn` makes of the first characters.
    pub fn estimated(self) -> Fact {
        let guessed_soon = self.estimate();
        self.answered(guessed_soon)
    }

    fn estimate(&self) -> bool {
        let mut known: Vec<&str> = vec!["countersign"];
        if let Some(email) = &self.email {
            known.push(email.as_str());
            known.extend(email.as_str().split('@'));
        }
        let new = self.new.expose().as_str();
        let seen = new.char_indices().nth(SEEN).map_or(new, |(end, _)| &new[..end]);
        zxcvbn::zxcvbn(seen, &known).score() < zxcvbn::Score::Two
    }
}

impl Rules<'_> {
    /// The length of a new password: what can be refused at once is, before any limit is asked.
    pub(super) fn password_length(new: &SecretText) -> Ruling<()> {
        let length = new.expose().chars().take(129).count();
        if (8..=128).contains(&length) {
            return Ok(());
        }
        Err(invalid("password", "must have 8 to 128 characters").into())
    }

    /// The address counts as known to a guesser.
    pub(super) fn not_guessed_soon(&self, new: &SecretText, email: Option<&EmailAddress>) -> Ruling<()> {
        if *self.answer(GuessedSoon { new: new.clone(), email: email.cloned() })? {
            return Err(invalid("password", "is too easy to guess: use more or less common words").into());
        }
        Ok(())
    }
}
