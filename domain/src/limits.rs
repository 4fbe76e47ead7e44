//! What the limiter is asked before a decision: which buckets a command charges.
//! The limiter keeps the counts under keyed hashes, beside the views; the rules are here.

use crate::{
    ids::{AccountId, VerificationId},
    policy::{Limit, Limits, Policy},
    time::Seconds,
    values::{Caller, EmailAddress, Origin, PhoneNumber},
};

/// Which rule a bucket belongs to. The name is part of the bucket's keyed hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LimitName {
    /// Texts to one number.
    TextsPerNumber,
    /// Texts to the numbers of one prefix.
    TextsPerPrefix,
    /// Codes ordered by one source.
    SendsPerSource,
    /// Mails that confirm one address.
    ConfirmationMailsPerAddress,
    /// Wrong codes that confirm one address.
    ConfirmationFailuresPerAddress,
    /// Wrong passwords for one address from one source network.
    PasswordsPerAddressAndSource,
    /// Wrong passwords for one address from unknown networks.
    PasswordsPerAddress,
    /// Wrong recovery codes from one source.
    RecoveryCodesPerSource,
    /// Wrong second factors from one source, over all accounts.
    SecondFactorsPerSource,
    /// Wrong second factors by one API client, over all accounts.
    SecondFactorsPerClient,
    /// Accounts registered by one source.
    RegistrationsPerSource,
}

impl LimitName {
    /// The stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::TextsPerNumber => "texts_per_number",
            Self::TextsPerPrefix => "texts_per_prefix",
            Self::SendsPerSource => "sends_per_source",
            Self::ConfirmationMailsPerAddress => "confirmation_mails_per_address",
            Self::ConfirmationFailuresPerAddress => "confirmation_failures_per_address",
            Self::PasswordsPerAddressAndSource => "passwords_per_address_and_source",
            Self::PasswordsPerAddress => "passwords_per_address",
            Self::RecoveryCodesPerSource => "recovery_codes_per_source",
            Self::SecondFactorsPerSource => "second_factors_per_source",
            Self::SecondFactorsPerClient => "second_factors_per_client",
            Self::RegistrationsPerSource => "registrations_per_source",
        }
    }
}

/// One bucket to be charged by one.
#[derive(Clone, PartialEq, Eq)]
pub struct Charge {
    /// The rule.
    pub name: LimitName,
    /// Whose bucket: an address, a number, a network. Personal; hashed under the look-up key at once.
    pub subject: String,
    /// How many in how long.
    pub limit: Limit,
    /// Given back when the command succeeds: what counts is failures.
    pub refund_on_success: bool,
}

impl std::fmt::Debug for Charge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Charge({})", self.name.name())
    }
}

fn charge(name: LimitName, subject: String, limit: Limit, refund_on_success: bool) -> Charge {
    Charge { name, subject, limit, refund_on_success }
}

/// A text to a number.
pub fn text(limits: &Limits, to: &PhoneNumber, origin: &Origin) -> Vec<Charge> {
    let mut charges: Vec<Charge> = limits
        .texts_per_number
        .iter()
        .map(|limit| charge(LimitName::TextsPerNumber, to.as_str().to_owned(), *limit, false))
        .collect();
    charges.push(charge(LimitName::TextsPerPrefix, to.prefix().0, limits.texts_per_prefix, false));
    charges.push(charge(LimitName::SendsPerSource, origin.network(), limits.sends_per_source, false));
    charges
}

/// A mail with a code to the confirmed address of an account.
pub fn mail(limits: &Limits, origin: &Origin) -> Vec<Charge> {
    vec![charge(LimitName::SendsPerSource, origin.network(), limits.sends_per_source, false)]
}

/// A mail with a code to an address that is not confirmed, or for a forgotten password.
pub fn confirmation_mail(limits: &Limits, to: &EmailAddress, origin: &Origin) -> Vec<Charge> {
    let mut charges = mail(limits, origin);
    charges.push(charge(
        LimitName::ConfirmationMailsPerAddress,
        to.canonical(),
        limits.confirmation_mails_per_address,
        false,
    ));
    charges
}

/// A code that confirms an address.
pub fn confirmation_attempt(limits: &Limits, address: &EmailAddress) -> Vec<Charge> {
    vec![charge(
        LimitName::ConfirmationFailuresPerAddress,
        address.canonical(),
        limits.confirmation_failures_per_address,
        true,
    )]
}

/// A code of a forgotten password's mail. Counted per account, which stands for its address: an account
/// that does not exist has an id of its own per address too, so the two are limited alike.
pub fn reset_attempt(limits: &Limits, account: AccountId) -> Vec<Charge> {
    vec![charge(
        LimitName::ConfirmationFailuresPerAddress,
        format!("password reset of {account}"),
        limits.confirmation_failures_per_address,
        true,
    )]
}

/// A password of before a change of address, with the link of its undo: bounded as those of a sign-in, and only who
/// holds the link can use that up.
pub fn undo_attempt(limits: &Limits, change: VerificationId, origin: &Origin) -> Vec<Charge> {
    let (by_source, all) = (limits.passwords_per_address_and_source, limits.passwords_per_address);
    let of_source = format!("undo of {change} {}", origin.network());
    vec![
        charge(LimitName::PasswordsPerAddressAndSource, of_source, by_source, true),
        charge(LimitName::PasswordsPerAddress, format!("undo of {change}"), all, true),
    ]
}

/// Where the wrong codes of a reset are counted that is of no account: as many as would end it, for as long as it can
/// be asked about.
pub fn made_up_reset(policy: &Policy, reset: VerificationId) -> Charge {
    let window = Seconds(policy.verification_lives.0.saturating_mul(2));
    charge(
        LimitName::ConfirmationFailuresPerAddress,
        format!("password reset {reset}"),
        Limit { count: policy.confirmation_attempts, window },
        false,
    )
}

/// A recovery code.
pub fn recovery_code_attempt(limits: &Limits, origin: &Origin) -> Vec<Charge> {
    vec![charge(LimitName::RecoveryCodesPerSource, origin.network(), limits.recovery_codes_per_source, true)]
}

/// A wrong second factor. An API client stands for many people in one place, so it is counted as what it is.
pub fn wrong_second_factor(limits: &Limits, caller: &Caller, origin: &Origin) -> Vec<Charge> {
    vec![match caller {
        Caller::ApiClient(id, _) => {
            charge(LimitName::SecondFactorsPerClient, id.to_string(), limits.second_factors_per_client, false)
        }
        _ => charge(LimitName::SecondFactorsPerSource, origin.network(), limits.second_factors_per_source, false),
    }]
}

/// A sign-up.
pub fn registration(limits: &Limits, origin: &Origin) -> Vec<Charge> {
    vec![charge(LimitName::RegistrationsPerSource, origin.network(), limits.registrations_per_source, false)]
}

/// A password for an address, known or not. `known_network`: someone signed in to this address from this
/// network before, so strangers cannot lock its owner out.
pub fn password_attempt(limits: &Limits, address: &EmailAddress, origin: &Origin, known_network: bool) -> Vec<Charge> {
    let mut charges = vec![charge(
        LimitName::PasswordsPerAddressAndSource,
        format!("{} {}", address.canonical(), origin.network()),
        limits.passwords_per_address_and_source,
        true,
    )];
    if !known_network {
        charges.push(charge(LimitName::PasswordsPerAddress, address.canonical(), limits.passwords_per_address, true));
    }
    charges
}
