//! What a decision needs from outside: slow hashes, derived codes, fresh codes, the limiter's word,
//! the claim of an address. The rules ask for it (`Need`), `execute` brings it (`Fact`), and a fact
//! for another hash, set or code than the state now asks for is no evidence.

use zeroize::Zeroize;

use crate::{
    events::{RecoveryCodeHash, RecoveryCodeHashes},
    ids::{AccountId, AccountNumber, MethodId},
    limits::Charge,
    secret::{Secret, SecretText},
    time::{Seconds, Timestamp},
    values::{Challenge, EmailAddress, PasswordHash, TotpSecret},
};

/// One thing that a decision needs to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Need {
    /// Whether the entered password has this hash (argon2id).
    PasswordMatches {
        /// The hash.
        hash: PasswordHash,
        /// What was entered.
        entered: SecretText,
    },
    /// The hash of a new password (argon2id).
    PasswordHash {
        /// The new password, already checked against the rules.
        new: SecretText,
    },
    /// The digits of a code that was ordered.
    Code(Challenge),
    /// The hash of an entered recovery code under a set's salt and parameters.
    RecoveryCodeHash {
        /// The set's hashes, for salt and parameters.
        set: RecoveryCodeHashes,
        /// The entered code, normalized.
        entered: Secret<String>,
    },
    /// Which of another system's recovery codes was entered (argon2id, bcrypt or SHA-256).
    ImportedCode {
        /// Their hashes, as PHC strings.
        hashes: Vec<String>,
        /// What was entered.
        entered: Secret<String>,
    },
    /// A fresh set of this many recovery codes.
    FreshRecoveryCodes {
        /// How many.
        count: u32,
    },
    /// The key that is offered to an account in this half-hour, for the authenticator app it may add next.
    OfferedTotpKey {
        /// The account.
        account_id: AccountId,
        /// The number of its next method.
        method_id: MethodId,
        /// Half-hours since 1970.
        half_hour: u64,
    },
    /// A number for an account to be.
    AccountNumber,
    /// The limiter's word on these charges.
    Allowance(Vec<Charge>),
    /// The claim of this address for the account.
    EmailClaim(EmailAddress),
}

/// The answer to a `Need`.
#[derive(Debug, Clone)]
pub enum Fact {
    /// For `PasswordMatches`.
    PasswordMatches(bool),
    /// For `PasswordHash`.
    PasswordHash(PasswordHash),
    /// For `Code`.
    Code(Secret<String>),
    /// For `RecoveryCodeHash`.
    RecoveryCodeHash(RecoveryCodeHash),
    /// For `ImportedCode`: its place, from 0.
    ImportedCode(Option<u32>),
    /// For `FreshRecoveryCodes`.
    FreshRecoveryCodes(FreshRecoveryCodes),
    /// For `OfferedTotpKey`.
    OfferedTotpKey(TotpSecret),
    /// For `AccountNumber`.
    AccountNumber(AccountNumber),
    /// For `Allowance`: granted, or how long to wait.
    Allowance(Result<(), Seconds>),
    /// For `EmailClaim`.
    EmailClaim(Claim),
}

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
pub struct Evidence(Vec<(Need, Fact)>);

impl Evidence {
    /// Nothing is known yet.
    pub fn new() -> Self {
        Self::default()
    }
    /// Adds what was found out.
    pub fn add(&mut self, need: Need, fact: Fact) {
        self.0.push((need, fact));
    }
    /// The charges that were granted and are to be given back when the command succeeds.
    pub fn refundable(&self) -> Vec<Charge> {
        self.0
            .iter()
            .filter_map(|(need, fact)| match (need, fact) {
                (Need::Allowance(charges), Fact::Allowance(Ok(()))) => Some(charges),
                _ => None,
            })
            .flatten()
            .filter(|charge| charge.refund_on_success)
            .cloned()
            .collect()
    }
    /// The fact for exactly this need, or the need itself.
    pub(crate) fn fact(&self, need: Need) -> Result<&Fact, Need> {
        self.0.iter().find(|(known, _)| *known == need).map(|(_, fact)| fact).ok_or(need)
    }
}

impl Drop for Need {
    fn drop(&mut self) {
        if let Self::Allowance(charges) = self {
            for charge in charges {
                charge.subject.zeroize();
            }
        }
    }
}
