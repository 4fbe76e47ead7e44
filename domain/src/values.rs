//! The words and numbers of the domain: addresses, numbers, kinds, channels, purposes.

mod callers;
mod texts;

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ids::{MethodId, VerificationId};

pub use callers::{Actor, Caller, Credential, Origin, PresentedDevice};
pub(crate) use texts::is_separator;
pub use texts::{
    Country, EmailAddress, EnteredCode, FreeText, InvalidNumber, InvalidValue, Label, NumberPrefix, PasswordHash,
    PhoneNumber, TotpSecret, normalize_long_code, normalize_recovery_code,
};

/// What a second factor can be proved with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FactorKind {
    /// An authenticator app (RFC 6238).
    Totp,
    /// A code by SMS.
    Sms,
    /// A code by email: the first identity check, and an explicit fallback.
    Email,
    /// One of the ten recovery codes.
    RecoveryCode,
}

impl FactorKind {
    /// The stable name, as in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Totp => "totp",
            Self::Sms => "sms",
            Self::Email => "email",
            Self::RecoveryCode => "recovery_code",
        }
    }
}

/// What can be enrolled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MethodKind {
    /// An authenticator app.
    Totp,
    /// A phone number that receives SMS.
    Sms,
}

impl MethodKind {
    /// The factor that a method of this kind proves.
    pub const fn factor(self) -> FactorKind {
        match self {
            Self::Totp => FactorKind::Totp,
            Self::Sms => FactorKind::Sms,
        }
    }
}

/// How a code travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    /// Text message.
    Sms,
    /// Mail.
    Email,
}

impl Channel {
    /// The factor that a code over this channel proves.
    pub const fn factor(self) -> FactorKind {
        match self {
            Self::Sms => FactorKind::Sms,
            Self::Email => FactorKind::Email,
        }
    }
}

/// Whose wrong codes are counted together: those from devices that the account knows, or those of everybody else.
/// Each side has its own locks and its own cap, so that neither can use up the other's tries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// A live session, an access token, or a device that an earlier sign-in made known.
    KnownDevices,
    /// Everybody else.
    Others,
}

/// What a verification, and every code in it, is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// The address of a new account.
    ConfirmEmail,
    /// The new address of an account.
    ConfirmNewEmail,
    /// The authorization to change the address.
    ChangeEmail,
    /// The second factor after the password.
    SignIn,
    /// The authorization to add one method.
    AddMethod,
    /// A number or device that is being enrolled.
    Enroll,
    /// Removing a method.
    DisableMethod,
    /// A fresh set of recovery codes.
    RegenerateRecoveryCodes,
    /// Taking a change of the address back: a factor of before it.
    UndoEmailChange,
    /// Lifting a stop of changes: the mailbox, beside what the session has shown.
    UnfreezeChanges,
    /// Issuing a personal access token.
    IssueAccessToken,
    /// Erasing the account.
    EraseAccount,
    /// A forgotten password.
    ResetPassword,
    /// Letting one client try passwords whose network is refused.
    OpenSignIn,
    /// Any named action of an API client.
    StepUp,
    /// Not said yet: the command that brings the code says it (clients of the vast.ai API).
    Open,
}

impl Purpose {
    /// Whether completing it authorizes a change of the account.
    pub const fn is_change(self) -> bool {
        match self {
            Self::AddMethod
            | Self::DisableMethod
            | Self::RegenerateRecoveryCodes
            | Self::ChangeEmail
            | Self::IssueAccessToken
            | Self::EraseAccount => true,
            Self::ConfirmEmail
            | Self::ConfirmNewEmail
            | Self::SignIn
            | Self::Enroll
            | Self::ResetPassword
            | Self::OpenSignIn
            | Self::UndoEmailChange
            | Self::UnfreezeChanges
            | Self::StepUp
            | Self::Open => false,
        }
    }

    /// The stable name, as in JSON and in the derivation of codes.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ConfirmEmail => "confirm_email",
            Self::ConfirmNewEmail => "confirm_new_email",
            Self::ChangeEmail => "change_email",
            Self::SignIn => "sign_in",
            Self::AddMethod => "add_method",
            Self::Enroll => "enroll",
            Self::DisableMethod => "disable_method",
            Self::RegenerateRecoveryCodes => "regenerate_recovery_codes",
            Self::UndoEmailChange => "undo_email_change",
            Self::UnfreezeChanges => "unfreeze_changes",
            Self::IssueAccessToken => "issue_access_token",
            Self::EraseAccount => "erase_account",
            Self::ResetPassword => "reset_password",
            Self::OpenSignIn => "open_sign_in",
            Self::StepUp => "step_up",
            Self::Open => "open",
        }
    }
}

/// A one-time code that was ordered: everything its digits are derived from, beside the account's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Challenge {
    /// The verification that the code is bound to.
    pub verification_id: VerificationId,
    /// What it is for.
    pub purpose: Purpose,
    /// How it travels.
    pub channel: Channel,
    /// The SMS method or enrollment it goes to; `None` for email.
    pub method_id: Option<MethodId>,
    /// 1 for the first code of this verification, channel and method; a resend after expiry counts on.
    pub issue: u32,
}

/// What a code looks like that was sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CodeForm {
    /// Six digits: a credential or the right password came first, and locks bound the guesses.
    #[default]
    Digits,
    /// Twelve characters of Crockford's base32: whoever knows an address may ask for it, so it must need no lock.
    Letters,
}

/// Authenticator assurance level (NIST SP 800-63B, section 4) of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Aal {
    /// One factor, or a password with an email code.
    Aal1,
    /// A password with TOTP, SMS or a recovery code.
    Aal2,
}

/// Authentication method references (RFC 8176 where it has a name, ours for the rest).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Amr {
    /// Password.
    Pwd,
    /// One-time password of an authenticator app.
    Otp,
    /// Code by SMS.
    Sms,
    /// More than one factor.
    Mfa,
    /// Code by email (ours).
    Email,
    /// Recovery code (ours).
    RecoveryCode,
}

/// What an API client may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Scope {
    /// Manage API keys.
    #[serde(rename = "admin")]
    Admin,
    /// Create accounts, start verifications, enroll and remove methods.
    #[serde(rename = "accounts:write")]
    AccountsWrite,
    /// Receive sessions of sign-ins it started.
    #[serde(rename = "sessions:issue")]
    SessionsIssue,
    /// Introspect tokens.
    #[serde(rename = "introspect")]
    Introspect,
    /// Query the security console's views.
    #[serde(rename = "security:read")]
    SecurityRead,
    /// Unlock and reset accounts.
    #[serde(rename = "support:write")]
    SupportWrite,
    /// Read the history.
    #[serde(rename = "audit:read")]
    AuditRead,
    /// See personal data of the history in clear.
    #[serde(rename = "audit:pii")]
    AuditPii,
}

impl Scope {
    /// All of them, with their names.
    pub const ALL: [(Self, &'static str); 8] = [
        (Self::Admin, "admin"),
        (Self::AccountsWrite, "accounts:write"),
        (Self::SessionsIssue, "sessions:issue"),
        (Self::Introspect, "introspect"),
        (Self::SecurityRead, "security:read"),
        (Self::SupportWrite, "support:write"),
        (Self::AuditRead, "audit:read"),
        (Self::AuditPii, "audit:pii"),
    ];
    /// The stable name.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(scope, _)| *scope == self).map_or("", |(_, name)| name)
    }
    /// The scope of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, n)| *n == name).map(|(scope, _)| *scope)
    }
}

/// Scopes of one key.
pub type Scopes = BTreeSet<Scope>;
