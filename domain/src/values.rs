//! The words and numbers of the domain: addresses, numbers, kinds, channels, purposes.

use std::{borrow::Cow, collections::BTreeSet, fmt, net::IpAddr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use zeroize::Zeroize;

use crate::{
    ids::{AccessTokenId, ApiKeyId, MethodId, SessionId, VerificationId},
    secret::Secret,
};

/// Why a text is not the value it should be; safe to show, it does not repeat the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidValue(pub &'static str);

/// An email address: trimmed, its domain in lower case, at most 254 characters.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EmailAddress(String);

impl EmailAddress {
    /// Reads an address as a person enters it: one `@`, a local part of 1 to 64 visible ASCII
    /// characters, a domain of dot-separated labels (RFC 5321, 4.5.3.1, without quoted strings).
    pub fn parse(text: &str) -> Result<Self, InvalidValue> {
        const INVALID: InvalidValue = InvalidValue("must be an email address such as name@example.com");
        let text = text.trim();
        let (local, host) = text.rsplit_once('@').ok_or(INVALID)?;
        let local_ok = !local.is_empty()
            && local.len() <= 64
            && local.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~.".contains(&b))
            && !local.starts_with('.')
            && !local.ends_with('.')
            && !local.contains("..");
        let label_ok = |label: &str| {
            !label.is_empty()
                && label.len() <= 63
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        let host_ok = host.contains('.') && host.split('.').all(label_ok);
        if !local_ok || !host_ok || text.len() > 254 {
            return Err(INVALID);
        }
        Ok(Self(format!("{local}@{}", host.to_ascii_lowercase())))
    }
    /// The address as mail is sent to it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
    /// What makes two addresses the same mailbox for us: the whole in lower case. Input of the keyed hash.
    pub fn canonical(&self) -> String {
        self.0.to_ascii_lowercase()
    }
    /// First letter and domain: `a•••@example.com`.
    pub fn masked(&self) -> String {
        let (local, host) = self.0.rsplit_once('@').unwrap_or(("", ""));
        let first = local.chars().next().unwrap_or('•');
        format!("{first}•••@{host}")
    }
}

impl fmt::Debug for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[address]")
    }
}

/// A phone number in E.164: `+` and up to 15 digits, valid in its country and able to receive SMS.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PhoneNumber(String);

impl PhoneNumber {
    /// Reads a number in E.164. Refused: what is invalid in its country's plan, and types that
    /// cannot receive a text or cost the sender extra (premium rate, shared cost, toll free, pagers …).
    pub fn parse(text: &str) -> Result<Self, InvalidValue> {
        const INVALID: InvalidValue =
            InvalidValue("must be a phone number in international form such as +436601234567");
        let text = text.trim();
        let digits = text.strip_prefix('+').ok_or(INVALID)?;
        if !(7..=15).contains(&digits.len()) || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(INVALID);
        }
        let number = phonenumber::parse(None, text).map_err(|_| INVALID)?;
        // One spelling per number, since limits and duplicates go by it.
        if !number.is_valid() || number.format().mode(phonenumber::Mode::E164).to_string() != text {
            return Err(INVALID);
        }
        let kind = number.number_type(&phonenumber::metadata::DATABASE);
        if !matches!(
            kind,
            phonenumber::Type::Mobile
                | phonenumber::Type::FixedLineOrMobile
                | phonenumber::Type::PersonalNumber
                | phonenumber::Type::Voip
                | phonenumber::Type::Unknown
        ) {
            return Err(InvalidValue("must be a mobile number that can receive text messages"));
        }
        Ok(Self(text.to_owned()))
    }
    /// The number in E.164.
    pub fn as_str(&self) -> &str {
        &self.0
    }
    /// ISO 3166-1 alpha-2 code of the country, or `ZZ`. A fact in clear, so that views can aggregate.
    pub fn country(&self) -> Country {
        phonenumber::parse(None, &self.0)
            .ok()
            .and_then(|number| number.country().id())
            .map_or_else(|| Country("ZZ".into()), |id| Country(format!("{id:?}")))
    }
    /// The country calling code and the next three digits, what toll fraud is counted by.
    pub fn prefix(&self) -> NumberPrefix {
        let code = phonenumber::parse(None, &self.0).map_or(0, |number| number.country().code());
        let length = 1 + code.to_string().len() + 3;
        NumberPrefix(self.0.chars().take(length).collect())
    }
    /// The last four digits: `•••• 4567`.
    pub fn masked(&self) -> String {
        let last: String = self.0.chars().skip(self.0.chars().count().saturating_sub(4)).collect();
        format!("•••• {last}")
    }
}

impl fmt::Debug for PhoneNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[number]")
    }
}

/// ISO 3166-1 alpha-2.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Country(pub String);

/// Country calling code and three digits, such as `+43660`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct NumberPrefix(pub String);

/// The name a person gives to a method: 1 to 30 characters after trimming, none of them a control character.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Label(String);

impl Label {
    /// Reads a label as entered.
    pub fn parse(text: &str) -> Result<Self, InvalidValue> {
        visible(text, 30).map(Self).ok_or(InvalidValue("must have 1 to 30 visible characters"))
    }
    /// The label as entered, trimmed.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[label]")
    }
}

/// Free text of people and API clients: reasons, names, actions. 1 to 200 visible characters.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FreeText(String);

impl FreeText {
    /// Reads a text as entered.
    pub fn parse(text: &str) -> Result<Self, InvalidValue> {
        visible(text, 200).map(Self).ok_or(InvalidValue("must have 1 to 200 visible characters"))
    }
    /// The text, trimmed.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for FreeText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[text]")
    }
}

fn visible(text: &str, most: usize) -> Option<String> {
    let text = text.trim();
    // Line breaks, direction overrides, and what shows as nothing let one text pass for another.
    let hidden = |c: char| {
        c.is_control()
            || matches!(c, '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{FEFF}'
                | '\u{AD}' | '\u{61C}' | '\u{115F}' | '\u{1160}' | '\u{180E}' | '\u{2800}' | '\u{3164}' | '\u{FFA0}'
                | '\u{FFF9}'..='\u{FFFB}' | '\u{E0000}'..='\u{E007F}')
    };
    let count = text.chars().count();
    (1..=most).contains(&count).then_some(())?;
    (!text.chars().any(hidden)).then(|| text.to_owned())
}

/// A password hash in PHC string format (argon2id).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PasswordHash(pub String);

impl PasswordHash {
    /// A hash that no password has, with the usual parameters: what is checked where there is no
    /// password, so that the answer takes as long.
    pub fn of_nothing() -> Self {
        Self(
            "$argon2id$v=19$m=19456,t=2,p=1$Y291bnRlcnNpZ24uLm5vbmU$9uXVYb0kGkV8m1Zr3sN2qf7TtPpWcJxLhE4aDyKoRiM".into(),
        )
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[password hash]")
    }
}

/// The key shared with an authenticator app, 160 bits when it is ours. Base32 (RFC 4648) in JSON.
#[derive(Clone, PartialEq, Eq)]
pub struct TotpSecret(Secret<Vec<u8>>);

impl TotpSecret {
    /// Takes the raw key.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Secret::new(bytes))
    }
    /// The raw key.
    pub fn expose(&self) -> &[u8] {
        self.0.expose()
    }
    /// The key as people type it.
    pub fn to_base32(&self) -> String {
        totp_rs::Secret::from(self.expose().to_vec()).to_base32()
    }
}

impl fmt::Debug for TotpSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[totp secret]")
    }
}

impl Serialize for TotpSecret {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut text = self.to_base32();
        let done = serializer.serialize_str(&text);
        text.zeroize();
        done
    }
}

impl<'de> Deserialize<'de> for TotpSecret {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        let secret = totp_rs::Secret::try_from_base32(&*text).map_err(|_| serde::de::Error::custom("not base32"))?;
        Ok(Self::new(secret.as_ref().to_vec()))
    }
}

/// What a second factor can be proved with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FactorKind {
    /// An authenticator app (RFC 6238).
    Totp,
    /// A code by SMS.
    Sms,
    /// A code by email: the first identity check, and an explicit fallback.
    Email,
    /// One of the ten recovery codes.
    RecoveryCode,
}

impl FactorKind {
    /// The stable name, as in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Totp => "totp",
            Self::Sms => "sms",
            Self::Email => "email",
            Self::RecoveryCode => "recovery_code",
        }
    }
}

/// What can be enrolled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MethodKind {
    /// An authenticator app.
    Totp,
    /// A phone number that receives SMS.
    Sms,
}

impl MethodKind {
    /// The factor that a method of this kind proves.
    pub const fn factor(self) -> FactorKind {
        match self {
            Self::Totp => FactorKind::Totp,
            Self::Sms => FactorKind::Sms,
        }
    }
}

/// How a code travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    /// Text message.
    Sms,
    /// Mail.
    Email,
}

impl Channel {
    /// The factor that a code over this channel proves.
    pub const fn factor(self) -> FactorKind {
        match self {
            Self::Sms => FactorKind::Sms,
            Self::Email => FactorKind::Email,
        }
    }
}

/// What a verification, and every code in it, is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// The address of a new account.
    ConfirmEmail,
    /// The new address of an account.
    ChangeEmail,
    /// The second factor after the password.
    SignIn,
    /// The authorization to add one method.
    AddMethod,
    /// A number or device that is being enrolled.
    Enroll,
    /// Removing a method.
    DisableMethod,
    /// A fresh set of recovery codes.
    RegenerateRecoveryCodes,
    /// Erasing the account.
    EraseAccount,
    /// A forgotten password.
    ResetPassword,
    /// Any named action of an API client.
    StepUp,
}

impl Purpose {
    /// The stable name, as in JSON and in the derivation of codes.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ConfirmEmail => "confirm_email",
            Self::ChangeEmail => "change_email",
            Self::SignIn => "sign_in",
            Self::AddMethod => "add_method",
            Self::Enroll => "enroll",
            Self::DisableMethod => "disable_method",
            Self::RegenerateRecoveryCodes => "regenerate_recovery_codes",
            Self::EraseAccount => "erase_account",
            Self::ResetPassword => "reset_password",
            Self::StepUp => "step_up",
        }
    }
}

/// A one-time code that was ordered: everything its digits are derived from, beside the account's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Challenge {
    /// The verification that the code is bound to.
    pub verification_id: VerificationId,
    /// What it is for.
    pub purpose: Purpose,
    /// How it travels.
    pub channel: Channel,
    /// The SMS method or enrollment it goes to; `None` for email.
    pub method_id: Option<MethodId>,
    /// 1 for the first code of this verification, channel and method; a resend after expiry counts on.
    pub issue: u32,
}

/// Authenticator assurance level (NIST SP 800-63B, section 4) of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Aal {
    /// One factor, or a password with an email code.
    Aal1,
    /// A password with TOTP, SMS or a recovery code.
    Aal2,
}

/// Authentication method references (RFC 8176 where it has a name, ours for the rest).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Amr {
    /// Password.
    Pwd,
    /// One-time password of an authenticator app.
    Otp,
    /// Code by SMS.
    Sms,
    /// More than one factor.
    Mfa,
    /// Code by email (ours).
    Email,
    /// Recovery code (ours).
    RecoveryCode,
}

/// What an API client may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Scope {
    /// Manage API keys.
    #[serde(rename = "admin")]
    Admin,
    /// Create accounts, start verifications, enroll and remove methods.
    #[serde(rename = "accounts:write")]
    AccountsWrite,
    /// Receive sessions of sign-ins it started.
    #[serde(rename = "sessions:issue")]
    SessionsIssue,
    /// Introspect tokens.
    #[serde(rename = "introspect")]
    Introspect,
    /// Query the security console's views.
    #[serde(rename = "security:read")]
    SecurityRead,
    /// Unlock and reset accounts.
    #[serde(rename = "support:write")]
    SupportWrite,
    /// Read the history.
    #[serde(rename = "audit:read")]
    AuditRead,
    /// See personal data of the history in clear.
    #[serde(rename = "audit:pii")]
    AuditPii,
}

impl Scope {
    /// All of them, with their names.
    pub const ALL: [(Self, &'static str); 8] = [
        (Self::Admin, "admin"),
        (Self::AccountsWrite, "accounts:write"),
        (Self::SessionsIssue, "sessions:issue"),
        (Self::Introspect, "introspect"),
        (Self::SecurityRead, "security:read"),
        (Self::SupportWrite, "support:write"),
        (Self::AuditRead, "audit:read"),
        (Self::AuditPii, "audit:pii"),
    ];
    /// The stable name.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(scope, _)| *scope == self).map_or("", |(_, name)| name)
    }
    /// The scope of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, n)| *n == name).map(|(scope, _)| *scope)
    }
}

/// Scopes of one key.
pub type Scopes = BTreeSet<Scope>;

/// What someone acts with, and what a verification or an enrollment belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", content = "id", rename_all = "snake_case")]
pub enum Credential {
    /// A signed-in session.
    Session(SessionId),
    /// A personal access token.
    AccessToken(AccessTokenId),
    /// An API client.
    ApiClient(ApiKeyId),
}

/// Who sends a command, established before it is decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// Someone without a credential: signing up, signing in.
    Anonymous,
    /// A session of the account.
    Session(SessionId),
    /// A personal access token of the account.
    AccessToken(AccessTokenId),
    /// The bearer of a verification's own token.
    Verification(VerificationId),
    /// An API client with its scopes.
    ApiClient(ApiKeyId, Scopes),
    /// One of our workers.
    Worker,
    /// Whoever has a shell on the server.
    Operator,
}

impl Caller {
    /// The credential that a verification or an enrollment started now would belong to.
    pub fn credential(&self) -> Option<Credential> {
        match self {
            Self::Session(id) => Some(Credential::Session(*id)),
            Self::AccessToken(id) => Some(Credential::AccessToken(*id)),
            Self::ApiClient(id, _) => Some(Credential::ApiClient(*id)),
            Self::Anonymous | Self::Verification(_) | Self::Worker | Self::Operator => None,
        }
    }
    /// Whether this is an API client that holds the scope.
    pub fn has(&self, scope: Scope) -> bool {
        matches!(self, Self::ApiClient(_, scopes) if scopes.contains(&scope))
    }
    /// What the log says of the caller.
    pub fn actor(&self) -> Actor {
        match self {
            Self::Anonymous => Actor::Anonymous,
            Self::Session(id) => Actor::Session { session_id: *id },
            Self::AccessToken(id) => Actor::AccessToken { access_token_id: *id },
            Self::Verification(id) => Actor::Verification { verification_id: *id },
            Self::ApiClient(id, _) => Actor::ApiClient { api_key_id: *id },
            Self::Worker => Actor::Worker,
            Self::Operator => Actor::Operator,
        }
    }
}

/// Who did it, in an event's metadata.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Actor {
    /// Someone without a credential.
    Anonymous,
    /// A session of the account.
    Session {
        /// Which.
        session_id: SessionId,
    },
    /// A personal access token of the account.
    AccessToken {
        /// Which.
        access_token_id: AccessTokenId,
    },
    /// The bearer of a verification's own token.
    Verification {
        /// Which.
        verification_id: VerificationId,
    },
    /// An API client; support people act through one.
    ApiClient {
        /// Its key.
        api_key_id: ApiKeyId,
    },
    /// A worker.
    Worker,
    /// The operator's shell.
    Operator,
}

/// Where a request came from. Personal: `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Origin {
    /// The peer, or the forwarded one behind a trusted proxy.
    pub ip: Option<IpAddr>,
    /// `User-Agent`, cut at 200 characters.
    pub user_agent: Option<String>,
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[origin]")
    }
}

impl Origin {
    /// What limits count sources by: an IPv4 address, or the /64 of an IPv6 one. Mapped IPv4
    /// addresses count as IPv4. Requests without a source share one.
    pub fn network(&self) -> String {
        match self.ip.map(|ip| ip.to_canonical()) {
            None => "none".to_owned(),
            Some(IpAddr::V4(ip)) => ip.to_string(),
            Some(IpAddr::V6(ip)) => {
                let [a, b, c, d, ..] = ip.segments();
                format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
            }
        }
    }
}

/// A code as someone entered it. Never shown, never stored.
pub type EnteredCode = Secret<String>;

/// What people and word processors put between the groups of a code.
pub(crate) const fn is_separator(c: char) -> bool {
    c.is_whitespace() || matches!(c, '-' | '\u{2010}'..='\u{2013}')
}

/// What is asked for a recovery code: 16 Crockford base32 characters, upper case, without hyphens.
/// Entry ignores case, spaces and hyphens and reads O as 0, I and L as 1. `None` when it is not
/// shaped like one.
pub fn normalize_recovery_code(entered: &str) -> Option<Secret<String>> {
    let mut code = String::with_capacity(16);
    for c in entered.chars() {
        let c = match c.to_ascii_uppercase() {
            c if is_separator(c) => continue,
            'O' => '0',
            'I' | 'L' => '1',
            c => c,
        };
        if !(c.is_ascii_digit() || (c.is_ascii_uppercase() && c != 'U')) || code.len() == 16 {
            code.zeroize();
            return None;
        }
        code.push(c);
    }
    (code.len() == 16).then(|| Secret::new(code))
}
