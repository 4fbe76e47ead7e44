//! What may be asked of an account. One variant per intention; who asks and when is in the `Context`.

use zeroize::Zeroize;

use crate::{
    events::{ImportedMethod, TotpAlgorithm},
    ids::{AccessTokenId, AccountId, DeviceId, MethodId, SessionId, VerificationId},
    secret::{Secret, SecretText, TokenHash, TokenSecret},
    values::{
        Channel, EmailAddress, EnteredCode, FactorKind, FreeText, Label, PasswordHash, PhoneNumber, Purpose, TotpSecret,
    },
};

/// A command to one account.
#[derive(Debug, Clone)]
pub enum Command {
    /// Sign up. Starts the confirmation of the address.
    RegisterAccount {
        /// The id of the account to be.
        account_id: AccountId,
        /// The address.
        email: EmailAddress,
        /// The password; may be left out by API clients only.
        password: Option<SecretText>,
        /// An API client's word that the address is the account's.
        vouch_for_email: bool,
    },
    /// Confirm the address (the account's first, or a new one) with its code.
    VerifyEmail {
        /// The code.
        code: EnteredCode,
    },
    /// Send the address's code again.
    ResendEmailCode,
    /// Set or change the password.
    SetPassword {
        /// The current one, when there is one.
        current: Option<SecretText>,
        /// The new one.
        new: SecretText,
    },
    /// Sign in with the password (or an access token, or an API client's word).
    SignIn {
        /// The password; none when the caller's credential stands for the first factor.
        password: Option<SecretText>,
        /// Wrong passwords that the limiter has seen for the address in its window, this one included.
        rejections: u32,
    },
    /// A worker: a sign-in with a password has ended, as far as it has, and nobody may have finished it.
    NoteUnfinishedSignIn {
        /// Which.
        verification_id: VerificationId,
    },
    /// End the caller's own session.
    SignOut,
    /// End another session of the account.
    RevokeSession {
        /// Which.
        session_id: SessionId,
    },
    /// End all sessions of the account but the acting one.
    EndOtherSessions,
    /// Support: end all sessions and access tokens.
    EndSessions {
        /// Why.
        reason: FreeText,
    },
    /// Make a device that the account knows a stranger's again.
    ForgetDevice {
        /// Which.
        device_id: DeviceId,
    },
    /// Issue a personal access token.
    IssueAccessToken {
        /// What it is called.
        name: FreeText,
        /// The verification that authorizes it.
        verification_id: Option<VerificationId>,
    },
    /// End a personal access token.
    RevokeAccessToken {
        /// Which.
        access_token_id: AccessTokenId,
    },
    /// Start a verification for a purpose.
    StartVerification {
        /// What for.
        purpose: Purpose,
        /// The named action (`step_up` only).
        action: Option<FreeText>,
        /// The method it is about.
        target: Option<MethodId>,
        /// The password, for a change on an account without methods.
        password: Option<SecretText>,
    },
    /// Start a verification by one kind, and order its code where that kind has one. Without a purpose
    /// (`open`) it takes that of the command which brings the code.
    StartCheck {
        /// `add_method` or `open`.
        purpose: Purpose,
        /// The kind.
        kind: FactorKind,
        /// The method, when there are several of the kind.
        method_id: Option<MethodId>,
    },
    /// A code together with what it authorizes: one decision, one append.
    CheckAndAct {
        /// The code.
        check: Check,
        /// What it is for.
        act: Act,
    },
    /// Order a code.
    SendCode {
        /// Within this verification or enrollment.
        verification_id: VerificationId,
        /// How it travels.
        channel: Channel,
        /// Which number, when there are several.
        method_id: Option<MethodId>,
    },
    /// Order the last code again.
    ResendCode {
        /// Within this verification or enrollment.
        verification_id: VerificationId,
        /// How it travels; the channel of the last send when left out.
        channel: Option<Channel>,
        /// Which number.
        method_id: Option<MethodId>,
    },
    /// Order the code of a number that is being enrolled again.
    ResendEnrollmentCode {
        /// The method to be.
        method_id: MethodId,
    },
    /// Try a code.
    SubmitCode {
        /// Within this verification.
        verification_id: VerificationId,
        /// The kind; left out, the shape of the code and the methods on file tell.
        kind: Option<FactorKind>,
        /// The method, when there are several of the kind.
        method_id: Option<MethodId>,
        /// The code.
        code: EnteredCode,
    },
    /// Try a recovery code.
    UseRecoveryCode {
        /// Within this verification.
        verification_id: VerificationId,
        /// The code.
        code: EnteredCode,
    },
    /// Begin to add an authenticator app.
    StartTotpEnrollment,
    /// Begin to add a phone number.
    StartSmsEnrollment {
        /// The number.
        phone_number: PhoneNumber,
    },
    /// Finish adding: the code of the new method.
    EnableMethod {
        /// The method to be.
        method_id: MethodId,
        /// Its code.
        code: EnteredCode,
        /// Its name.
        label: Option<Label>,
        /// Whether the answer can carry a new token: the first method then raises the acting session.
        raises_session: bool,
    },
    /// Hand out a key for an authenticator app; nothing is stored of it.
    OfferTotpKey,
    /// Add the authenticator app that was set up with an offered key.
    EnableOfferedTotp {
        /// The key, as it was handed out.
        secret: TotpSecret,
        /// The app's code.
        code: EnteredCode,
        /// Its name.
        label: Option<Label>,
    },
    /// Give a method another name, make it the primary one, or both.
    ChangeMethod {
        /// Which.
        method_id: MethodId,
        /// The name.
        label: Option<Label>,
        /// Whether it becomes the primary one.
        make_primary: bool,
    },
    /// Remove a method.
    DisableMethod {
        /// Which.
        method_id: MethodId,
        /// The verification that authorizes it.
        verification_id: Option<VerificationId>,
    },
    /// A fresh set of recovery codes.
    RegenerateRecoveryCodes {
        /// The verification that authorizes it.
        verification_id: Option<VerificationId>,
    },
    /// Support: lift locks and the cap.
    UnlockMethod {
        /// One kind, or all and the cap.
        kind: Option<FactorKind>,
        /// Why.
        reason: FreeText,
    },
    /// Support: remove all factors.
    ResetTwoFactor {
        /// Why.
        reason: FreeText,
    },
    /// Ask for another address: its code is sent there.
    ChangeEmail {
        /// The new one.
        email: EmailAddress,
        /// The current password, when there is one.
        password: Option<SecretText>,
        /// The verification that authorizes it.
        verification_id: Option<VerificationId>,
    },
    /// Take a change of address back, with the link that was mailed to the address of before.
    UndoEmailChange {
        /// The change.
        link: UndoLink,
        /// The address that is to be the account's again, as it was typed to confirm this.
        confirmation: EmailAddress,
        /// The password of then.
        password: SecretText,
        /// One of the methods or recovery codes of then, where there were any.
        factor: Option<SecondFactor>,
    },
    /// Text a code to a number of before the change, for its undo.
    SendUndoCode {
        /// The change.
        link: UndoLink,
        /// Which number, when there are several.
        method_id: Option<MethodId>,
    },
    /// Stop changes for a while, with nothing but the link of an undo.
    FreezeChanges {
        /// The change.
        link: UndoLink,
    },
    /// Let changes go on that the holder of an undo's link stopped: from a session that has just shown password and
    /// factor, with the mailbox.
    UnfreezeChanges {
        /// The verification that the mailbox completed.
        verification_id: Option<VerificationId>,
    },
    /// A forgotten password: its code is mailed to the address, unless one was a moment ago.
    RequestPasswordReset {
        /// The id of the mail's verification.
        verification_id: VerificationId,
    },
    /// A sign-in was refused where its owner might be: a code that opens it is mailed to the address, unless one was a
    /// moment ago.
    OpenSignIn {
        /// The id of the mail's verification.
        verification_id: VerificationId,
    },
    /// Finish it.
    ResetPassword {
        /// The reset, as whoever asked for it was told. Nothing is kept of it before the right code.
        verification_id: VerificationId,
        /// Hash of its token, which was looked at before.
        ticket: TokenHash,
        /// The code from the mail, unless an earlier call brought it.
        code: Option<EnteredCode>,
        /// With 2FA on, the second factor (not email), unless an earlier attempt brought it.
        second_factor: Option<SecondFactor>,
        /// The new password.
        new: SecretText,
    },
    /// Bring an account from elsewhere.
    ImportAccount {
        /// What is brought.
        import: Box<AccountImport>,
    },
    /// Erase the account.
    EraseAccount {
        /// The verification that authorizes it; none when an operator does it.
        verification_id: Option<VerificationId>,
    },
}

/// What the link of an undo says.
#[derive(Debug, Clone)]
pub struct UndoLink {
    /// The verification that proved the new address.
    pub change: VerificationId,
    /// What only the mail knows.
    pub secret: TokenSecret,
}

/// A code that comes with the command it authorizes.
#[derive(Debug, Clone)]
pub struct Check {
    /// The verification it belongs to. Without one a verification begins and ends with the command, by an
    /// authenticator app or a recovery code: nothing has to be sent for these.
    pub verification_id: Option<VerificationId>,
    /// The kind; left out, the verification or the method tells.
    pub kind: Option<FactorKind>,
    /// The method, when there are several of the kind.
    pub method_id: Option<MethodId>,
    /// The code.
    pub code: EnteredCode,
}

/// What a code may come with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// Sign in.
    SignIn,
    /// Be authorized to add one method.
    AuthorizeMethod,
    /// Remove a method.
    DisableMethod {
        /// Which; the one that the code is of when left out.
        method_id: Option<MethodId>,
    },
    /// A fresh set of recovery codes.
    RegenerateRecoveryCodes,
}

impl Act {
    /// The purpose of a verification for it.
    pub const fn purpose(self) -> Purpose {
        match self {
            Self::SignIn => Purpose::SignIn,
            Self::AuthorizeMethod => Purpose::AddMethod,
            Self::DisableMethod { .. } => Purpose::DisableMethod,
            Self::RegenerateRecoveryCodes => Purpose::RegenerateRecoveryCodes,
        }
    }
}

/// A code of another kind than email, presented together with a command.
#[derive(Debug, Clone)]
pub struct SecondFactor {
    /// The kind; left out, the shape tells.
    pub kind: Option<FactorKind>,
    /// The method.
    pub method_id: Option<MethodId>,
    /// The code.
    pub code: EnteredCode,
}

/// An account of another system, checked row by row before.
#[derive(Clone)]
pub struct AccountImport {
    /// The account.
    pub account_id: AccountId,
    /// Its address.
    pub email: EmailAddress,
    /// Whether the other system had confirmed it.
    pub email_verified: bool,
    /// Its password's hash, as a PHC string.
    pub password: Option<PasswordHash>,
    /// Its methods, numbered from 1.
    pub methods: Vec<ImportedMethod>,
    /// Its recovery codes, as PHC strings.
    pub recovery_codes: Vec<String>,
}

impl std::fmt::Debug for AccountImport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AccountImport").field("account_id", &self.account_id).finish_non_exhaustive()
    }
}

/// Parameters of the authenticator apps that are enrolled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct TotpParameters {
    /// Hash function.
    pub algorithm: TotpAlgorithm,
    /// Digits.
    pub digits: u8,
    /// Seconds of a step.
    pub period: u32,
}

impl TotpParameters {
    /// What every authenticator app understands: SHA-1, 6 digits, 30 seconds (RFC 6238).
    pub const DEFAULT: Self = Self { algorithm: TotpAlgorithm::Sha1, digits: 6, period: 30 };
}

/// Recovery codes in clear, shown once.
pub type RecoveryCodes = Vec<Secret<String>>;

/// Wipes what was entered.
impl Zeroize for SecondFactor {
    fn zeroize(&mut self) {
        self.code = Secret::new(String::new());
    }
}
