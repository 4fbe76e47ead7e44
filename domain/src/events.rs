//! What happened. Every event carries outcomes (times, limits, counts as they were decided), so that
//! `evolve` never needs the policy. The structs are the current stored shapes; `schemas` holds their
//! names and versions.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    ids::{AccessTokenId, AccountId, AccountNumber, ApiKeyId, DeviceId, EventId, MethodId, SessionId, VerificationId},
    personal::Personal,
    secret::TokenHash,
    time::{Seconds, Timestamp},
    values::{
        Aal, Amr, Channel, CodeForm, Country, Credential, EmailAddress, FactorKind, FreeText, Label, MethodKind,
        NumberPrefix, PasswordHash, PhoneNumber, Purpose, Scopes, Side, TotpSecret,
    },
};

macro_rules! events {
    ($($(#[$doc:meta])* $name:ident { $($(#[$fdoc:meta])* $field:ident: $ty:ty,)* })+) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
            #[serde(deny_unknown_fields)]
            pub struct $name { $($(#[$fdoc])* pub $field: $ty,)* }

            impl From<$name> for Event {
                fn from(event: $name) -> Self {
                    Self::$name(event)
                }
            }
        )+

        /// Any event of any stream.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum Event {
            $($(#[$doc])* $name($name),)+
        }

        impl Event {
            /// The Rust name, which is also the first stored type name; `schemas` fixes it for good.
            pub const fn name(&self) -> &'static str {
                match self { $(Self::$name(_) => stringify!($name),)+ }
            }
        }

        /// Calls a macro with the names of all events, so that registries cannot miss one.
        #[macro_export]
        macro_rules! for_every_event {
            ($callback:ident) => { $callback! { $($name)+ } };
        }
    };
}

events! {
    /// An account begins. It cannot sign in before its address is confirmed.
    AccountRegistered {
        /// The account.
        account_id: AccountId,
        /// The address as entered.
        email: Personal<EmailAddress>,
        /// Absent when an API client registered it for the second factor alone.
        password: Option<Personal<PasswordHash>>,
        /// The API client that registered it.
        registered_by: Option<ApiKeyId>,
        /// An unconfirmed account ends then.
        expires_at: Timestamp,
        /// Its number in this installation; none where numbers were not given yet.
        number: Option<AccountNumber>,
    }
    /// The address belongs to whoever holds the account.
    EmailVerified {
        /// The verification whose code proved it; absent when an API client vouched.
        verification_id: Option<VerificationId>,
        /// The API client that vouched for it.
        vouched_by: Option<ApiKeyId>,
    }
    /// A password was set, changed or reset.
    PasswordSet {
        /// Its hash.
        password: Personal<PasswordHash>,
        /// The verification that stood for a forgotten one.
        verification_id: Option<VerificationId>,
        /// Changes have to wait until then, unless an app's code or a recovery code comes with them: the second
        /// factor of the reset was a text.
        changes_wait_until: Option<Timestamp>,
    }
    /// Wrong passwords; at most one such event per account and minute.
    PasswordRejected {
        /// How many wrong passwords the address has seen in the limiter's window.
        count: u32,
    }
    /// A session began.
    SignedIn {
        /// The session.
        session_id: SessionId,
        /// Hash of its token.
        token_hash: TokenHash,
        /// Its assurance level.
        aal: Aal,
        /// How it was proved.
        amr: Vec<Amr>,
        /// Its absolute end.
        expires_at: Timestamp,
        /// Unused this long, it ends.
        idle_timeout: Seconds,
        /// The verification of its second factor.
        verification_id: Option<VerificationId>,
        /// The API client that asked for it.
        api_key_id: Option<ApiKeyId>,
        /// The access token that it was begun with, and ends with.
        access_token_id: Option<AccessTokenId>,
        /// Whether it may only enroll a method and set the password: it was begun with support's recovery code.
        is_limited: bool,
        /// Whether neither the network nor the device was known to the account.
        is_new_place: bool,
    }
    /// A session has another token: its assurance rose, or the password changed. The old token is dead.
    SessionRenewed {
        /// The session.
        session_id: SessionId,
        /// Hash of its new token.
        token_hash: TokenHash,
        /// Its assurance level now.
        aal: Aal,
        /// How it was proved.
        amr: Vec<Amr>,
        /// The verification that raised it.
        verification_id: Option<VerificationId>,
    }
    /// A sign-in showed that this device is its owner's: its wrong codes are counted apart from strangers'.
    DeviceRemembered {
        /// The device.
        device_id: DeviceId,
        /// Hash of its token.
        token_hash: TokenHash,
        /// The session of that sign-in.
        session_id: SessionId,
        /// It is a stranger's again then.
        expires_at: Timestamp,
    }
    /// Devices are strangers' again.
    DeviceForgotten {
        /// Which.
        device_ids: Vec<DeviceId>,
        /// Why.
        reason: RevocationReason,
    }
    /// A right password was followed by no second factor in time: its owner is told.
    SignInUnfinished {
        /// The verification that was not completed.
        verification_id: VerificationId,
    }
    /// All sessions of the installation that began before are over.
    SessionsCutOff {
        /// The moment.
        before: Timestamp,
        /// Why.
        reason: Personal<FreeText>,
    }
    /// Support ended all sessions and access tokens of the account.
    SessionsEnded {
        /// Why.
        reason: Personal<FreeText>,
        /// The API client of the support person; none for an operator.
        by: Option<ApiKeyId>,
    }
    /// A session ended by its own wish.
    SignedOut {
        /// The session.
        session_id: SessionId,
    }
    /// Sessions were ended.
    SessionRevoked {
        /// Which.
        session_ids: Vec<SessionId>,
        /// Why.
        reason: RevocationReason,
    }
    /// A personal access token was issued.
    AccessTokenIssued {
        /// The token.
        access_token_id: AccessTokenId,
        /// Hash of its random part.
        token_hash: TokenHash,
        /// What its owner calls it.
        name: Personal<FreeText>,
        /// Its end.
        expires_at: Timestamp,
        /// The verification that it used up.
        verification_id: Option<VerificationId>,
    }
    /// Access tokens were ended.
    AccessTokenRevoked {
        /// Which.
        access_token_ids: Vec<AccessTokenId>,
        /// Why.
        reason: RevocationReason,
    }
    /// Someone is to be verified for one purpose.
    VerificationStarted {
        /// The verification.
        verification_id: VerificationId,
        /// What for.
        purpose: Purpose,
        /// The action that an API client named (`step_up`).
        action: Option<Personal<FreeText>>,
        /// The method it is about, when it was named.
        target: Option<MethodId>,
        /// The credential it belongs to; none for sign-up, sign-in and password reset.
        started_by: Option<Credential>,
        /// Hash of its own token.
        token_hash: TokenHash,
        /// What was proved before (the password, or an API client's word).
        first_factor: Vec<Amr>,
        /// The address whose control it proves, when that is not the account's own yet.
        new_email: Option<Personal<EmailAddress>>,
        /// Whether completing it begins a session (a sign-in, unless an API client without
        /// `sessions:issue` started it).
        yields_session: bool,
        /// Wrong codes that end it; absent where the locks of the kinds bound it instead.
        attempts: Option<u32>,
        /// Its end.
        expires_at: Timestamp,
        /// The kind and method it was started with, where its code comes back alone.
        asked: Option<AskedWith>,
        /// The source network of a sign-in, so that those of one source give way to each other.
        source: Option<Personal<String>>,
        /// The pending sign-in that gave way to it.
        replaces: Option<VerificationId>,
    }
    /// A one-time code was ordered. Its digits are derived, never stored.
    CodeIssued {
        /// The verification (or the enrollment's) that it is bound to.
        verification_id: VerificationId,
        /// What for.
        purpose: Purpose,
        /// How it travels.
        channel: Channel,
        /// The number it goes to; none for email.
        method_id: Option<MethodId>,
        /// Counts the codes of this verification, channel and method.
        issue: u32,
        /// The address or number.
        to: Personal<String>,
        /// Country of the number.
        country: Option<Country>,
        /// Prefix of the number.
        prefix: Option<NumberPrefix>,
        /// Its end.
        expires_at: Timestamp,
        /// No resend before.
        resend_after: Timestamp,
        /// Whether nobody asked for it (the first identity check).
        automatic: bool,
        /// What it looks like. Only six digits are ever sent again as they were.
        form: CodeForm,
        /// Whose send it was: each side has its own.
        side: Side,
    }
    /// The same code was ordered again.
    CodeResent {
        /// The verification (or the enrollment's) that it is bound to.
        verification_id: VerificationId,
        /// What for.
        purpose: Purpose,
        /// How it travels.
        channel: Channel,
        /// The number it goes to; none for email.
        method_id: Option<MethodId>,
        /// The issue that is repeated.
        issue: u32,
        /// The address or number.
        to: Personal<String>,
        /// Country of the number.
        country: Option<Country>,
        /// Prefix of the number.
        prefix: Option<NumberPrefix>,
        /// Its end, as first said.
        expires_at: Timestamp,
        /// No resend before.
        resend_after: Timestamp,
        /// Whose send it was.
        side: Side,
    }
    /// A wrong code.
    CodeRejected {
        /// The verification (or the enrollment's).
        verification_id: VerificationId,
        /// What for.
        purpose: Purpose,
        /// The kind that was tried.
        kind: FactorKind,
        /// The method, when one was meant.
        method_id: Option<MethodId>,
        /// Why; never told to the caller.
        reason: RejectionReason,
        /// Wrong codes of this verification or enrollment so far.
        verification_failures: u32,
        /// Wrong codes of this kind in a row, over the account. 0 where they do not count.
        kind_failures: u32,
        /// Wrong codes in a row over TOTP, SMS and email.
        account_failures: u32,
        /// Whether the cap is reached: those three are stopped.
        account_locked: bool,
        /// Whether this ended the verification or enrollment.
        ended: bool,
        /// How far the device's clock seems to be off, in steps; for support.
        clock_drift_steps: Option<i32>,
        /// Where it counts.
        side: Side,
        /// Whether the owner is told of it.
        tell_owner: bool,
    }
    /// A kind is locked.
    MethodLocked {
        /// Which.
        kind: FactorKind,
        /// Until then.
        locked_until: Timestamp,
        /// For whom.
        side: Side,
    }
    /// Support lifted locks and the cap.
    MethodUnlocked {
        /// The kinds.
        kinds: Vec<FactorKind>,
        /// Whether the account's count was cleared too.
        cap_lifted: bool,
        /// Why.
        reason: Personal<FreeText>,
        /// The API client of the support person; none for an operator.
        by: Option<ApiKeyId>,
    }
    /// A worker claimed an order: the delivery stream's first event, and again for a repeat.
    SendStarted {
        /// The event that ordered it.
        order_id: EventId,
        /// The account.
        account_id: AccountId,
        /// The verification that a code belongs to.
        verification_id: Option<VerificationId>,
        /// What it is: a purpose's name for codes, `notice` for notices.
        subject: String,
        /// How it travels.
        channel: Channel,
        /// Country of the number.
        country: Option<Country>,
        /// Prefix of the number.
        prefix: Option<NumberPrefix>,
        /// The gateway.
        provider: String,
        /// 1 for the first try.
        attempt: u32,
        /// When the order was given.
        ordered_at: Timestamp,
        /// Not to be sent after.
        deadline: Timestamp,
    }
    /// A gateway took it.
    CodeDispatched {
        /// The gateway.
        provider: String,
        /// The try.
        attempt: u32,
        /// The gateway's own id of it, for receipts.
        provider_message_id: Option<String>,
    }
    /// A receipt says it arrived.
    CodeDelivered {
        /// The gateway.
        provider: String,
        /// The try.
        attempt: u32,
    }
    /// It was not sent, or a receipt says it did not arrive.
    CodeDeliveryFailed {
        /// The gateway.
        provider: String,
        /// The try.
        attempt: u32,
        /// A short stable word, never the gateway's own text.
        reason: String,
        /// Whether nothing more will be tried.
        is_final: bool,
    }
    /// Nobody knows whether the gateway took it.
    SendOutcomeUnknown {
        /// The gateway.
        provider: String,
        /// The try.
        attempt: u32,
    }
    /// The right code.
    VerificationSucceeded {
        /// The verification.
        verification_id: VerificationId,
        /// What for.
        purpose: Purpose,
        /// The kind that proved it.
        kind: FactorKind,
        /// The method.
        method_id: Option<MethodId>,
        /// The accepted TOTP step.
        totp_step: Option<u64>,
        /// It may be used until then.
        usable_until: Timestamp,
        /// Whether it still waits for a second factor (a password reset with 2FA on).
        needs_second_factor: bool,
        /// Whose count it clears.
        side: Side,
        /// The only source network that may use it; any where absent.
        good_from: Option<Personal<String>>,
    }
    /// An authenticator app is being enrolled.
    TotpEnrollmentStarted {
        /// The number of the method to be.
        method_id: MethodId,
        /// What its codes are bound to.
        verification_id: VerificationId,
        /// The shared key.
        secret: Personal<TotpSecret>,
        /// `SHA1`, `SHA256` or `SHA512`.
        algorithm: TotpAlgorithm,
        /// Digits of a code, 6 to 8.
        digits: u8,
        /// Seconds of a step.
        period: u32,
        /// The credential it belongs to.
        started_by: Credential,
        /// Wrong codes that end it.
        attempts: u32,
        /// Its end.
        expires_at: Timestamp,
    }
    /// A phone number is being enrolled.
    SmsEnrollmentStarted {
        /// The number of the method to be.
        method_id: MethodId,
        /// What its codes are bound to.
        verification_id: VerificationId,
        /// The phone number.
        phone_number: Personal<PhoneNumber>,
        /// Its country.
        country: Country,
        /// Its prefix.
        prefix: NumberPrefix,
        /// The credential it belongs to.
        started_by: Credential,
        /// Wrong codes that end it.
        attempts: u32,
        /// Its end.
        expires_at: Timestamp,
    }
    /// A method can be used from now on.
    MethodEnabled {
        /// The method.
        method_id: MethodId,
        /// Its kind.
        kind: MethodKind,
        /// Its name.
        label: Personal<Label>,
        /// The authorization that it used up.
        verification_id: VerificationId,
        /// The step of the enrollment's code: the first that is spent.
        totp_step: Option<u64>,
        /// Whether it is the primary one.
        is_primary: bool,
    }
    /// A method has another name.
    MethodRelabelled {
        /// The method.
        method_id: MethodId,
        /// Its name.
        label: Personal<Label>,
    }
    /// Another method is the primary one.
    PrimaryMethodChanged {
        /// The method.
        method_id: MethodId,
    }
    /// A method is gone.
    MethodDisabled {
        /// The method.
        method_id: MethodId,
        /// Its kind.
        kind: MethodKind,
        /// The verification that it used up.
        verification_id: VerificationId,
    }
    /// The first method: signing in asks for a second factor from now on.
    TwoFactorEnabled {}
    /// The last method is gone: it does not any more.
    TwoFactorDisabled {}
    /// A fresh set of recovery codes; all earlier ones are dead.
    RecoveryCodesGenerated {
        /// Counts the sets of the account.
        set: u32,
        /// Their hashes.
        codes: Personal<RecoveryCodeHashes>,
        /// How many.
        count: u32,
        /// The verification that it used up; absent for the first set.
        verification_id: Option<VerificationId>,
    }
    /// A recovery code was used.
    RecoveryCodeUsed {
        /// Its set.
        set: u32,
        /// Its place in the set, from 0.
        index: u32,
        /// How many are left.
        remaining: u32,
        /// The verification it was used in.
        verification_id: VerificationId,
    }
    /// The recovery codes are dead.
    RecoveryCodesRevoked {
        /// Their set.
        set: u32,
        /// Why.
        reason: RevocationReason,
    }
    /// A support person asked for a reset that a second one has to approve.
    TwoFactorResetRequested {
        /// Why.
        reason: Personal<FreeText>,
        /// The API client of who asked; none for an operator.
        by: Option<ApiKeyId>,
        /// Nobody can approve it after.
        expires_at: Timestamp,
    }
    /// Support removed all factors.
    TwoFactorReset {
        /// Why.
        reason: Personal<FreeText>,
        /// The methods that are gone.
        method_ids: Vec<MethodId>,
        /// Hash of the recovery code that support hands over; none in resets of before there was one.
        code: Option<Personal<RecoveryCodeHashes>>,
        /// The end of that code.
        code_expires_at: Option<Timestamp>,
        /// The API client of the support person; none for an operator.
        by: Option<ApiKeyId>,
        /// The numbers that were on file: their owner is told by text too.
        phone_numbers: Vec<Personal<PhoneNumber>>,
    }
    /// The account has another address.
    EmailChanged {
        /// The new one.
        email: Personal<EmailAddress>,
        /// The verification that proved it.
        verification_id: VerificationId,
        /// The one before; none in changes of before it could be undone.
        old_email: Option<Personal<EmailAddress>>,
        /// The numbers on file: their owner is told by text too.
        phone_numbers: Vec<Personal<PhoneNumber>>,
        /// The new mailbox proves nothing but a sign-in until then.
        quiet_until: Option<Timestamp>,
        /// It can be undone, and the old address is reserved, until then.
        undo_until: Option<Timestamp>,
    }
    /// A change of address was undone: address, password, methods and recovery codes are as they stood before it.
    EmailChangeUndone {
        /// The verification that proved the address which is gone again.
        change: VerificationId,
        /// The address as it was.
        email: Personal<EmailAddress>,
        /// How its owner was proved beside the password of then; none where there was no method.
        kind: Option<FactorKind>,
        /// The methods that are on file again.
        methods: Vec<RestoredMethod>,
        /// Since when 2FA is on, as it is again.
        two_factor_since: Option<Timestamp>,
        /// The recovery codes that can be used again.
        recovery_codes: Option<RestoredCodes>,
    }
    /// Whoever holds the link of an undo, without its proofs, stopped changes for a while.
    ChangesFrozen {
        /// The verification of the change of address.
        change: VerificationId,
        /// Until then.
        until: Timestamp,
    }
    /// Password, factor and new mailbox together lifted that.
    ChangesUnfrozen {
        /// The verification of the change of address.
        change: VerificationId,
    }
    /// An account was brought from elsewhere.
    AccountImported {
        /// The account.
        account_id: AccountId,
        /// Its address.
        email: Personal<EmailAddress>,
        /// Whether its address counts as confirmed.
        email_verified: bool,
        /// Its password's hash.
        password: Option<Personal<PasswordHash>>,
        /// Its methods.
        methods: Vec<ImportedMethod>,
        /// Its recovery codes, as hashes of the other system.
        recovery_codes: Option<Personal<Vec<String>>>,
        /// How many of those.
        recovery_code_count: u32,
        /// Its number in this installation; none where numbers were not given yet.
        number: Option<AccountNumber>,
    }
    /// The account is erased: its data key goes next.
    AccountErased {
        /// The verification that authorized it; absent when an operator did it.
        verification_id: Option<VerificationId>,
    }
    /// The owner of an erased account is to be told, at the addresses that go with it.
    FarewellOrdered {
        /// The account that was.
        account_id: AccountId,
        /// The address and those that an undo could have brought back, sealed under the key of the farewell's own stream.
        addresses: Vec<Personal<EmailAddress>>,
        /// Nobody is told after, and that key is gone.
        expires_at: Timestamp,
    }
    /// Metadata older than this may be dropped from views and exports.
    RetentionApplied {
        /// The moment.
        before: Timestamp,
    }
    /// An account claims the address.
    EmailClaimed {
        /// The account, sealed under the key of the claim's own stream.
        account_id: Personal<AccountId>,
    }
    /// The address is free again.
    EmailReleased {
        /// Why.
        reason: RevocationReason,
    }
    /// Numbers of accounts were set aside, to be given away one by one.
    NumbersReserved {
        /// The first of them.
        first: AccountNumber,
        /// How many.
        count: u32,
    }
    /// An API client got a key.
    ApiKeyIssued {
        /// The key.
        api_key_id: ApiKeyId,
        /// Hash of its random part.
        token_hash: TokenHash,
        /// What it is called.
        name: Personal<FreeText>,
        /// What it may do.
        scopes: Scopes,
        /// Its end, if it has one.
        expires_at: Option<Timestamp>,
    }
    /// The key ended.
    ApiKeyRevoked {}
    /// Someone read the history.
    HistoryAccessed {
        /// Who.
        api_key_id: Option<ApiKeyId>,
        /// How: `export`, `replay`, `state`, `stream`, `pii`.
        access: HistoryAccess,
        /// Whose, when it was one account's.
        account_id: Option<AccountId>,
    }
}

/// A method that an undo brought back, for who knows no earlier states.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RestoredMethod {
    /// Its number.
    pub method_id: MethodId,
    /// Its kind.
    pub kind: MethodKind,
    /// Its name.
    pub label: Personal<Label>,
    /// The phone number.
    pub phone_number: Option<Personal<PhoneNumber>>,
    /// Country of the number.
    pub country: Option<Country>,
    /// Whether it is the primary one.
    pub is_primary: bool,
    /// Since when it was there.
    pub created_at: Timestamp,
    /// When it last proved something.
    pub last_used: Option<Timestamp>,
}

/// The recovery codes that an undo brought back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RestoredCodes {
    /// Their set.
    pub set: u32,
    /// How many there were.
    pub count: u32,
    /// How many are left.
    pub remaining: u32,
    /// Since when.
    pub generated_at: Timestamp,
}

/// What a verification was started with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AskedWith {
    /// The kind.
    pub kind: FactorKind,
    /// The method; none for email.
    pub method_id: Option<MethodId>,
}

/// Why something was ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RevocationReason {
    /// Its owner asked for it.
    Requested,
    /// A factor was added or removed.
    FactorChanged,
    /// 2FA was turned on.
    TwoFactorEnabled,
    /// The last method is gone.
    TwoFactorDisabled,
    /// A fresh set took its place.
    Replaced,
    /// The password was changed.
    PasswordChanged,
    /// The address was changed.
    EmailChanged,
    /// Support reset the account.
    Reset,
    /// The account was erased.
    Erased,
    /// A claim that was never completed was taken over.
    Abandoned,
    /// The access token that it was begun with ended.
    AccessTokenEnded,
    /// A change of address was undone.
    Undone,
    /// Support ended it.
    Support,
}

/// Why a code was not accepted. For auditors; callers always read `wrong_code`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RejectionReason {
    /// Not the code.
    Wrong,
    /// Right once, and spent.
    Replayed,
    /// The address is held by another account.
    AddressHeld,
}

/// How the history was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HistoryAccess {
    /// An export.
    Export,
    /// A replay, step by step.
    Replay,
    /// A state as of a moment.
    State,
    /// The live stream of events.
    Stream,
    /// Personal data in clear.
    Pii,
}

/// Hash function of RFC 6238, section 1.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TotpAlgorithm {
    /// HMAC-SHA-1, what every app understands.
    #[serde(rename = "SHA1")]
    Sha1,
    /// HMAC-SHA-256.
    #[serde(rename = "SHA256")]
    Sha256,
    /// HMAC-SHA-512.
    #[serde(rename = "SHA512")]
    Sha512,
}

/// The hashes of one set of recovery codes: argon2id, one salt for all, so that an attempt costs one hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecoveryCodeHashes {
    /// The salt, hex.
    pub salt: String,
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Passes.
    pub passes: u32,
    /// Lanes.
    pub lanes: u32,
    /// 32-byte hashes, in order.
    pub hashes: Vec<RecoveryCodeHash>,
}

/// The hash of one recovery code.
pub type RecoveryCodeHash = TokenHash;

/// A method of an imported account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum ImportedMethod {
    /// An authenticator app.
    Totp {
        /// Its number.
        method_id: MethodId,
        /// The shared key.
        secret: Personal<TotpSecret>,
        /// Hash function.
        algorithm: TotpAlgorithm,
        /// Digits.
        digits: u8,
        /// Seconds of a step.
        period: u32,
        /// Bits of the key; under 128 it is marked as weak.
        secret_bits: u32,
        /// Its name.
        label: Personal<Label>,
    },
    /// A phone number.
    Sms {
        /// Its number.
        method_id: MethodId,
        /// The phone number.
        phone_number: Personal<PhoneNumber>,
        /// Its country.
        country: Country,
        /// Its prefix.
        prefix: NumberPrefix,
        /// Its name.
        label: Personal<Label>,
    },
}
