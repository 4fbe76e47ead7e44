//! Any event and any command, with any fields: from a small pool of ids, so that they meet, and with
//! numbers and times at their ends.

use domain::{
    commands::{AccountImport, Act, Check, Command, SecondFactor},
    events::*,
    ids::*,
    personal::Personal,
    secret::{Secret, TokenHash},
    time::{Seconds, Timestamp},
    values::*,
};
use uuid::Uuid;

use crate::{histories::*, kit::*};

/// A small generator (SplitMix64): one seed, one history.
pub struct Any(pub u64);

impl Any {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
    pub fn bool(&mut self) -> bool {
        self.below(2) == 0
    }
    pub fn of<T: Clone>(&mut self, from: &[T]) -> T {
        from[usize::try_from(self.below(from.len() as u64)).unwrap()].clone()
    }
    pub fn count(&mut self) -> u32 {
        let any = u32::try_from(self.below(1 << 32)).unwrap();
        self.of(&[0, 1, 2, 3, 5, 99, 100, u32::MAX - 1, u32::MAX, any])
    }
    pub fn time(&mut self) -> Timestamp {
        let near = i64::try_from(self.below(200_000_000)).unwrap();
        let near = START.as_millis() + near - 100_000_000;
        Timestamp::from_millis(self.of(&[0, 1, i64::MAX, START.as_millis(), near, near, near, near]))
    }
    fn option<T>(&mut self, some: impl FnOnce(&mut Self) -> T) -> Option<T> {
        if self.bool() { Some(some(self)) } else { None }
    }
    fn list<T>(&mut self, mut item: impl FnMut(&mut Self) -> T) -> Vec<T> {
        (0..self.below(4)).map(|_| item(self)).collect()
    }
    fn personal<T>(&mut self, value: T) -> Personal<T> {
        if self.below(8) == 0 { Personal::Erased } else { Personal::Known(value) }
    }
    fn id(&mut self) -> Uuid {
        let number = self.below(4);
        Uuid::from_u128(u128::from(number) + 0xf1)
    }
    pub fn verification(&mut self) -> VerificationId {
        VerificationId(self.id())
    }
    pub fn method(&mut self) -> MethodId {
        MethodId(self.of(&[0, 1, 2, 3, 4, u32::MAX]))
    }
    fn session(&mut self) -> SessionId {
        SessionId(self.id())
    }
    fn token(&mut self) -> AccessTokenId {
        AccessTokenId(self.id())
    }
    fn hash(&mut self) -> TokenHash {
        let byte = u8::try_from(self.below(4)).unwrap();
        hash_of(byte)
    }
    fn kind(&mut self) -> FactorKind {
        self.of(&[FactorKind::Totp, FactorKind::Sms, FactorKind::Email, FactorKind::RecoveryCode])
    }
    fn method_kind(&mut self) -> MethodKind {
        self.of(&[MethodKind::Totp, MethodKind::Sms])
    }
    fn channel(&mut self) -> Channel {
        self.of(&[Channel::Sms, Channel::Email])
    }
    fn purpose(&mut self) -> Purpose {
        self.of(&[
            Purpose::ConfirmEmail,
            Purpose::ConfirmNewEmail,
            Purpose::SignIn,
            Purpose::AddMethod,
            Purpose::Enroll,
            Purpose::DisableMethod,
            Purpose::RegenerateRecoveryCodes,
            Purpose::ChangeEmail,
            Purpose::IssueAccessToken,
            Purpose::EraseAccount,
            Purpose::ResetPassword,
            Purpose::UndoEmailChange,
            Purpose::UnfreezeChanges,
            Purpose::OpenSignIn,
            Purpose::StepUp,
            Purpose::Open,
        ])
    }
    fn device(&mut self) -> DeviceId {
        DeviceId(self.id())
    }
    fn side(&mut self) -> Side {
        self.of(&[Side::KnownDevices, Side::Others])
    }
    fn amr(&mut self) -> Vec<Amr> {
        self.list(|any| any.of(&[Amr::Pwd, Amr::Otp, Amr::Sms, Amr::Mfa, Amr::Email, Amr::RecoveryCode]))
    }
    fn credential(&mut self) -> Credential {
        let (session, token) = (self.session(), self.token());
        self.of(&[Credential::Session(session), Credential::AccessToken(token), Credential::ApiClient(KEY)])
    }
    fn email(&mut self) -> EmailAddress {
        self.of(&[email(), new_email()])
    }
    fn number(&mut self) -> PhoneNumber {
        number(self.of(&[NUMBER, OTHER_NUMBER, THIRD_NUMBER]))
    }
    fn secret(&mut self) -> TotpSecret {
        let (length, byte) = (self.of(&[0, 10, 20, 64]), u8::try_from(self.below(3)).unwrap());
        TotpSecret::new(vec![byte; length])
    }
    fn algorithm(&mut self) -> TotpAlgorithm {
        self.of(&[TotpAlgorithm::Sha1, TotpAlgorithm::Sha256, TotpAlgorithm::Sha512])
    }
    fn digits(&mut self) -> u8 {
        self.of(&[0, 6, 7, 8, 255])
    }
    fn reason(&mut self) -> RevocationReason {
        self.of(&[RevocationReason::Requested, RevocationReason::Erased, RevocationReason::Abandoned])
    }
    fn step(&mut self) -> Option<u64> {
        let near = step_at(START) + self.below(5);
        self.option(|any| any.of(&[0, near, u64::MAX]))
    }
    fn hashes(&mut self) -> RecoveryCodeHashes {
        let count = self.of(&[0, 1, 10]);
        recovery_codes(SALT, count).1
    }
    fn code(&mut self) -> String {
        let recovery = recovery_codes(SALT, 10).0.remove(0);
        let near = code_of(1, step_at(START));
        self.of(&["000000".to_owned(), near, recovery, String::new(), "12345678".to_owned(), "\u{0}é🦀-".to_owned()])
    }
    fn imported(&mut self) -> ImportedMethod {
        let (id, name) = (self.method(), label("x"));
        if self.bool() {
            let secret = self.secret();
            ImportedMethod::Totp {
                method_id: id,
                secret: self.personal(secret),
                algorithm: self.algorithm(),
                digits: self.digits(),
                period: self.count(),
                secret_bits: self.count(),
                label: self.personal(name),
            }
        } else {
            let number = self.number();
            ImportedMethod::Sms {
                method_id: id,
                country: number.country(),
                prefix: number.prefix(),
                phone_number: self.personal(number),
                label: self.personal(name),
            }
        }
    }

    #[expect(clippy::too_many_lines, reason = "one arm per event")]
    pub fn event(&mut self) -> Event {
        let (verification_id, method_id) = (self.verification(), self.method());
        let (email, number, secret) = (self.email(), self.number(), self.secret());
        let (provider, free) = ("one".to_owned(), text("x"));
        let expires_at = self.time();

        match self.below(50) {
            0 => AccountRegistered {
                account_id: ACCOUNT,
                email: self.personal(email),
                password: self.option(|any| any.personal(password_hash(PASSWORD))),
                registered_by: self.option(|_| KEY),
                expires_at,
                number: self.option(|any| AccountNumber(any.count())),
            }
            .into(),
            1 => EmailVerified { verification_id: self.option(Self::verification), vouched_by: None }.into(),
            2 => PasswordSet {
                password: self.personal(password_hash(PASSWORD)),
                verification_id: self.option(Self::verification),
                changes_wait_until: self.option(Self::time),
            }
            .into(),
            3 => PasswordRejected { count: self.count() }.into(),
            4 => SignedIn {
                session_id: self.session(),
                token_hash: self.hash(),
                aal: self.of(&[Aal::Aal1, Aal::Aal2]),
                amr: self.amr(),
                expires_at,
                idle_timeout: Seconds(self.count()),
                verification_id: self.option(Self::verification),
                api_key_id: self.option(|_| KEY),
                access_token_id: self.option(Self::token),
                is_limited: self.bool(),
                is_new_place: self.bool(),
            }
            .into(),
            5 => SignedOut { session_id: self.session() }.into(),
            6 => SessionRevoked { session_ids: self.list(Self::session), reason: self.reason() }.into(),
            7 => AccessTokenIssued {
                access_token_id: self.token(),
                token_hash: self.hash(),
                name: self.personal(free),
                expires_at,
                verification_id: None,
            }
            .into(),
            8 => AccessTokenRevoked { access_token_ids: self.list(Self::token), reason: self.reason() }.into(),
            9 => VerificationStarted {
                verification_id,
                purpose: self.purpose(),
                action: self.option(|any| any.personal(free)),
                target: self.option(Self::method),
                started_by: self.option(Self::credential),
                token_hash: self.hash(),
                first_factor: self.amr(),
                new_email: None,
                yields_session: self.bool(),
                attempts: self.option(Self::count),
                expires_at,
                asked: self.option(|any| AskedWith { kind: any.kind(), method_id: any.option(Self::method) }),
                source: self.option(|any| any.personal("192.0.2.7".to_owned())),
                replaces: self.option(Self::verification),
            }
            .into(),
            10 => CodeIssued {
                verification_id,
                purpose: self.purpose(),
                channel: self.channel(),
                method_id: self.option(Self::method),
                issue: self.count(),
                to: self.personal("x".to_owned()),
                country: None,
                prefix: None,
                expires_at,
                resend_after: self.time(),
                automatic: self.bool(),
                form: if self.bool() { CodeForm::Letters } else { CodeForm::Digits },
                side: self.side(),
            }
            .into(),
            11 => CodeResent {
                verification_id,
                purpose: self.purpose(),
                channel: self.channel(),
                method_id: self.option(Self::method),
                issue: self.count(),
                to: self.personal("x".to_owned()),
                country: None,
                prefix: None,
                expires_at,
                resend_after: self.time(),
                side: self.side(),
            }
            .into(),
            12 => CodeRejected {
                verification_id,
                purpose: self.purpose(),
                kind: self.kind(),
                method_id: self.option(Self::method),
                reason: self.of(&[RejectionReason::Wrong, RejectionReason::Replayed, RejectionReason::AddressHeld]),
                verification_failures: self.count(),
                kind_failures: self.count(),
                account_failures: self.count(),
                account_locked: self.below(8) == 0,
                ended: self.bool(),
                clock_drift_steps: self.option(|any| any.of(&[i32::MIN, 0, i32::MAX])),
                side: self.side(),
                tell_owner: self.bool(),
            }
            .into(),
            13 => MethodLocked { kind: self.kind(), locked_until: expires_at, side: self.side() }.into(),
            14 => MethodUnlocked {
                kinds: self.list(Self::kind),
                cap_lifted: self.bool(),
                reason: self.personal(free),
                by: None,
            }
            .into(),
            15 => SendStarted {
                order_id: EventId(self.id()),
                account_id: ACCOUNT,
                verification_id: self.option(Self::verification),
                subject: "notice".to_owned(),
                channel: self.channel(),
                country: None,
                prefix: None,
                provider,
                attempt: self.count(),
                ordered_at: self.time(),
                deadline: expires_at,
            }
            .into(),
            16 => CodeDispatched { provider, attempt: self.count(), provider_message_id: None }.into(),
            17 => CodeDelivered { provider, attempt: self.count() }.into(),
            18 => CodeDeliveryFailed {
                provider,
                attempt: self.count(),
                reason: "refused".to_owned(),
                is_final: self.bool(),
            }
            .into(),
            19 => SendOutcomeUnknown { provider, attempt: self.count() }.into(),
            20 => VerificationSucceeded {
                verification_id,
                purpose: self.purpose(),
                kind: self.kind(),
                method_id: self.option(Self::method),
                totp_step: self.step(),
                usable_until: expires_at,
                needs_second_factor: self.bool(),
                side: self.side(),
                good_from: self.option(|any| any.personal("192.0.2.7".to_owned())),
            }
            .into(),
            21 => TotpEnrollmentStarted {
                method_id,
                verification_id,
                secret: self.personal(secret),
                algorithm: self.algorithm(),
                digits: self.digits(),
                period: self.count(),
                started_by: self.credential(),
                attempts: self.count(),
                expires_at,
            }
            .into(),
            22 => SmsEnrollmentStarted {
                method_id,
                verification_id,
                country: number.country(),
                prefix: number.prefix(),
                phone_number: self.personal(number),
                started_by: self.credential(),
                attempts: self.count(),
                expires_at,
            }
            .into(),
            23 => MethodEnabled {
                method_id,
                kind: self.method_kind(),
                label: self.personal(label("x")),
                verification_id,
                totp_step: self.step(),
                is_primary: self.bool(),
            }
            .into(),
            24 => MethodRelabelled { method_id, label: self.personal(label("y")) }.into(),
            25 => PrimaryMethodChanged { method_id }.into(),
            26 => MethodDisabled { method_id, kind: self.method_kind(), verification_id }.into(),
            27 => TwoFactorEnabled {}.into(),
            28 => TwoFactorDisabled {}.into(),
            29 => {
                let codes = self.hashes();
                RecoveryCodesGenerated {
                    set: self.count(),
                    codes: self.personal(codes),
                    count: self.count(),
                    verification_id: self.option(Self::verification),
                }
                .into()
            }
            30 => {
                let (set, index, remaining) = (self.count(), self.count(), self.count());
                RecoveryCodeUsed { set, index, remaining, verification_id }.into()
            }
            31 => RecoveryCodesRevoked { set: self.count(), reason: self.reason() }.into(),
            32 => TwoFactorReset {
                reason: self.personal(free),
                method_ids: self.list(Self::method),
                code: None,
                code_expires_at: self.option(Self::time),
                by: None,
                phone_numbers: vec![],
            }
            .into(),
            33 => EmailChanged {
                email: self.personal(email),
                verification_id,
                old_email: None,
                phone_numbers: vec![],
                quiet_until: self.option(Self::time),
                undo_until: self.option(Self::time),
            }
            .into(),
            34 => AccountImported {
                account_id: ACCOUNT,
                email: self.personal(email),
                email_verified: self.bool(),
                password: self.option(|any| any.personal(password_hash(PASSWORD))),
                methods: self.list(Self::imported),
                recovery_codes: self.option(|any| any.personal(vec!["x".to_owned()])),
                recovery_code_count: self.count(),
                number: self.option(|any| AccountNumber(any.count())),
            }
            .into(),
            // Rare, or little would be left to look at.
            35 if self.below(10) == 0 => AccountErased { verification_id: self.option(Self::verification) }.into(),
            36 if self.bool() => {
                FarewellOrdered { account_id: ACCOUNT, addresses: vec![self.personal(email)], expires_at }.into()
            }
            35 | 36 => RetentionApplied { before: expires_at }.into(),
            37 => EmailClaimed { account_id: self.personal(ACCOUNT) }.into(),
            38 if self.bool() => NumbersReserved { first: AccountNumber(self.count()), count: self.count() }.into(),
            38 => EmailReleased { reason: self.reason() }.into(),
            39 => ApiKeyIssued {
                api_key_id: KEY,
                token_hash: self.hash(),
                name: self.personal(free),
                scopes: Scopes::new(),
                expires_at: self.option(Self::time),
            }
            .into(),
            40 => SessionRenewed {
                session_id: self.session(),
                token_hash: self.hash(),
                aal: self.of(&[Aal::Aal1, Aal::Aal2]),
                amr: self.amr(),
                verification_id: self.option(Self::verification),
            }
            .into(),
            41 => DeviceRemembered {
                device_id: self.device(),
                token_hash: self.hash(),
                session_id: self.session(),
                expires_at,
            }
            .into(),
            42 => DeviceForgotten { device_ids: self.list(Self::device), reason: self.reason() }.into(),
            43 => SignInUnfinished { verification_id }.into(),
            44 => SessionsCutOff { before: expires_at, reason: self.personal(free) }.into(),
            45 => TwoFactorResetRequested { reason: self.personal(free), by: self.option(|_| KEY), expires_at }.into(),
            46 => EmailChangeUndone {
                change: verification_id,
                email: self.personal(email),
                kind: self.option(Self::kind),
                methods: Vec::new(),
                two_factor_since: None,
                recovery_codes: None,
            }
            .into(),
            47 if self.bool() => SessionsEnded { reason: self.personal(free), by: self.option(|_| KEY) }.into(),
            47 => ChangesFrozen { change: verification_id, until: expires_at }.into(),
            48 => ChangesUnfrozen { change: verification_id }.into(),
            _ if self.bool() => ApiKeyRevoked {}.into(),
            _ => HistoryAccessed { api_key_id: None, access: HistoryAccess::Pii, account_id: Some(ACCOUNT) }.into(),
        }
    }

    pub fn caller(&mut self) -> Caller {
        let (session, token, verification) = (self.session(), self.token(), self.verification());
        self.of(&[
            Caller::Anonymous,
            Caller::Session(session),
            Caller::Session(session),
            Caller::AccessToken(token),
            Caller::Verification(verification),
            Caller::Verification(verification),
            client(&Scope::ALL.map(|(scope, _)| scope)),
            Caller::Worker,
            Caller::Operator,
        ])
    }

    fn act(&mut self) -> Act {
        let method_id = self.option(Self::method);
        self.of(&[Act::SignIn, Act::AuthorizeMethod, Act::DisableMethod { method_id }, Act::RegenerateRecoveryCodes])
    }

    pub fn command(&mut self) -> Command {
        let (verification_id, method_id) = (self.verification(), self.method());
        let (code, some_id) = (entered(&self.code()), self.option(Self::verification));
        let (password, new) = (Secret::new(PASSWORD.to_owned()), Secret::new(OTHER_PASSWORD.to_owned()));
        let password = self.option(|_| password);
        match self.below(33) {
            0 => Command::RegisterAccount {
                account_id: ACCOUNT,
                email: self.email(),
                password,
                vouch_for_email: self.bool(),
            },
            1 => Command::VerifyEmail { code },
            2 => Command::ResendEmailCode,
            3 => Command::SetPassword { current: password, new },
            4 => Command::SignIn { password, rejections: self.count() },
            5 => Command::SignOut,
            6 => {
                let revoke = Command::RevokeSession { session_id: self.session() };
                let unfinished = Command::NoteUnfinishedSignIn { verification_id };
                self.of(&[revoke, unfinished, Command::EndOtherSessions, Command::EndSessions { reason: text("x") }])
            }
            7 => Command::IssueAccessToken { name: text("x"), verification_id: some_id },
            8 => Command::RevokeAccessToken { access_token_id: self.token() },
            9 => Command::StartVerification {
                purpose: self.purpose(),
                action: self.option(|_| text("x")),
                target: self.option(Self::method),
                password,
            },
            10 => Command::SendCode { verification_id, channel: self.channel(), method_id: self.option(Self::method) },
            11 => Command::ResendCode {
                verification_id,
                channel: self.option(Self::channel),
                method_id: self.option(Self::method),
            },
            12 => Command::ResendEnrollmentCode { method_id },
            13..=15 => Command::SubmitCode {
                verification_id,
                kind: self.option(Self::kind),
                method_id: self.option(Self::method),
                code,
            },
            16 => Command::UseRecoveryCode { verification_id, code },
            17 => Command::StartTotpEnrollment,
            18 => Command::StartSmsEnrollment { phone_number: self.number() },
            19 => Command::EnableMethod {
                method_id,
                code,
                label: self.option(|_| label("x")),
                raises_session: self.bool(),
            },
            20 | 21 => {
                Command::ChangeMethod { method_id, label: self.option(|_| label("x")), make_primary: self.bool() }
            }
            22 => Command::DisableMethod { method_id, verification_id: some_id },
            23 => Command::RegenerateRecoveryCodes { verification_id: some_id },
            24 => Command::UnlockMethod { kind: self.option(Self::kind), reason: text("x") },
            25 => Command::ResetTwoFactor { reason: text("x") },
            26 => Command::ChangeEmail { email: self.email(), password, verification_id: some_id },
            27 => self.of(&[
                Command::RequestPasswordReset { verification_id },
                Command::OpenSignIn { verification_id },
                Command::EraseAccount { verification_id: some_id },
                Command::ResetPassword {
                    verification_id,
                    ticket: hash_of(9),
                    code: Some(code.clone()),
                    second_factor: Some(SecondFactor { kind: None, method_id: None, code }),
                    new,
                },
            ]),
            28 => {
                let (kind, method_id) = (self.kind(), self.option(Self::method));
                Command::StartCheck { purpose: self.purpose(), kind, method_id }
            }
            29 | 30 => Command::CheckAndAct {
                check: Check {
                    verification_id: some_id,
                    kind: self.option(Self::kind),
                    method_id: self.option(Self::method),
                    code,
                },
                act: self.act(),
            },
            31 => self.of(&[
                Command::OfferTotpKey,
                Command::EnableOfferedTotp { secret: TotpSecret::new(vec![1; 20]), code, label: None },
            ]),
            _ => Command::ImportAccount {
                import: Box::new(AccountImport {
                    account_id: ACCOUNT,
                    email: self.email(),
                    email_verified: self.bool(),
                    password: None,
                    methods: self.list(Self::imported),
                    recovery_codes: self.list(|_| "x".to_owned()),
                }),
            },
        }
    }
}
