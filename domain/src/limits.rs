//! What the limiter is asked before a decision: which buckets a command charges.
//! The limiter keeps the counts under keyed hashes, beside the views; the rules are here.

use crate::{
    ids::VerificationId,
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
    /// Mails that confirm the new address of an account.
    ConfirmationMailsPerAddress,
    /// Wrong codes that confirm the new address of an account.
    ConfirmationFailuresPerAddress,
    /// Mails to one address that whoever knows it may ask for.
    StrangerMailsPerAddress,
    /// Wrong long codes from one source.
    LongCodesPerSource,
    /// Wrong long codes for one password reset, as whoever asked for it holds it.
    LongCodesPerReset,
    /// Wrong passwords for one address from one source network.
    PasswordsPerAddressAndSource,
    /// Wrong passwords for one address from unknown networks.
    PasswordsPerAddress,
    /// Wrong passwords from one source, over all addresses.
    PasswordsPerSource,
    /// Wrong passwords by one API client, over all addresses.
    PasswordsPerClient,
    /// Wrong passwords of a sign-in that a mailed code opened.
    OpenedSignIns,
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
            Self::StrangerMailsPerAddress => "stranger_mails_per_address",
            Self::LongCodesPerSource => "long_codes_per_source",
            Self::LongCodesPerReset => "long_codes_per_reset",
            Self::PasswordsPerAddressAndSource => "passwords_per_address_and_source",
            Self::PasswordsPerAddress => "passwords_per_address",
            Self::PasswordsPerSource => "passwords_per_source",
            Self::PasswordsPerClient => "passwords_per_client",
            Self::OpenedSignIns => "opened_sign_ins",
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

/// A mail with a code to an address that an account is to have instead of its own.
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

/// A mail with a code that confirms the address of a sign-up: counted over all sign-ups, and never refused to anybody.
/// Where it is full, one is in the mailbox already that is as good.
pub fn stranger_mail(policy: &Policy, to: &EmailAddress) -> Vec<Charge> {
    let limit = Limit { count: 1, window: policy.stranger_mail_every };
    vec![charge(LimitName::StrangerMailsPerAddress, to.canonical(), limit, false)]
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

/// A long code. Nobody guesses one; this keeps a source from making us try.
pub fn long_code_attempt(limits: &Limits, origin: &Origin) -> Vec<Charge> {
    vec![charge(LimitName::LongCodesPerSource, origin.network(), limits.long_codes_per_source, true)]
}

/// A long code of a reset: as many wrong ones as end it, for as long as it can be asked about. Each who asks for a reset
/// holds one of their own, so nobody uses up another's.
pub fn reset_attempt(policy: &Policy, reset: VerificationId) -> Charge {
    let window = Seconds(policy.verification_lives.0.saturating_mul(2));
    let limit = Limit { count: policy.confirmation_attempts, window };
    charge(LimitName::LongCodesPerReset, reset.to_string(), limit, true)
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

/// A password for an address, known or not, from one place: a network, or a device that the account knows, so that its
/// neighbours in the network do not use up its tries.
pub fn password_attempt(limits: &Limits, address: &EmailAddress, place: &str) -> Vec<Charge> {
    let subject = format!("{} {place}", address.canonical());
    vec![charge(LimitName::PasswordsPerAddressAndSource, subject, limits.passwords_per_address_and_source, true)]
}

/// The same from a network where nobody finished a sign-in to the address before, and from no device that it knows:
/// counted over all addresses too. An API client stands for many people in one place, so it is counted as what it is.
pub fn password_of_a_source(limits: &Limits, address: &EmailAddress, caller: &Caller, origin: &Origin) -> Vec<Charge> {
    let network = origin.network();
    let mut charges = password_attempt(limits, address, &network);
    charges.push(match caller {
        Caller::ApiClient(id, _) => {
            charge(LimitName::PasswordsPerClient, id.to_string(), limits.passwords_per_client, true)
        }
        _ => charge(LimitName::PasswordsPerSource, network, limits.passwords_per_source, true),
    });
    charges
}

/// The same, over all such places.
pub fn password_of_a_stranger(limits: &Limits, address: &EmailAddress) -> Vec<Charge> {
    vec![charge(LimitName::PasswordsPerAddress, address.canonical(), limits.passwords_per_address, true)]
}

/// A password beside a code that opened the sign-in. Counted for that mail alone: whoever reads the mailbox is kept out
/// by nobody's guesses.
pub fn opened_sign_in(limits: &Limits, mail: VerificationId) -> Vec<Charge> {
    vec![charge(LimitName::OpenedSignIns, mail.to_string(), limits.opened_sign_ins, true)]
}
