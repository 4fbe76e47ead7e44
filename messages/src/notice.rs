//! What an account's holder is told of afterwards.

use domain::{
    secret::SecretText,
    time::Timestamp,
    values::{FactorKind, MethodKind},
};

/// Something that happened to an account and that its holder must hear of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// A method was added.
    MethodEnabled {
        /// Its kind.
        kind: MethodKind,
        /// What it was added with.
        by: Hand,
    },
    /// A method was removed.
    MethodDisabled {
        /// Its kind.
        kind: MethodKind,
    },
    /// A method has another name.
    MethodRelabelled,
    /// Another method is the primary one.
    PrimaryMethodChanged,
    /// The first method: 2FA is on.
    TwoFactorEnabled,
    /// The last method is gone: 2FA is off.
    TwoFactorDisabled,
    /// A fresh set of recovery codes; the earlier ones are dead.
    RecoveryCodesRegenerated,
    /// A recovery code was used.
    RecoveryCodeUsed {
        /// How many are left.
        remaining: u32,
    },
    /// Wrong codes locked a kind.
    MethodLocked {
        /// Which.
        kind: FactorKind,
        /// Until then.
        locked_until: Timestamp,
    },
    /// Several wrong codes in a row.
    WrongCodes,
    /// Wrong recovery codes.
    WrongRecoveryCodes,
    /// Wrong codes reached the account's cap.
    AccountLocked,
    /// A right password that no second factor followed.
    SignInUnfinished,
    /// A sign-in from a network and a device that were not seen before.
    NewPlace {
        /// The source address, as far as it is known.
        from: Option<String>,
    },
    /// A personal access token was issued.
    AccessTokenIssued {
        /// Its end.
        expires_at: Timestamp,
    },
    /// Support lifted locks.
    Unlocked {
        /// Why; absent when it can no longer be read.
        reason: Option<String>,
    },
    /// Support ended all sessions and access tokens.
    SessionsEnded {
        /// Why; absent when it can no longer be read.
        reason: Option<String>,
    },
    /// Support asked for a reset that a second person has to approve.
    ResetRequested {
        /// Why; absent when it can no longer be read.
        reason: Option<String>,
        /// It is void after.
        expires_at: Timestamp,
    },
    /// Support removed all factors.
    TwoFactorReset {
        /// Why; absent when it can no longer be read.
        reason: Option<String>,
    },
    /// The password was set or changed.
    PasswordChanged,
    /// A forgotten password was replaced.
    PasswordReset,
    /// The account has another address; this goes to the one before.
    EmailChangedFrom {
        /// How its holder takes it back; none where that is not possible.
        undo: Option<Undo>,
    },
    /// The account has another address; this goes to the new one.
    EmailChangedTo,
    /// A change of address was undone; this goes to the address that is the account's again.
    EmailChangeUndone,
    /// A change of address was undone; this goes to the one that is not the account's any more.
    EmailChangeUndoneFrom,
    /// Whoever holds the link of an undo stopped changes.
    ChangesFrozen {
        /// Until then.
        until: Timestamp,
    },
    /// Changes are possible again.
    ChangesUnfrozen,
    /// The account is erased: this is the last mail.
    AccountErased,
}

/// What a change was made with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hand {
    /// A session.
    Session,
    /// A personal access token.
    AccessToken,
    /// An application, with a key of its own.
    Application,
}

/// How a change of address is taken back. Whoever has it can at least stop changes, so it goes to the old address alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undo {
    /// The token.
    pub token: SecretText,
    /// Its end.
    pub until: Timestamp,
}
