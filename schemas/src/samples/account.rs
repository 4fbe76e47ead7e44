//! Sign-up, passwords, sessions, verifications.

use domain::{
    events::{
        AccessTokenIssued, AccessTokenRevoked, AccountErased, AccountRegistered, AskedWith, ChangesFrozen,
        ChangesUnfrozen, DeviceForgotten, DeviceRemembered, EmailChangeUndone, EmailChanged, EmailVerified, Event,
        PasswordRejected, PasswordSet, RecoveryCodeHashes, RestoredCodes, RestoredMethod, RetentionApplied,
        RevocationReason, SessionRenewed, SessionRevoked, SessionsCutOff, SessionsEnded, SignInUnfinished, SignedIn,
        SignedOut, TwoFactorDisabled, TwoFactorEnabled, TwoFactorReset, TwoFactorResetRequested, VerificationStarted,
        VerificationSucceeded,
    },
    ids::{AccessTokenId, AccountId, AccountNumber, ApiKeyId, DeviceId, MethodId, SessionId, VerificationId},
    personal::Personal,
    time::Seconds,
    values::{Aal, Amr, Credential, FactorKind, InvalidValue, MethodKind, Purpose, Side},
};

use super::{at, email, free, hash, label, password, phone, uuid};

pub(super) fn events() -> Result<Vec<Event>, InvalidValue> {
    let mut events = sessions()?;
    events.extend(changes()?);
    Ok(events)
}

fn sessions() -> Result<Vec<Event>, InvalidValue> {
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
        PasswordSet {
            password: password(),
            verification_id: Some(verification_id),
            changes_wait_until: Some(at(24 * 60)),
        }
        .into(),
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
            access_token_id: Some(AccessTokenId(uuid(0x30))),
            is_limited: false,
            is_new_place: true,
        }
        .into(),
        SessionRenewed {
            session_id: SessionId(uuid(0x20)),
            token_hash: hash(0x5f),
            aal: Aal::Aal2,
            amr: vec![Amr::Pwd, Amr::Otp, Amr::Mfa],
            verification_id: Some(verification_id),
        }
        .into(),
        DeviceRemembered {
            device_id: DeviceId(uuid(0x60)),
            token_hash: hash(0xde),
            session_id: SessionId(uuid(0x20)),
            expires_at: at(365 * 24 * 60),
        }
        .into(),
        DeviceForgotten { device_ids: vec![DeviceId(uuid(0x60))], reason: RevocationReason::Requested }.into(),
        SignInUnfinished { verification_id }.into(),
        SessionsCutOff { before: at(0), reason: free("Keys of the proxy were lost")? }.into(),
        SessionsEnded { reason: free("Laptop stolen, identity shown")?, by: Some(ApiKeyId(uuid(0x40))) }.into(),
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
            verification_id: Some(verification_id),
        }
        .into(),
        AccessTokenRevoked {
            access_token_ids: vec![AccessTokenId(uuid(0x30))],
            reason: RevocationReason::TwoFactorEnabled,
        }
        .into(),
    ])
}

fn changes() -> Result<Vec<Event>, InvalidValue> {
    let verification_id = VerificationId(uuid(0x10));
    Ok(vec![
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
            source: Some(Personal::Known("192.0.2.7".to_owned())),
            replaces: Some(VerificationId(uuid(0x11))),
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
            side: Side::KnownDevices,
            good_from: Some(Personal::Known("192.0.2.7".to_owned())),
        }
        .into(),
        TwoFactorEnabled {}.into(),
        TwoFactorDisabled {}.into(),
        TwoFactorResetRequested {
            reason: free("Lost phone, identity shown")?,
            by: Some(ApiKeyId(uuid(0x40))),
            expires_at: at(24 * 60),
        }
        .into(),
        TwoFactorReset {
            reason: free("Lost phone, identity shown")?,
            method_ids: vec![MethodId(1), MethodId(2)],
            code: Some(Personal::Known(RecoveryCodeHashes {
                salt: "000102030405060708090a0b0c0d0e0f".to_owned(),
                memory_kib: 4096,
                passes: 1,
                lanes: 1,
                hashes: vec![hash(0x03)],
            })),
            code_expires_at: Some(at(72 * 60)),
            by: Some(ApiKeyId(uuid(0x40))),
            phone_numbers: vec![Personal::Known(phone()?)],
        }
        .into(),
        EmailChanged {
            email: email()?,
            verification_id,
            old_email: Some(email()?),
            phone_numbers: vec![Personal::Known(phone()?)],
            quiet_until: Some(at(24 * 60)),
            undo_until: Some(at(7 * 24 * 60)),
        }
        .into(),
        EmailChangeUndone {
            change: verification_id,
            email: email()?,
            kind: Some(FactorKind::Totp),
            methods: vec![RestoredMethod {
                method_id: MethodId(2),
                kind: MethodKind::Sms,
                label: label("Phone at work")?,
                phone_number: Some(Personal::Known(phone()?)),
                country: Some(phone()?.country()),
                is_primary: true,
                created_at: at(-60),
                last_used: Some(at(-5)),
            }],
            two_factor_since: Some(at(-60)),
            recovery_codes: Some(RestoredCodes { set: 1, count: 10, remaining: 9, generated_at: at(-60) }),
        }
        .into(),
        ChangesFrozen { change: verification_id, until: at(24 * 60) }.into(),
        ChangesUnfrozen { change: verification_id }.into(),
        AccountErased { verification_id: Some(verification_id) }.into(),
        RetentionApplied { before: at(0) }.into(),
    ])
}
