//! The state of one account, as its events make it. It holds what the rules ask about and nothing else;
//! what ended more than 24 hours before the last event is dropped.

mod growth;
mod takeovers;
mod tallies;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    commands::TotpParameters,
    events::{AskedWith, RecoveryCodeHashes},
    ids::{AccessTokenId, AccountId, AccountNumber, ApiKeyId, DeviceId, MethodId, SessionId, VerificationId},
    personal::Personal,
    secret::TokenHash,
    time::{Seconds, Timestamp},
    values::{
        Aal, Amr, Challenge, Channel, CodeForm, Country, Credential, EmailAddress, FactorKind, FreeText, Label,
        NumberPrefix, PasswordHash, PhoneNumber, Purpose, Side, TotpSecret,
    },
};

pub use growth::{Growth, LastHour};
pub use takeovers::{AddressChange, Freeze, ResetRequest, Standing, SupportReset};
pub use tallies::{ImportedCodes, Tallies, Tally};

/// Everything the rules know of one account. `Default` is the account that does not exist.
///
/// It derives serde for snapshots, which are sealed whole.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Its id; `None` before its first event.
    pub id: Option<AccountId>,
    /// Its number in this installation.
    pub number: Option<AccountNumber>,
    /// Where it stands in life.
    pub phase: Phase,
    /// When it was registered.
    pub registered_at: Option<Timestamp>,
    /// Time of its last event.
    pub last_event_at: Option<Timestamp>,
    /// Its address.
    pub email: Option<Personal<EmailAddress>>,
    /// Its password.
    pub password: Option<Personal<PasswordHash>>,
    /// Until then a text authorizes no change: it was the second factor of a password reset.
    pub changes_wait_until: Option<Timestamp>,
    /// When a wrong password was last recorded.
    pub password_rejected_at: Option<Timestamp>,
    /// Its methods.
    pub methods: BTreeMap<MethodId, Method>,
    /// The primary one.
    pub primary: Option<MethodId>,
    /// The number of the last method or enrollment.
    pub last_method_id: u32,
    /// What is being enrolled.
    pub enrollments: BTreeMap<MethodId, Enrollment>,
    /// Since when 2FA is on.
    pub two_factor_since: Option<Timestamp>,
    /// Support reset it, and no method was enabled since.
    pub reset: Option<SupportReset>,
    /// A reset that waits for a second approver.
    pub reset_requested: Option<ResetRequest>,
    /// Changes of address that can be undone, the oldest first.
    pub address_changes: Vec<AddressChange>,
    /// The address is new: until then its mailbox proves nothing but a sign-in.
    pub quiet_until: Option<Timestamp>,
    /// Changes are stopped.
    pub freeze: Option<Freeze>,
    /// The recovery codes.
    pub recovery: Option<RecoverySet>,
    /// The number of the last set.
    pub last_recovery_set: u32,
    /// Wrong codes, by whose they are.
    pub tallies: Tallies,
    /// When the owner was last told of wrong codes.
    pub told_of_wrong_codes_at: Option<Timestamp>,
    /// When the owner was last told of wrong recovery codes.
    pub told_of_recovery_codes_at: Option<Timestamp>,
    /// When the owner was last told of a right password that no second factor followed.
    pub told_of_unfinished_sign_in_at: Option<Timestamp>,
    /// Whether anybody ever signed in, here or where it came from: only then there are places to compare with.
    pub has_signed_in: bool,
    /// What support lifted in the last 24 hours.
    pub unlocks: Vec<Unlock>,
    /// How fast the history grows.
    pub growth: Growth,
    /// Verifications, pending and done.
    pub verifications: BTreeMap<VerificationId, Verification>,
    /// The sends of the last 24 hours.
    pub sends: Vec<Send>,
    /// Live sessions.
    pub sessions: BTreeMap<SessionId, Session>,
    /// Live access tokens.
    pub access_tokens: BTreeMap<AccessTokenId, AccessToken>,
    /// Devices that it knows.
    pub devices: BTreeMap<DeviceId, KnownDevice>,
}

/// Where an account stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// It does not exist.
    #[default]
    Absent,
    /// Its address is not confirmed; it ends then.
    Unconfirmed {
        /// Its end.
        expires_at: Timestamp,
    },
    /// Its address is confirmed.
    Confirmed,
    /// It was erased.
    Erased,
}

/// A method.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Method {
    /// What it is.
    pub device: Device,
    /// Its name.
    pub label: Personal<Label>,
    /// Since when it is there.
    pub created_at: Timestamp,
    /// When it last proved something.
    pub last_used: Option<Timestamp>,
}

/// What a method or an enrollment proves the possession of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Device {
    /// An authenticator app.
    Totp {
        /// The shared key.
        secret: Personal<TotpSecret>,
        /// Its parameters.
        parameters: TotpParameters,
        /// The last accepted step: only greater ones are accepted.
        last_step: Option<u64>,
    },
    /// A phone.
    Sms {
        /// Its number.
        phone_number: Personal<PhoneNumber>,
        /// Its country.
        country: Country,
        /// Its prefix.
        prefix: NumberPrefix,
    },
}

/// A method to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enrollment {
    /// What its codes are bound to.
    pub verification_id: VerificationId,
    /// What it is.
    pub device: Device,
    /// The credential it belongs to.
    pub started_by: Credential,
    /// Its end.
    pub expires_at: Timestamp,
    /// Wrong codes so far.
    pub failures: u32,
    /// Wrong codes that end it.
    pub attempts: u32,
    /// Ended by wrong codes.
    pub ended: bool,
    /// The last code that was sent for it.
    pub codes: Vec<IssuedCode>,
}

/// The current recovery codes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecoverySet {
    /// Counts the sets.
    pub set: u32,
    /// Their hashes.
    pub codes: RecoveryCodes,
    /// Which places are used.
    pub used: Vec<u32>,
    /// How many there were.
    pub count: u32,
    /// Since when.
    pub generated_at: Timestamp,
}

/// Where the hashes come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecoveryCodes {
    /// Ours: argon2id with one salt.
    Ours(Personal<RecoveryCodeHashes>),
    /// Another system's, as PHC strings.
    Imported(Personal<Vec<String>>),
}

impl RecoverySet {
    /// How many are left.
    pub fn remaining(&self) -> u32 {
        self.count.saturating_sub(u32::try_from(self.used.len()).unwrap_or(u32::MAX))
    }
}

/// Wrong codes in a row, and until when that locks a kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lock {
    /// Wrong codes in a row since the last success or lock.
    pub failures: u32,
    /// Locked until then.
    pub locked_until: Option<Timestamp>,
}

impl Lock {
    /// The end of the lock, while it lasts.
    pub fn locked_at(&self, now: Timestamp) -> Option<Timestamp> {
        self.locked_until.filter(|until| now < *until)
    }
    /// Wrong codes in a row as of now: when a lock has ended, the count restarts.
    pub fn failures_at(&self, now: Timestamp) -> u32 {
        match self.locked_until {
            Some(until) if now >= until => 0,
            _ => self.failures,
        }
    }
}

/// The locks of the three kinds that have one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Locks {
    /// TOTP.
    pub totp: Lock,
    /// SMS.
    pub sms: Lock,
    /// Email.
    pub email: Lock,
}

impl Locks {
    /// The lock of a kind; recovery codes have none.
    pub fn of(&self, kind: FactorKind) -> Option<&Lock> {
        match kind {
            FactorKind::Totp => Some(&self.totp),
            FactorKind::Sms => Some(&self.sms),
            FactorKind::Email => Some(&self.email),
            FactorKind::RecoveryCode => None,
        }
    }
    /// The lock of a kind, to be changed.
    pub fn of_mut(&mut self, kind: FactorKind) -> Option<&mut Lock> {
        match kind {
            FactorKind::Totp => Some(&mut self.totp),
            FactorKind::Sms => Some(&mut self.sms),
            FactorKind::Email => Some(&mut self.email),
            FactorKind::RecoveryCode => None,
        }
    }
}

/// A verification.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verification {
    /// What for.
    pub purpose: Purpose,
    /// The named action.
    pub action: Option<Personal<FreeText>>,
    /// The method it is about.
    pub target: Option<MethodId>,
    /// The credential it belongs to.
    pub started_by: Option<Credential>,
    /// Hash of its own token.
    pub token_hash: TokenHash,
    /// What was proved before.
    pub first_factor: Vec<Amr>,
    /// The address it proves.
    pub new_email: Option<Personal<EmailAddress>>,
    /// Whether completing it begins a session.
    pub yields_session: bool,
    /// When it started.
    pub started_at: Timestamp,
    /// How it stands.
    pub progress: Progress,
    /// What it was started with, where its code comes back alone.
    pub asked: Option<AskedWith>,
    /// The source network of a sign-in.
    pub source: Option<Personal<String>>,
    /// Once completed, the only source network that it is good for.
    pub good_from: Option<Personal<String>>,
    /// Wrong codes that end it, where a count does.
    pub attempts: Option<u32>,
    /// Wrong codes so far, recovery codes apart.
    pub failures: u32,
    /// Wrong recovery codes so far.
    pub recovery_failures: u32,
    /// Sends so far.
    pub sends: u32,
    /// The codes that were ordered.
    pub codes: Vec<IssuedCode>,
}

/// How a verification stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Progress {
    /// Waiting for a code.
    Pending {
        /// Its end.
        expires_at: Timestamp,
    },
    /// A password reset whose address is proved and that waits for a second factor.
    HalfDone {
        /// Its end.
        expires_at: Timestamp,
    },
    /// Completed.
    Verified {
        /// The kind that did it.
        kind: FactorKind,
        /// Its use ends then.
        usable_until: Timestamp,
    },
    /// Completed and used up.
    Used {
        /// When.
        at: Timestamp,
    },
    /// Ended by wrong codes.
    Failed {
        /// When.
        at: Timestamp,
    },
}

/// A code that was ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct IssuedCode {
    /// What it is derived from.
    pub challenge: Challenge,
    /// What it looks like.
    pub form: CodeForm,
    /// Its end.
    pub expires_at: Timestamp,
    /// No resend before.
    pub resend_after: Timestamp,
    /// When it was last sent.
    pub sent_at: Timestamp,
}

/// One send, for the account's own limits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Send {
    /// When.
    pub at: Timestamp,
    /// How.
    pub channel: Channel,
    /// The method or enrollment that was texted.
    pub method_id: Option<MethodId>,
    /// Whose it was.
    pub side: Side,
}

/// A session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Hash of its token.
    pub token_hash: TokenHash,
    /// Its assurance level.
    pub aal: Aal,
    /// How it was proved.
    pub amr: Vec<Amr>,
    /// When it began.
    pub started_at: Timestamp,
    /// Its absolute end.
    pub expires_at: Timestamp,
    /// Unused this long, it ends.
    pub idle_timeout: Seconds,
    /// When its password was typed; none for one that was begun with an access token or by an API client's word.
    pub password_at: Option<Timestamp>,
    /// When it proved a second factor that is not email.
    pub factor_at: Option<Timestamp>,
    /// The access token that it was begun with, and ends with.
    pub access_token_id: Option<AccessTokenId>,
    /// It may only enroll a method and set the password: the verification by support's recovery code that began it,
    /// which stands for the authorization.
    pub limited_by: Option<VerificationId>,
}

/// A device that a sign-in made known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownDevice {
    /// Hash of its token.
    pub token_hash: TokenHash,
    /// The session of the last sign-in that remembered it.
    pub session_id: SessionId,
    /// Since when it is known.
    pub known_since: Timestamp,
    /// When it was last remembered.
    pub remembered_at: Timestamp,
    /// It is a stranger's again then.
    pub expires_at: Timestamp,
}

/// One time that support lifted locks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unlock {
    /// When.
    pub at: Timestamp,
    /// By which API client; none for an operator.
    pub by: Option<ApiKeyId>,
}

/// A personal access token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessToken {
    /// Hash of its random part.
    pub token_hash: TokenHash,
    /// What it is called.
    pub name: Personal<FreeText>,
    /// When it was issued.
    pub issued_at: Timestamp,
    /// Its end.
    pub expires_at: Timestamp,
}
