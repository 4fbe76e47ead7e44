//! What a command's sender is told: an outcome, or a refusal.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    events::TotpAlgorithm,
    ids::{AccessTokenId, AccountId, AccountNumber, ApiKeyId, DeviceId, MethodId, SessionId, VerificationId},
    secret::{Secret, TokenSecret},
    time::{Seconds, Timestamp},
    values::{Aal, Amr, EmailAddress, FactorKind, MethodKind, Purpose, TotpSecret},
};

/// What a successful command tells. It may carry secrets that are shown once; it is kept only sealed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// An account was registered.
    Registered {
        /// Which.
        account_id: AccountId,
        /// Whether its address counts as confirmed.
        email_verified: bool,
    },
    /// The address is confirmed, or changed.
    EmailVerified,
    /// A code is on its way.
    CodeSent(CodeSent),
    /// The password is set.
    PasswordSet {
        /// The acting session, under its new token; none where the caller has none that goes on.
        session: Option<SignedIn>,
    },
    /// Signed in.
    SignedIn(SignedIn),
    /// Started; for a sign-in the password was right.
    VerificationStarted(StartedVerification),
    /// The right code.
    Verified(Verified),
    /// An authenticator app can be set up.
    TotpEnrollmentStarted(TotpEnrollment),
    /// A number is being enrolled, and its code is on its way.
    SmsEnrollmentStarted {
        /// The method to be.
        method_id: MethodId,
        /// The send.
        sent: CodeSent,
    },
    /// A method can be used.
    MethodEnabled {
        /// The method.
        method: MethodView,
        /// For the first one, the recovery codes.
        recovery_codes: Option<Vec<Secret<String>>>,
        /// The acting session, where enabling the first one raised it: its token is new.
        session: Option<SignedIn>,
    },
    /// A method was renamed or made the primary one.
    MethodChanged {
        /// The method.
        method: MethodView,
    },
    /// A method is gone.
    MethodDisabled {
        /// Whether 2FA is still on.
        two_factor_enabled: bool,
        /// How many are left.
        remaining_methods: u32,
    },
    /// Fresh recovery codes.
    RecoveryCodes {
        /// The codes.
        recovery_codes: Vec<Secret<String>>,
    },
    /// An access token was issued.
    AccessTokenIssued {
        /// Which.
        access_token_id: AccessTokenId,
        /// Its random part.
        secret: TokenSecret,
        /// Its end.
        expires_at: Timestamp,
    },
    /// Support removed all factors.
    TwoFactorReset {
        /// What the person comes back with, shown once.
        recovery_code: Secret<String>,
        /// Its end.
        expires_at: Timestamp,
    },
    /// Changes are stopped.
    ChangesFrozen {
        /// Until then.
        until: Timestamp,
    },
    /// A second support person has to approve the reset.
    TwoFactorResetRequested {
        /// Until then.
        expires_at: Timestamp,
    },
    /// Numbers of accounts were set aside.
    NumbersReserved {
        /// The first of them.
        first: AccountNumber,
        /// How many.
        count: u32,
    },
    /// An API key was issued.
    ApiKeyIssued {
        /// Which.
        api_key_id: ApiKeyId,
        /// Its random part.
        secret: TokenSecret,
    },
    /// The address is claimed for the account that asked.
    EmailClaimed,
    /// The order is the caller's to carry out.
    SendClaimed {
        /// 1 for the first try.
        attempt: u32,
        /// The gateway that it is to go to.
        provider: String,
    },
    /// The order was carried out, or is being carried out by another.
    SendTaken {
        /// An attempt of unknown outcome may be repeated then.
        retry_at: Option<Timestamp>,
    },
    /// No gateway is left that the order may go to.
    NoGatewayLeft,
    /// The try is over, without success.
    SendFailed {
        /// What follows.
        next: NextTry,
    },
    /// Done, with nothing to tell.
    Done,
}

/// What follows a try that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NextTry {
    /// The next gateway is asked at once.
    AtOnce,
    /// A gateway is asked again after a while.
    PutOff,
    /// None.
    Never,
}

/// A code that was ordered.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeSent {
    /// Masked address or number.
    pub sent_to: String,
    /// The code's end.
    pub expires_at: Timestamp,
    /// No resend before.
    pub resend_after: Timestamp,
}

/// A session that began, or one that goes on under a new token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedIn {
    /// The session.
    pub session_id: SessionId,
    /// The random part of its token.
    pub secret: TokenSecret,
    /// Its assurance level.
    pub aal: Aal,
    /// How it was proved.
    pub amr: Vec<Amr>,
    /// Its absolute end.
    pub expires_at: Timestamp,
    /// Unused this long, it ends.
    pub idle_timeout: Seconds,
    /// The device that the sign-in made known.
    #[serde(default)]
    pub device: Option<RememberedDevice>,
    /// Whether too many wrong ones suspended the imported recovery codes: it is time for new ones.
    #[serde(default)]
    pub recovery_codes_suspended: bool,
}

/// A device that the account knows from now on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RememberedDevice {
    /// The device.
    pub device_id: DeviceId,
    /// The random part of its token.
    pub secret: TokenSecret,
    /// It is a stranger's again then.
    pub expires_at: Timestamp,
}

/// A verification that was started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartedVerification {
    /// What to do next.
    pub verification: VerificationView,
    /// The random part of its own token, told once.
    pub secret: TokenSecret,
    /// The code that was sent by itself (the first identity check).
    pub sent: Option<CodeSent>,
}

impl StartedVerification {
    /// Masks the address as it was entered: the account may spell it otherwise, and one that is not there has none.
    pub fn spell_address(&mut self, entered: &EmailAddress) {
        if let Some(sent) = &mut self.sent {
            sent.sent_to = entered.masked();
        }
        for offered in &mut self.verification.methods {
            if offered.kind == FactorKind::Email && offered.hint.is_some() {
                offered.hint = Some(entered.masked());
            }
        }
    }
}

/// A verification as its driver may see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerificationView {
    /// Its id.
    pub id: VerificationId,
    /// What for.
    pub purpose: Purpose,
    /// How it stands.
    pub status: VerificationStatus,
    /// How it may be completed, the best first.
    pub methods: Vec<OfferedMethod>,
    /// Its end; once verified, the end of its use.
    pub expires_at: Timestamp,
}

/// How a verification stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VerificationStatus {
    /// Waiting for a code.
    Pending,
    /// Completed (and perhaps used).
    Verified,
    /// Over: by time, by wrong codes, or unused too long.
    Expired,
}

/// One way to complete a verification.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfferedMethod {
    /// The kind.
    pub kind: FactorKind,
    /// The method.
    pub method_id: Option<MethodId>,
    /// Its label, or masked address or number.
    pub hint: Option<String>,
    /// Whether a page should show this one first.
    pub default: bool,
    /// Until when this kind is locked.
    pub locked_until: Option<Timestamp>,
}

/// A completed verification.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verified {
    /// Which.
    pub verification_id: VerificationId,
    /// It may be used until then.
    pub usable_until: Timestamp,
    /// For a sign-in, the session; for one that raised the acting session, that session under its new token.
    pub session: Option<SignedIn>,
    /// After a recovery code, how many are left.
    pub recovery_codes_remaining: Option<u32>,
}

/// What an authenticator app is set up with; shown to the credential that began it, once.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TotpEnrollment {
    /// The method to be.
    pub method_id: MethodId,
    /// The shared key.
    pub secret: TotpSecret,
    /// Hash function.
    pub algorithm: TotpAlgorithm,
    /// Digits.
    pub digits: u8,
    /// Seconds of a step.
    pub period: u32,
    /// What the app shows as the account's name.
    pub account_name: String,
    /// The enrollment's end.
    pub expires_at: Timestamp,
}

/// A method as its owner sees it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MethodView {
    /// Its number.
    pub id: MethodId,
    /// Its kind.
    pub kind: MethodKind,
    /// Its name.
    pub label: Option<String>,
    /// For SMS the masked number.
    pub phone_number: Option<String>,
    /// Whether it is the primary one.
    pub is_primary: bool,
    /// Wrong codes of its kind in a row.
    pub fail_count: u32,
    /// Until when its kind is locked.
    pub locked_until: Option<Timestamp>,
    /// Since when it is there.
    pub created_at: Timestamp,
    /// When it last proved something.
    pub last_used: Option<Timestamp>,
}

/// `Debug` without what is personal: these are written to logs by accident, if at all.
macro_rules! debug_only {
    ($($name:ident { $($field:ident),+ })+) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name))$(.field(stringify!($field), &self.$field))+.finish_non_exhaustive()
            }
        }
    )+};
}

debug_only! {
    CodeSent { expires_at, resend_after }
    OfferedMethod { kind, method_id, default, locked_until }
    TotpEnrollment { method_id, expires_at }
    MethodView { id, kind, is_primary, fail_count, locked_until }
}

/// Why a command was not carried out. Each has one stable code and one HTTP status in `api`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// No valid credential, or it ended.
    #[error("no valid credential")]
    Unauthenticated,
    /// Unknown address or wrong password.
    #[error("unknown address or wrong password")]
    WrongCredentials,
    /// The address must be confirmed first.
    #[error("the address is not confirmed")]
    EmailNotVerified,
    /// The change needs a fresh verification for its purpose.
    #[error("a verification is required")]
    VerificationRequired {
        /// For this purpose.
        purpose: Purpose,
    },
    /// The credential may not do this.
    #[error("not allowed")]
    Forbidden,
    /// Nothing of this id that the caller may see.
    #[error("not found")]
    NotFound,
    /// The number or key is on the account already.
    #[error("this method is on the account already")]
    DuplicateMethod,
    /// The method is enabled already.
    #[error("enabled already")]
    AlreadyEnabled,
    /// It does not fit the state.
    #[error("conflicts with the present state")]
    Conflict,
    /// The verification or enrollment is over.
    #[error("the verification is over")]
    VerificationExpired,
    /// The code's time is over.
    #[error("the code has expired")]
    CodeExpired,
    /// There is no code yet that the entered one could be: it has to be ordered first.
    #[error("code: no code was sent this way: ask for one first")]
    NoCodeSent,
    /// A value that the rules do not allow.
    #[error("{field}: {detail}")]
    Invalid {
        /// The field.
        field: String,
        /// What it should be.
        detail: String,
    },
    /// Not the code.
    #[error("wrong code")]
    WrongCode {
        /// Wrong codes in a row, as the lock counts them.
        fail_count: u32,
        /// When that locked the kind.
        locked_until: Option<Timestamp>,
    },
    /// The kind is locked.
    #[error("the method is locked")]
    MethodLocked {
        /// Until then.
        locked_until: Timestamp,
        /// Seconds from now, rounded up.
        retry_after: Seconds,
    },
    /// A resend before its time.
    #[error("sent a moment ago")]
    ResendTooSoon {
        /// Seconds from now, rounded up.
        retry_after: Seconds,
    },
    /// A limit.
    #[error("too many")]
    RateLimited {
        /// Seconds from now, rounded up.
        retry_after: Seconds,
    },
    /// The account's address is new: until then its mailbox proves nothing but a sign-in.
    #[error("the address is new")]
    AddressIsNew {
        /// Seconds from now, rounded up.
        retry_after: Seconds,
    },
    /// A personal value of the account does not open, though its history does not say that it was erased.
    #[error("a personal value does not open")]
    Unreadable,
    /// Too many wrong codes in a row; a recovery code or support helps.
    #[error("too many wrong codes: use a recovery code or ask support")]
    AccountLocked,
}
