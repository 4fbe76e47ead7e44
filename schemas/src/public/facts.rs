//! The facts of each message.
//!
//! Every event is taken apart in full: whoever adds a field to one has to say here whether the world may
//! know it, or the table does not compile.

use domain::events::{
    AccessTokenIssued, AccessTokenRevoked, AccountErased, AccountImported, AccountRegistered, ApiKeyIssued,
    ApiKeyRevoked, ChangesFrozen, ChangesUnfrozen, CodeDelivered, CodeDeliveryFailed, CodeDispatched, CodeIssued,
    CodeRejected, CodeResent, DeviceForgotten, DeviceRemembered, EmailChangeUndone, EmailChanged, EmailClaimed,
    EmailReleased, EmailVerified, Event, FarewellOrdered, HistoryAccessed, MethodDisabled, MethodEnabled, MethodLocked,
    MethodRelabelled, MethodUnlocked, NumbersReserved, PasswordRejected, PasswordSet, PrimaryMethodChanged,
    RecoveryCodeUsed, RecoveryCodesGenerated, RecoveryCodesRevoked, RetentionApplied, SendOutcomeUnknown, SendStarted,
    SessionRenewed, SessionRevoked, SessionsCutOff, SessionsEnded, SignInUnfinished, SignedIn, SignedOut,
    SmsEnrollmentStarted, TotpEnrollmentStarted, TwoFactorDisabled, TwoFactorEnabled, TwoFactorReset,
    TwoFactorResetRequested, VerificationStarted, VerificationSucceeded,
};
use serde_json::{Map, Value, json};

/// What the world may know of an event; `None` keeps it silent.
trait Facts {
    fn facts(&self) -> Option<Value>;
}

macro_rules! every_event {
    ($($event:ident)+) => {
        /// What the world may know of an event; `None` keeps it silent.
        pub(super) fn of(event: &Event) -> Option<Value> {
            match event {
                $(Event::$event(event) => event.facts(),)+
            }
        }
    };
}
domain::for_every_event!(every_event);

macro_rules! told {
    ($($event:ident { $($told:ident),* } $(but not { $($kept:ident),* })?;)+) => {$(
        impl Facts for $event {
            fn facts(&self) -> Option<Value> {
                let Self { $($told,)* $($($kept: _,)*)? } = self;
                let facts: [(&str, Value); _] = [$((stringify!($told), json!($told))),*];
                Some(facts.into_iter().map(|(name, fact)| (name.to_owned(), fact)).collect::<Map<_, _>>().into())
            }
        }
    )+};
}

macro_rules! silent {
    ($($event:ident: $why:literal;)+) => {$(
        #[doc = $why]
        impl Facts for $event {
            fn facts(&self) -> Option<Value> {
                None
            }
        }
    )+};
}

silent! {
    EmailClaimed: "Who claims which address is bookkeeping, and the stream's name is a hash of the address.";
    EmailReleased: "As above.";
    NumbersReserved: "Bookkeeping.";
    RetentionApplied: "A note of the store to itself.";
}

told! {
    AccountRegistered { account_id, registered_by, expires_at, number } but not { email, password };
    EmailVerified { verification_id, vouched_by };
    PasswordSet { verification_id, changes_wait_until } but not { password };
    PasswordRejected { count };
    EmailChanged { verification_id, quiet_until, undo_until } but not { email, old_email, phone_numbers };
    EmailChangeUndone { change, kind, two_factor_since } but not { email, methods, recovery_codes };
    ChangesFrozen { change, until };
    ChangesUnfrozen { change };
    AccountErased { verification_id };
    FarewellOrdered { account_id, expires_at } but not { addresses };

    SignedIn {
        session_id, aal, amr, expires_at, idle_timeout, verification_id, api_key_id, access_token_id, is_limited,
        is_new_place
    } but not { token_hash };
    SessionRenewed { session_id, aal, amr, verification_id } but not { token_hash };
    DeviceRemembered { device_id, session_id, expires_at } but not { token_hash };
    DeviceForgotten { device_ids, reason };
    SignInUnfinished { verification_id };
    SessionsCutOff { before } but not { reason };
    SessionsEnded { by } but not { reason };
    SignedOut { session_id };
    SessionRevoked { session_ids, reason };
    AccessTokenIssued { access_token_id, expires_at, verification_id } but not { token_hash, name };
    AccessTokenRevoked { access_token_ids, reason };
    ApiKeyIssued { api_key_id, scopes, expires_at } but not { token_hash, name };
    ApiKeyRevoked {};
    HistoryAccessed { api_key_id, access, account_id };

    VerificationStarted { verification_id, purpose, target, started_by, first_factor, attempts, expires_at }
        but not { action, token_hash, new_email, yields_session, asked, source, replaces };
    CodeIssued {
        verification_id, purpose, channel, method_id, issue, country, prefix, expires_at, resend_after, automatic
    } but not { to, form, side };
    CodeResent { verification_id, purpose, channel, method_id, issue, country, prefix, expires_at, resend_after }
        but not { to, side };
    CodeRejected {
        verification_id, purpose, kind, method_id, reason, verification_failures, kind_failures, account_failures,
        account_locked, ended, clock_drift_steps, side, tell_owner
    };
    MethodLocked { kind, locked_until, side };
    MethodUnlocked { kinds, cap_lifted, by } but not { reason };
    VerificationSucceeded { verification_id, purpose, kind, method_id, usable_until, needs_second_factor, side }
        but not { totp_step, good_from };

    SendStarted {
        order_id, account_id, verification_id, subject, channel, country, prefix, provider, attempt, ordered_at,
        deadline
    };
    CodeDispatched { provider, attempt } but not { provider_message_id };
    CodeDelivered { provider, attempt };
    CodeDeliveryFailed { provider, attempt, reason, is_final };
    SendOutcomeUnknown { provider, attempt };

    TotpEnrollmentStarted { method_id, verification_id, algorithm, digits, period, started_by, expires_at }
        but not { secret, attempts };
    SmsEnrollmentStarted { method_id, verification_id, country, prefix, started_by, expires_at }
        but not { phone_number, attempts };
    MethodEnabled { method_id, kind, verification_id, is_primary } but not { label, totp_step };
    MethodRelabelled { method_id } but not { label };
    PrimaryMethodChanged { method_id };
    MethodDisabled { method_id, kind, verification_id };
    TwoFactorEnabled {};
    TwoFactorDisabled {};
    TwoFactorResetRequested { by, expires_at } but not { reason };
    TwoFactorReset { method_ids, code_expires_at, by } but not { reason, code, phone_numbers };
    RecoveryCodesGenerated { set, count, verification_id } but not { codes };
    RecoveryCodeUsed { set, index, remaining, verification_id };
    RecoveryCodesRevoked { set, reason };
}

impl Facts for AccountImported {
    fn facts(&self) -> Option<Value> {
        let Self {
            account_id,
            email: _,
            email_verified,
            password: _,
            methods,
            recovery_codes: _,
            recovery_code_count,
            number,
        } = self;
        Some(json!({
            "account_id": account_id,
            "email_verified": email_verified,
            "methods": methods.len(),
            "recovery_code_count": recovery_code_count,
            "number": number,
        }))
    }
}
