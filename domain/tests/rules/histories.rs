//! Events that the tests begin with.

use domain::{
    account::totp_code,
    commands::{Command, TotpParameters},
    events::*,
    ids::*,
    personal::Personal,
    secret::{Secret, TokenHash},
    time::{Seconds, Timestamp},
    values::*,
};
use uuid::Uuid;

use crate::kit::{START, after, digits, entered, password_hash, recovery_codes};

pub const PASSWORD: &str = "dragonfly tuba nine";
pub const OTHER_PASSWORD: &str = "seventeen walnut boats";
pub const NUMBER: &str = "+436601234567";
pub const OTHER_NUMBER: &str = "+447400123456";
pub const THIRD_NUMBER: &str = "+4915112345678";
pub const SALT: &str = "first salt";

pub const ACCOUNT: AccountId = AccountId(Uuid::from_u128(0xa1));
pub const SESSION: SessionId = SessionId(Uuid::from_u128(0x51));
pub const OTHER_SESSION: SessionId = SessionId(Uuid::from_u128(0x52));
pub const TOKEN: AccessTokenId = AccessTokenId(Uuid::from_u128(0x71));
pub const OTHER_TOKEN: AccessTokenId = AccessTokenId(Uuid::from_u128(0x72));
pub const KEY: ApiKeyId = ApiKeyId(Uuid::from_u128(0xc1));
pub const OTHER_KEY: ApiKeyId = ApiKeyId(Uuid::from_u128(0xc2));
pub const DEVICE: DeviceId = DeviceId(Uuid::from_u128(0xd1));
pub const CHECK: VerificationId = VerificationId(Uuid::from_u128(0xf1));
pub const OTHER_CHECK: VerificationId = VerificationId(Uuid::from_u128(0xf2));
pub const THIRD_CHECK: VerificationId = VerificationId(Uuid::from_u128(0xf3));

/// A reset as whoever asked for it at the start was told.
pub const TICKET: VerificationId =
    VerificationId(Uuid::from_u128((START.as_millis().cast_unsigned() as u128) << 80 | 7 << 76 | 2 << 62 | 0xf1));
pub const WITH_TICKET: Caller = Caller::Verification(TICKET);

pub fn email() -> EmailAddress {
    EmailAddress::parse("ada@example.com").unwrap()
}
pub fn new_email() -> EmailAddress {
    EmailAddress::parse("ada@example.org").unwrap()
}
pub fn number(text: &str) -> PhoneNumber {
    PhoneNumber::parse(text).unwrap()
}
pub fn text(text: &str) -> FreeText {
    FreeText::parse(text).unwrap()
}
pub fn label(text: &str) -> Label {
    Label::parse(text).unwrap()
}
pub fn hash_of(number: u8) -> TokenHash {
    TokenHash::of(&Secret::new([number; 32]))
}

pub const SIGNED_IN: Caller = Caller::Session(SESSION);
pub const WITH_TOKEN: Caller = Caller::AccessToken(TOKEN);
pub const CHECKED: Caller = Caller::Verification(CHECK);
pub fn client(scopes: &[Scope]) -> Caller {
    Caller::ApiClient(KEY, scopes.iter().copied().collect())
}
pub fn product() -> Caller {
    client(&[Scope::AccountsWrite])
}
pub fn support() -> Caller {
    client(&[Scope::SupportWrite])
}

pub fn registered() -> Event {
    AccountRegistered {
        account_id: ACCOUNT,
        email: Personal::Known(email()),
        password: Some(Personal::Known(password_hash(PASSWORD))),
        registered_by: None,
        expires_at: after(Seconds::hours(24)),
        number: Some(AccountNumber(7)),
    }
    .into()
}
pub fn confirmed() -> Event {
    EmailVerified { verification_id: None, vouched_by: None }.into()
}
pub fn session(id: SessionId, aal: Aal) -> Event {
    SignedIn {
        session_id: id,
        token_hash: hash_of(1),
        aal,
        amr: vec![Amr::Pwd],
        expires_at: after(Seconds::days(30)),
        idle_timeout: Seconds::hours(24),
        verification_id: None,
        api_key_id: None,
        access_token_id: None,
        is_limited: false,
        is_new_place: false,
    }
    .into()
}
pub fn access_token(id: AccessTokenId) -> Event {
    AccessTokenIssued {
        access_token_id: id,
        token_hash: hash_of(2),
        name: Personal::Known(text("laptop")),
        expires_at: after(Seconds::days(365)),
        verification_id: None,
    }
    .into()
}
/// A device that a sign-in made known.
pub fn remembered(device_id: DeviceId, session_id: SessionId) -> Event {
    let expires_at = after(Seconds::days(365));
    DeviceRemembered { device_id, token_hash: hash_of(3), session_id, expires_at }.into()
}
/// Signed up, confirmed and signed in; no second factor.
pub fn an_account() -> Vec<Event> {
    vec![registered(), confirmed(), session(SESSION, Aal::Aal1)]
}
/// The same in another session, an access token, and a second session.
pub fn an_account_in_use() -> Vec<Event> {
    let mut events = an_account();
    events.extend([session(OTHER_SESSION, Aal::Aal1), access_token(TOKEN), access_token(OTHER_TOKEN)]);
    events
}
pub fn secret(number: u8) -> TotpSecret {
    TotpSecret::new(vec![number; 20])
}
pub fn totp_enrolling(id: u32, by: Credential) -> Event {
    TotpEnrollmentStarted {
        method_id: MethodId(id),
        verification_id: VerificationId(Uuid::from_u128(0xe00 + u128::from(id))),
        secret: Personal::Known(secret(u8::try_from(id).unwrap())),
        algorithm: TotpAlgorithm::Sha1,
        digits: 6,
        period: 30,
        started_by: by,
        attempts: 5,
        expires_at: after(Seconds::hours(1)),
    }
    .into()
}
pub fn sms_enrolling(id: u32, to: &str, by: Credential) -> Event {
    let number = number(to);
    SmsEnrollmentStarted {
        method_id: MethodId(id),
        verification_id: VerificationId(Uuid::from_u128(0xe00 + u128::from(id))),
        country: number.country(),
        prefix: number.prefix(),
        phone_number: Personal::Known(number),
        started_by: by,
        attempts: 5,
        expires_at: after(Seconds::hours(1)),
    }
    .into()
}
pub fn enabled(id: u32, kind: MethodKind, is_primary: bool) -> Event {
    MethodEnabled {
        method_id: MethodId(id),
        kind,
        label: Personal::Known(label("mine")),
        verification_id: VerificationId(Uuid::from_u128(0xd00 + u128::from(id))),
        totp_step: None,
        is_primary,
    }
    .into()
}
pub fn recovery_set(set: u32, salt: &str) -> Event {
    let codes = recovery_codes(salt, 10).1;
    RecoveryCodesGenerated { set, codes: Personal::Known(codes), count: 10, verification_id: None }.into()
}
pub const OWNER: Credential = Credential::Session(SESSION);

pub fn totp(id: u32) -> Vec<Event> {
    vec![totp_enrolling(id, OWNER), enabled(id, MethodKind::Totp, id == 1)]
}
pub fn sms(id: u32, to: &str) -> Vec<Event> {
    vec![sms_enrolling(id, to, OWNER), enabled(id, MethodKind::Sms, id == 1)]
}
fn with_second_factor(methods: Vec<Event>) -> Vec<Event> {
    let mut events = vec![registered(), confirmed(), session(SESSION, Aal::Aal2)];
    events.extend(methods);
    events.extend([TwoFactorEnabled {}.into(), recovery_set(1, SALT)]);
    events
}
/// 2FA is on with an authenticator app (method 1); the session is `aal2`.
pub fn an_account_with_totp() -> Vec<Event> {
    with_second_factor(totp(1))
}
/// 2FA is on with a phone (method 1); the session is `aal2`.
pub fn an_account_with_sms() -> Vec<Event> {
    with_second_factor(sms(1, NUMBER))
}
/// 2FA is on with an authenticator app (1) and a phone (2).
pub fn an_account_with_both() -> Vec<Event> {
    let mut methods = totp(1);
    methods.extend(sms(2, NUMBER));
    with_second_factor(methods)
}

/// The step's code of the device.
pub fn code_of(device: u32, step: u64) -> String {
    totp_code(&secret(u8::try_from(device).unwrap()), TotpParameters::DEFAULT, step)
}
pub fn step_at(at: Timestamp) -> u64 {
    at.as_seconds() / 30
}
/// The code that the device shows.
pub fn code_at(device: u32, at: Timestamp) -> String {
    code_of(device, step_at(at))
}
/// A code that the device shows at no moment near.
pub fn wrong_totp(device: u32, at: Timestamp) -> String {
    let near: Vec<String> = (step_at(at) - 40..=step_at(at) + 40).map(|step| code_of(device, step)).collect();
    (0..200).map(|n| format!("{n:06}")).find(|code| !near.contains(code)).unwrap()
}

pub fn started(id: VerificationId, purpose: Purpose, by: Option<Credential>) -> VerificationStarted {
    VerificationStarted {
        verification_id: id,
        purpose,
        action: None,
        target: None,
        started_by: by,
        token_hash: hash_of(3),
        first_factor: Vec::new(),
        new_email: None,
        yields_session: false,
        attempts: None,
        expires_at: after(Seconds::minutes(15)),
        asked: None,
        source: None,
        replaces: None,
    }
}
/// The second factor is asked for: driven by its own token, it will yield a session.
pub fn signing_in(id: VerificationId) -> Event {
    VerificationStarted { yields_session: true, first_factor: vec![Amr::Pwd], ..started(id, Purpose::SignIn, None) }
        .into()
}
/// A check of the owner's session for this purpose.
pub fn checking(id: VerificationId, purpose: Purpose) -> Event {
    started(id, purpose, Some(OWNER)).into()
}
/// A check of an address that counts its own wrong codes.
pub fn checking_address(id: VerificationId, purpose: Purpose, by: Option<Credential>) -> VerificationStarted {
    VerificationStarted { attempts: Some(5), ..started(id, purpose, by) }
}
/// The owner's check is completed: it may be used for ten minutes (thirty to add a method).
pub fn completed(id: VerificationId, purpose: Purpose, at: Timestamp) -> Event {
    let lives = if purpose == Purpose::AddMethod { Seconds::minutes(30) } else { Seconds::minutes(10) };
    VerificationSucceeded {
        verification_id: id,
        purpose,
        kind: FactorKind::Totp,
        method_id: None,
        totp_step: None,
        usable_until: at.plus(lives),
        needs_second_factor: false,
        side: Side::Others,
        good_from: None,
    }
    .into()
}
/// Started and completed at the start.
pub fn authorized(id: VerificationId, purpose: Purpose) -> Vec<Event> {
    vec![checking(id, purpose), completed(id, purpose, START)]
}

pub fn challenge(id: VerificationId, purpose: Purpose, channel: Channel, method: Option<u32>) -> Challenge {
    Challenge { verification_id: id, purpose, channel, method_id: method.map(MethodId), issue: 1 }
}
/// The code was ordered then.
pub fn ordered(challenge: Challenge, at: Timestamp) -> Event {
    let Challenge { verification_id, purpose, channel, method_id, issue } = challenge;
    CodeIssued {
        verification_id,
        purpose,
        channel,
        method_id,
        issue,
        to: Personal::Known("somewhere".to_owned()),
        country: None,
        prefix: None,
        expires_at: at.plus(Seconds::minutes(10)),
        resend_after: at.plus(Seconds(30)),
        automatic: false,
        form: CodeForm::Digits,
    }
    .into()
}
/// A long code was ordered then, with its verification: whoever knows the address may have asked for it.
pub fn mailed_to_strangers(challenge: Challenge, at: Timestamp) -> [Event; 2] {
    let Event::CodeIssued(mail) = ordered(challenge, at) else { panic!("no order") };
    let (expires_at, resend_after) = (at.plus(Seconds::minutes(20)), at.plus(Seconds::minutes(10)));
    let check = checking_address(challenge.verification_id, challenge.purpose, None);
    [
        VerificationStarted { expires_at, ..check }.into(),
        CodeIssued { form: CodeForm::Letters, expires_at, resend_after, ..mail }.into(),
    ]
}
/// The same code was ordered again.
pub fn ordered_again(challenge: Challenge, at: Timestamp) -> Event {
    let Challenge { verification_id, purpose, channel, method_id, issue } = challenge;
    CodeResent {
        verification_id,
        purpose,
        channel,
        method_id,
        issue,
        to: Personal::Known("somewhere".to_owned()),
        country: None,
        prefix: None,
        expires_at: START.plus(Seconds::minutes(10)),
        resend_after: at.plus(Seconds(30)),
    }
    .into()
}
/// A wrong code that counts.
pub fn wrong(kind: FactorKind, in_a_row: u32, account: u32) -> Event {
    CodeRejected {
        verification_id: OTHER_CHECK,
        purpose: Purpose::SignIn,
        kind,
        method_id: None,
        reason: RejectionReason::Wrong,
        verification_failures: in_a_row,
        kind_failures: in_a_row,
        account_failures: account,
        account_locked: account >= 100,
        ended: false,
        clock_drift_steps: None,
        side: Side::Others,
        tell_owner: false,
    }
    .into()
}
/// The same by a device that the account knows.
pub fn on_a_known_device(event: Event) -> Event {
    let side = Side::KnownDevices;
    match event {
        Event::CodeRejected(rejected) => CodeRejected { side, ..rejected }.into(),
        Event::MethodLocked(locked) => MethodLocked { side, ..locked }.into(),
        event => event,
    }
}
pub fn locked(kind: FactorKind, until: Timestamp) -> Event {
    MethodLocked { kind, locked_until: until, side: Side::Others }.into()
}

// Commands, in short.
pub fn submit(id: VerificationId, kind: FactorKind, code: &str) -> Command {
    Command::SubmitCode { verification_id: id, kind: Some(kind), method_id: None, code: entered(code) }
}
/// The code that was sent by mail or text, as it was typed.
pub fn submit_sent(challenge: Challenge) -> Command {
    submit(challenge.verification_id, challenge.channel.factor(), &digits(&challenge))
}
pub fn send(id: VerificationId, channel: Channel) -> Command {
    Command::SendCode { verification_id: id, channel, method_id: None }
}
pub fn resend(id: VerificationId) -> Command {
    Command::ResendCode { verification_id: id, channel: None, method_id: None }
}
pub fn start(purpose: Purpose) -> Command {
    Command::StartVerification { purpose, action: None, target: None, password: None }
}
pub fn with_password(purpose: Purpose, password: &str) -> Command {
    let password = Some(Secret::new(password.to_owned()));
    Command::StartVerification { purpose, action: None, target: None, password }
}
pub fn sign_in(password: &str) -> Command {
    Command::SignIn { password: Some(Secret::new(password.to_owned())), rejections: 1 }
}
pub fn enable(id: u32, code: &str) -> Command {
    Command::EnableMethod { method_id: MethodId(id), code: entered(code), label: None, raises_session: true }
}
