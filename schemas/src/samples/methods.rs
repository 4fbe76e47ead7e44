//! Methods, codes, locks, recovery codes, import.

use domain::{
    events::{
        AccountImported, CodeIssued, CodeRejected, CodeResent, Event, ImportedMethod, MethodDisabled, MethodEnabled,
        MethodLocked, MethodRelabelled, MethodUnlocked, PrimaryMethodChanged, RecoveryCodeHashes, RecoveryCodeUsed,
        RecoveryCodesGenerated, RecoveryCodesRevoked, RejectionReason, RevocationReason, SmsEnrollmentStarted,
        TotpAlgorithm, TotpEnrollmentStarted,
    },
    ids::{AccountId, AccountNumber, ApiKeyId, MethodId, SessionId, VerificationId},
    personal::Personal,
    values::{Channel, CodeForm, Credential, FactorKind, InvalidValue, MethodKind, Purpose, Side, TotpSecret},
};

use super::{at, email, free, hash, label, password, phone, uuid};

const VERIFICATION: u128 = 0x10;

pub(super) fn events() -> Result<Vec<Event>, InvalidValue> {
    let mut events = codes()?;
    events.extend(enrollments()?);
    events.extend(recovery_codes()?);
    Ok(events)
}

fn codes() -> Result<Vec<Event>, InvalidValue> {
    let verification_id = VerificationId(uuid(VERIFICATION));
    let number = phone()?;
    let (country, prefix) = (Some(number.country()), Some(number.prefix()));
    Ok(vec![
        CodeIssued {
            verification_id,
            purpose: Purpose::SignIn,
            channel: Channel::Sms,
            method_id: Some(MethodId(2)),
            issue: 1,
            to: Personal::Known(number.as_str().to_owned()),
            country: country.clone(),
            prefix: prefix.clone(),
            expires_at: at(10),
            resend_after: at(1),
            automatic: false,
            form: CodeForm::Letters,
        }
        .into(),
        CodeResent {
            verification_id,
            purpose: Purpose::SignIn,
            channel: Channel::Sms,
            method_id: Some(MethodId(2)),
            issue: 1,
            to: Personal::Known(number.as_str().to_owned()),
            country,
            prefix,
            expires_at: at(10),
            resend_after: at(2),
        }
        .into(),
        CodeRejected {
            verification_id,
            purpose: Purpose::SignIn,
            kind: FactorKind::Totp,
            method_id: Some(MethodId(1)),
            reason: RejectionReason::Wrong,
            verification_failures: 5,
            kind_failures: 5,
            account_failures: 7,
            account_locked: false,
            ended: false,
            clock_drift_steps: Some(-3),
            side: Side::Others,
            tell_owner: true,
        }
        .into(),
        MethodLocked { kind: FactorKind::Totp, locked_until: at(15), side: Side::Others }.into(),
        MethodUnlocked {
            kinds: vec![FactorKind::Totp, FactorKind::Sms],
            cap_lifted: true,
            reason: free("Called in, identity shown")?,
            by: Some(ApiKeyId(uuid(0x40))),
        }
        .into(),
    ])
}

fn enrollments() -> Result<Vec<Event>, InvalidValue> {
    let verification_id = VerificationId(uuid(VERIFICATION));
    let started_by = Credential::Session(SessionId(uuid(0x20)));
    let number = phone()?;
    Ok(vec![
        TotpEnrollmentStarted {
            method_id: MethodId(1),
            verification_id,
            secret: secret(),
            algorithm: TotpAlgorithm::Sha1,
            digits: 6,
            period: 30,
            started_by,
            attempts: 5,
            expires_at: at(60),
        }
        .into(),
        SmsEnrollmentStarted {
            method_id: MethodId(2),
            verification_id,
            country: number.country(),
            prefix: number.prefix(),
            phone_number: Personal::Known(number),
            started_by,
            attempts: 5,
            expires_at: at(60),
        }
        .into(),
        MethodEnabled {
            method_id: MethodId(1),
            kind: MethodKind::Totp,
            label: label("Phone at work")?,
            verification_id,
            totp_step: Some(59_666_666),
            is_primary: true,
        }
        .into(),
        MethodRelabelled { method_id: MethodId(1), label: label("Old phone")? }.into(),
        PrimaryMethodChanged { method_id: MethodId(2) }.into(),
        MethodDisabled { method_id: MethodId(1), kind: MethodKind::Totp, verification_id }.into(),
    ])
}

fn recovery_codes() -> Result<Vec<Event>, InvalidValue> {
    let verification_id = VerificationId(uuid(VERIFICATION));
    let number = phone()?;
    Ok(vec![
        RecoveryCodesGenerated {
            set: 2,
            codes: Personal::Known(RecoveryCodeHashes {
                salt: "000102030405060708090a0b0c0d0e0f".to_owned(),
                memory_kib: 4096,
                passes: 1,
                lanes: 1,
                hashes: vec![hash(0x01), hash(0x02)],
            }),
            count: 2,
            verification_id: Some(verification_id),
        }
        .into(),
        RecoveryCodeUsed { set: 2, index: 0, remaining: 1, verification_id }.into(),
        RecoveryCodesRevoked { set: 2, reason: RevocationReason::TwoFactorDisabled }.into(),
        AccountImported {
            account_id: AccountId(uuid(0x01)),
            email: email()?,
            email_verified: true,
            password: Some(password()),
            methods: vec![
                ImportedMethod::Totp {
                    method_id: MethodId(1),
                    secret: secret(),
                    algorithm: TotpAlgorithm::Sha256,
                    digits: 8,
                    period: 60,
                    secret_bits: 160,
                    label: label("Imported app")?,
                },
                ImportedMethod::Sms {
                    method_id: MethodId(2),
                    country: number.country(),
                    prefix: number.prefix(),
                    phone_number: Personal::Known(number),
                    label: label("Imported number")?,
                },
            ],
            recovery_codes: Some(Personal::Known(vec!["$2b$10$imported".to_owned()])),
            recovery_code_count: 1,
            number: Some(AccountNumber(8)),
        }
        .into(),
    ])
}

/// The secret of RFC 6238's test vectors.
fn secret() -> Personal<TotpSecret> {
    Personal::Known(TotpSecret::new(b"12345678901234567890".to_vec()))
}
