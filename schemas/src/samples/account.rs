//! Sign-up, passwords, sessions, verifications.

use domain::{
    events::{
        AccessTokenIssued, AccessTokenRevoked, AccountErased, AccountRegistered, AskedWith, EmailChanged,
        EmailVerified, Event, PasswordRejected, PasswordSet, RetentionApplied, RevocationReason, SessionRevoked,
        SignedIn, SignedOut, TwoFactorDisabled, TwoFactorEnabled, TwoFactorReset, VerificationStarted,
        VerificationSucceeded,
    },
    ids::{AccessTokenId, AccountId, AccountNumber, ApiKeyId, MethodId, SessionId, VerificationId},
    time::Seconds,
    values::{Aal, Amr, Credential, FactorKind, InvalidValue, Purpose},
};

use super::{at, email, free, hash, password, uuid};

pub(super) fn events() -> Result<Vec<Event>, InvalidValue> {
    let verification_id = VerificationId(uuid(0x10));
    Ok(vec![
        AccountRegistered {
            account_id: AccountId(uuid(0x01)),
            email: email()?,
            password: Some(password()),
            registered_by: Some(ApiKeyId(uuid(0x40))),
            expires_at: at(24 * 60),
            number: Some(AccountNumber(7)),
        }
        .into(),
        EmailVerified { verification_id: Some(verification_id), vouched_by: Some(ApiKeyId(uuid(0x40))) }.into(),
        PasswordSet { password: password(), verification_id: Some(verification_id) }.into(),
        PasswordRejected { count: 3 }.into(),
        SignedIn {
            session_id: SessionId(uuid(0x20)),
            token_hash: hash(0x5e),
            aal: Aal::Aal2,
            amr: vec![Amr::Pwd, Amr::Otp, Amr::Mfa],
            expires_at: at(30 * 24 * 60),
            idle_timeout: Seconds::hours(24),
            verification_id: Some(verification_id),
            api_key_id: Some(ApiKeyId(uuid(0x40))),
        }
        .into(),
        SignedOut { session_id: SessionId(uuid(0x20)) }.into(),
        SessionRevoked {
            session_ids: vec![SessionId(uuid(0x20)), SessionId(uuid(0x21))],
            reason: RevocationReason::FactorChanged,
        }
        .into(),
        AccessTokenIssued {
            access_token_id: AccessTokenId(uuid(0x30)),
            token_hash: hash(0xac),
            name: free("Nightly backup")?,
            expires_at: at(365 * 24 * 60),
        }
        .into(),
        AccessTokenRevoked {
            access_token_ids: vec![AccessTokenId(uuid(0x30))],
            reason: RevocationReason::TwoFactorEnabled,
        }
        .into(),
        VerificationStarted {
            verification_id,
            purpose: Purpose::StepUp,
            action: Some(free("Transfer of 100")?),
            target: Some(MethodId(1)),
            started_by: Some(Credential::ApiClient(ApiKeyId(uuid(0x40)))),
            token_hash: hash(0x7e),
            first_factor: vec![Amr::Pwd],
            new_email: Some(email()?),
            yields_session: true,
            attempts: Some(5),
            expires_at: at(15),
            asked: Some(AskedWith { kind: FactorKind::Sms, method_id: Some(MethodId(2)) }),
        }
        .into(),
        VerificationSucceeded {
            verification_id,
            purpose: Purpose::StepUp,
            kind: FactorKind::Totp,
            method_id: Some(MethodId(1)),
            totp_step: Some(59_666_667),
            usable_until: at(10),
            needs_second_factor: false,
        }
        .into(),
        TwoFactorEnabled {}.into(),
        TwoFactorDisabled {}.into(),
        TwoFactorReset { reason: free("Lost phone, identity shown")?, method_ids: vec![MethodId(1), MethodId(2)] }
            .into(),
        EmailChanged { email: email()?, verification_id }.into(),
        AccountErased { verification_id: Some(verification_id) }.into(),
        RetentionApplied { before: at(0) }.into(),
    ])
}
