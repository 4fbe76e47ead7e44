//! What a decision needs to know and the rules cannot know by themselves: slow hashes, derived codes, fresh codes,
//! the limiter's word, the claim of an address. A rule asks a [`Question`]; whoever drives it brings the [`Fact`]. A
//! fact is a question together with an answer of that question's type, so an answer of the wrong kind cannot be
//! written down, and one to another hash, set or code than the state now asks for is no evidence.

use zeroize::Zeroize;

pub use crate::account::{GuessedSoon, TotpAttempt, TotpVerdict};
use crate::{
    events::{RecoveryCodeHash, RecoveryCodeHashes},
    ids::{AccountId, AccountNumber, VerificationId},
    limits::Charge,
    secret::{Secret, SecretText, TokenSecret},
    time::{Seconds, Timestamp},
    values::{Challenge, Credential, EmailAddress, PasswordHash, TotpSecret},
};

/// One thing that a rule may ask.
pub trait Question: Clone + PartialEq + Into<Need> {
    /// What it is answered with.
    type Answer;
    /// The fact that this is the answer.
    fn answered(self, answer: Self::Answer) -> Fact;
    /// The answer in a fact, when that is about exactly this question.
    fn answer_in<'a>(&self, fact: &'a Fact) -> Option<&'a Self::Answer>;
}

macro_rules! questions {
    ($($(#[$doc:meta])* $question:ident => $answer:ty;)+) => {
        /// The question that a decision waits for.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum Need {$(
            $(#[$doc])*
            $question($question),
        )+}

        /// A question and its answer; made by [`Question::answered`].
        #[derive(Debug, Clone)]
        pub struct Fact(Answered);

        #[derive(Debug, Clone)]
        enum Answered { $($question($question, $answer),)+ }

        $(
            impl From<$question> for Need {
                fn from(question: $question) -> Self {
                    Self::$question(question)
                }
            }
            impl Question for $question {
                type Answer = $answer;
                fn answered(self, answer: $answer) -> Fact {
                    Fact(Answered::$question(self, answer))
                }
                fn answer_in<'a>(&self, fact: &'a Fact) -> Option<&'a $answer> {
                    match &fact.0 {
                        Answered::$question(question, answer) if question == self => Some(answer),
                        _ => None,
                    }
                }
            }
        )+
    };
}

questions! {
    /// Whether a password has a hash.
    PasswordMatches => bool;
    /// Whether a new password is guessed soon.
    GuessedSoon => bool;
    /// The hash of a new password.
    NewPasswordHash => PasswordHash;
    /// The digits of a code that was ordered.
    SentCode => SecretText;
    /// The characters of a long code that was mailed.
    LongCode => SecretText;
    /// How a code of an authenticator app is judged.
    TotpAttempt => TotpVerdict;
    /// The hash of an entered recovery code.
    EnteredCodeHash => RecoveryCodeHash;
    /// Which of another system's recovery codes was entered: its place, from 0.
    ImportedCode => Option<u32>;
    /// A fresh set of recovery codes.
    NewRecoveryCodes => FreshRecoveryCodes;
    /// The key that is offered to a credential of an account.
    OfferedTotpKey => TotpSecret;
    /// The secret of an undo's link; none where the account has no key.
    UndoSecret => Option<TokenSecret>;
    /// A number for an account to be.
    NextAccountNumber => AccountNumber;
    /// The limiter's word: granted, or how long to wait.
    Allowance => Result<(), Seconds>;
    /// Whether who asks has wrong second factors left, or how long to wait.
    SecondFactorsLeft => Result<(), Seconds>;
    /// That a second factor was wrong is counted.
    WrongSecondFactor => ();
    /// The claim of an address for the account.
    AddressClaim => Claim;
    /// Whether someone signed in to an address from the caller's network before.
    KnownNetwork => bool;
}

/// Whether the entered password has this hash (argon2id).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PasswordMatches {
    /// The hash.
    pub hash: PasswordHash,
    /// What was entered.
    pub entered: SecretText,
}

/// The hash of a new password (argon2id).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPasswordHash {
    /// The new password, already checked against the rules.
    pub new: SecretText,
}

/// The digits of a code that was ordered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentCode(pub Challenge);

/// The characters of a long code that was mailed, as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LongCode {
    /// To an account's address.
    OfAccount(Challenge),
    /// To an address that is to be confirmed: whoever signs up with it is told the same in one window.
    OfAddress {
        /// The address.
        address: EmailAddress,
        /// Counts the windows.
        window: u32,
    },
}

/// The hash of an entered recovery code under a set's salt and parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnteredCodeHash {
    /// The set's hashes, for salt and parameters.
    pub set: RecoveryCodeHashes,
    /// The entered code, normalized.
    pub entered: SecretText,
}

/// Which of another system's recovery codes was entered (argon2id, bcrypt or SHA-256).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportedCode {
    /// Their hashes, as PHC strings.
    pub hashes: Vec<String>,
    /// What was entered.
    pub entered: SecretText,
}

/// A fresh set of this many recovery codes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRecoveryCodes {
    /// How many.
    pub count: u32,
}

/// The key that is offered to one credential of an account: what is random in it, when the offer ends, and a tag that
/// nobody but us can make. So it is recognised later, and nothing is stored of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfferedTotpKey {
    /// The account.
    pub account_id: AccountId,
    /// The credential that asked.
    pub credential: Credential,
    /// What nobody can guess.
    pub random: [u8; 16],
    /// The offer's end, in seconds since 1970.
    pub ends: u32,
}

/// The secret of the link by which the change of address that this verification proved is undone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UndoSecret(pub VerificationId);

/// A number for an account to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NextAccountNumber;

/// The limiter's word on these charges.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allowance(pub Vec<Charge>);

impl Drop for Allowance {
    fn drop(&mut self) {
        for charge in &mut self.0 {
            charge.subject.zeroize();
        }
    }
}

/// Whether these buckets of wrong second factors have room, as far as is known without asking anyone: a right code
/// must not wait for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecondFactorsLeft(pub Allowance);

/// A wrong second factor, to be counted in these buckets before it is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrongSecondFactor(pub Allowance);

/// The claim of this address for the account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressClaim(pub EmailAddress);

/// Whether someone signed in to this address from the caller's network before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownNetwork(pub EmailAddress);

/// How the claim of an address went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// The account holds it, since or until at least this moment.
    Held {
        /// When that was established.
        at: Timestamp,
    },
    /// Another account holds it.
    HeldByAnother,
}

/// Recovery codes in clear, with their hashes.
#[derive(Debug, Clone)]
pub struct FreshRecoveryCodes {
    /// As shown: `XXXX-XXXX-XXXX-XXXX`.
    pub codes: Vec<Secret<String>>,
    /// As kept.
    pub hashes: RecoveryCodeHashes,
}

/// The facts gathered so far for one command.
#[derive(Debug, Default)]
pub struct Evidence(Vec<Fact>);

impl Evidence {
    /// Nothing is known yet.
    pub fn new() -> Self {
        Self::default()
    }
    /// Adds what was found out.
    pub fn add(&mut self, fact: Fact) {
        self.0.push(fact);
    }
    /// The charges that were granted and are to be given back when the command succeeds.
    pub fn refundable(&self) -> Vec<Charge> {
        self.0
            .iter()
            .filter_map(|fact| match &fact.0 {
                Answered::Allowance(Allowance(charges), Ok(())) => Some(charges),
                _ => None,
            })
            .flatten()
            .filter(|charge| charge.refund_on_success)
            .cloned()
            .collect()
    }
    /// The answer to exactly this question, or what is needed for it.
    pub(crate) fn answer_to<Q: Question>(&self, question: Q) -> Result<&Q::Answer, Need> {
        match self.0.iter().find_map(|fact| question.answer_in(fact)) {
            Some(answer) => Ok(answer),
            None => Err(question.into()),
        }
    }
}
