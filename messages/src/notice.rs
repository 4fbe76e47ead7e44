//! What an account's holder is told of afterwards.

use domain::{
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
    },
    /// A method was removed.
    MethodDisabled {
        /// Its kind.
        kind: MethodKind,
    },
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
    /// Support lifted locks.
    Unlocked {
        /// Why; absent when it can no longer be read.
        reason: Option<String>,
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
    EmailChangedFrom,
    /// The account has another address; this goes to the new one.
    EmailChangedTo,
}
